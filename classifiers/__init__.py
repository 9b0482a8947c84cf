"""Image classifiers, and how to tune them."""

from classifiers.heads import CosineHead as CosineHead
from classifiers.models import ImageClassifier as ImageClassifier
from classifiers.models import build as build
from classifiers.models import from_model as from_model
from classifiers.optimizers import ScaledAdamW as ScaledAdamW
from classifiers.optimizers import ScaledSGD as ScaledSGD
