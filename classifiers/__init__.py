"""Image classifiers, and tools to fine-tune them."""

from classifiers.class_weights import class_weights as class_weights
from classifiers.cosine_head import CosineHead as CosineHead
from classifiers.image_classifier import ImageClassifier as ImageClassifier
from classifiers.lr_multipliers import ScaledAdamW as ScaledAdamW
from classifiers.lr_multipliers import ScaledSGD as ScaledSGD
from classifiers.lr_multipliers import adopt_averages as adopt_averages
from classifiers.lr_multipliers import averaged_weights as averaged_weights
from classifiers.make_classifier import build as build
from classifiers.make_classifier import from_model as from_model
from classifiers.tip_adapter import TipAdapter as TipAdapter
