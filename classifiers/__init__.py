"""Image classifiers, and how to tune them."""

from classifiers.heads import CosineHead as CosineHead
from classifiers.models import ImageClassifier as ImageClassifier
from classifiers.models import build as build
from classifiers.models import from_model as from_model
from classifiers.optimizers import ScaledAdamW as ScaledAdamW
from classifiers.optimizers import ScaledSGD as ScaledSGD
from classifiers.optimizers import adopt_averages as adopt_averages
from classifiers.optimizers import averaged_weights as averaged_weights
from classifiers.tip_adapter import TipAdapter as TipAdapter
