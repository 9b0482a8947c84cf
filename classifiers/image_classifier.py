"""`ImageClassifier`: an image tower and a head for classes of one's own."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import keras
from keras import ops

from dual_encoder import (
    ExactTraining,
    NamesImages,
    TakesImages,
    check_size,
    image_in,
    metrics_on_logits,
    row_mean,
    text_list,
)
from dual_encoder.towers import compiled_functions, xla_policy


@keras.saving.register_keras_serializable("duet")
class ClassCrossEntropy(keras.losses.Loss):
    """Cross-entropy of logits [b, c] and labels: indices [b] or [b, 1], or a column per class."""

    label_forms = ("index", "columns")  # see `dual_encoder.training.label_checks`

    def __init__(self, reduction="sum_over_batch_size", from_logits=True, **kwargs):
        super().__init__(reduction=reduction, **kwargs)
        self.from_logits = from_logits

    def call(self, y_true, y_pred):
        columns = len(y_true.shape) == 2 and y_true.shape[1] == y_pred.shape[1] != 1
        losses = keras.losses
        loss = (
            losses.categorical_crossentropy if columns else losses.sparse_categorical_crossentropy
        )
        return loss(y_true, y_pred, from_logits=self.from_logits)

    def get_config(self):
        return {**super().get_config(), "from_logits": self.from_logits}


@keras.saving.register_keras_serializable("duet")
class ImageClassifier(NamesImages, TakesImages, ExactTraining, keras.Model):
    """Maps images to class logits: image tower, optional projection, head.

    Pixels 0-255 [b, s, s, 3], or a dict with them as `"image"`, -> logits float32 [b, c].
    Probabilities are the softmax of the logits, for `multi_label` their sigmoid. A plain Keras
    model: `compile`, `fit`, `evaluate`, `.keras`.

    Args:
        image_tower: layer with attributes `image_size`, `output_dim` and `preprocessing`.
        head: layer, features [b, d] -> logits [b, c]; has `units`, c.
        class_names: c names, the class of each label in order.
        image_projection: layer between the two, such as CLIP's.
        multi_label: whether an image may have several classes, or none.

    Raises:
        ValueError: the head's units and the number of class names differ, or names that are no
            texts.
    """

    def __init__(
        self,
        image_tower: keras.layers.Layer,
        head: keras.layers.Layer,
        *,
        class_names: Sequence[str],
        image_projection: keras.layers.Layer | None = None,
        multi_label: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.image_tower, self.head = image_tower, head
        self.image_projection = image_projection
        self.class_names = text_list("class_names", class_names, least=1)
        self.multi_label = multi_label
        if not hasattr(head, "units"):
            raise ValueError(
                f"head: expected a layer with units, such as Dense; got {type(head).__name__}, of "
                "which dual_encoder.ImageEncoder(head=...) takes any"
            )
        if head.units != len(self.class_names):
            raise ValueError(
                f"head: expected {len(self.class_names)} outputs, one per class; got {head.units}"
            )

    def build(self, input_shape=None):
        if not self.image_tower.built:
            self.image_tower.build((None, self.image_size, self.image_size, 3))
        features = (None, self.image_tower.output_dim)
        if self.image_projection is not None:
            if not self.image_projection.built:
                self.image_projection.build(features)
            features = self.image_projection.compute_output_shape(features)
        if not self.head.built:
            self.head.build(features)
        self.built = True

    def call(self, inputs, training=None):
        """Maps pixels 0-255 [b, s, s, 3], or a dict with them as `"image"`, to logits [b, c]."""
        features = self.named_features(inputs, training=training)
        if training and self.teacher is not None:
            self.teacher.features = features
        return ops.cast(self.head(features["image"]), "float32")

    def named_features(self, inputs, training=None):
        """Returns the head's input features by name; see `dual_encoder.Teacher`."""
        return {"image": self.features(image_in(inputs), training=training)}

    def features_in_training(self, y_pred):
        """Returns the features of the batch whose logits these are, in the step that made them."""
        return self.teacher.features

    def features(self, image, training=None):
        """Maps pixels 0-255 [b, s, s, 3] to the head's input features [b, d].

        A frozen tower or projection (`trainable = False`) runs in inference mode, as in a
        `DualEncoder`. With `x = keras.Input((s, s, 3))`, `keras.Model(x, features(x))` is a feature
        extractor.
        """
        check_size(image, self.image_size)
        tower, projection = self.image_tower, self.image_projection
        features = tower(image, training=training and tower.trainable)
        if projection is None:
            return features
        return projection(features, training=training and projection.trainable)

    def encode_image(self, images: Any) -> Any:
        """Returns `features` of images as in `DualEncoder.encode_image`, compiled."""
        return self._compiled(ops.convert_to_tensor(self.as_pixels(images)))

    @cached_property
    def _compiled(self):
        return compiled_functions.compiled(
            lambda images: self.features(images, training=False), self
        )

    def compile(self, optimizer="adamw", loss=None, *, metrics=None, **kwargs):
        """As in Keras, but named cross-entropies use logits, and `metrics` ignore padding.

        The default loss is the cross-entropy of labels [b] or of a column per class [b, c], binary
        with `multi_label`, averaged over rows without padding. `metrics` are passed to Keras as
        `weighted_metrics`, which respect `sample_weight` (0 for padding); with `multi_label`,
        accuracy is that of each class by itself.

        Raises:
            ValueError: a loss or metric that takes probabilities (`from_logits=False`).
        """
        if loss is None:
            loss = "binary_crossentropy"
            if not self.multi_label:
                loss = ClassCrossEntropy(row_mean(), from_logits=self.gives_logits)
        weighted = [
            metric
            for given in (metrics, kwargs.pop("weighted_metrics", None))
            for metric in metrics_on_logits(
                given, multi_label=self.multi_label, refuse=self.gives_logits
            )
        ]
        kwargs.setdefault("jit_compile", xla_policy.xla_by_default())
        super().compile(optimizer, loss, weighted_metrics=weighted, **kwargs)

    @property
    def gives_logits(self) -> bool:
        """Whether the head has no activation, such as softmax, of its own."""
        activation = getattr(self.head, "activation", None)
        return activation in (None, keras.activations.linear)

    def compute_output_shape(self, input_shape):
        return (None, len(self.class_names))

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "image_tower": serialize(self.image_tower),
            "head": serialize(self.head),
            "image_projection": serialize(self.image_projection),
            "class_names": self.class_names,
            "multi_label": self.multi_label,
        }

    @classmethod
    def from_config(cls, config):
        parts = ("image_tower", "head", "image_projection")
        made = {part: keras.saving.deserialize_keras_object(config[part]) for part in parts}
        return cls.made_of({**config, **made})
