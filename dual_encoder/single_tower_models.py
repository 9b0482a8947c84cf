"""Single towers as Keras models: pretrained image classifiers and text encoders."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import keras
from keras import ops

from dual_encoder.fit_arguments import inputs_of
from dual_encoder.keras_model_api import PlainKeras
from dual_encoder.shortest_token_rows import as_token_ids, check_token_ids, text_length
from dual_encoder.towers.base import TakesImages, check_size, image_in
from dual_encoder.towers.compiled_functions import compiled
from dual_encoder.towers.xla_policy import without_xla_on_cpu


@keras.saving.register_keras_serializable("duet")
class ImageEncoder(TakesImages, PlainKeras, keras.Model):
    """An image tower, with the classification head of its checkpoint if there is one.

    Maps pixels 0-255 [b, s, s, 3] to logits [b, c], or to features [b, d] without a head.

    Args:
        image_tower: layer with attributes `image_size` and `output_dim`.
        head: layer on the features, such as a dense layer for 1,000 classes.
        class_names: of the head's outputs.
        multi_label: whether an image may have several of these classes, or none.
    """

    def __init__(
        self,
        image_tower: keras.layers.Layer,
        *,
        head: keras.layers.Layer | None = None,
        class_names: Sequence[str] | None = None,
        multi_label: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        without_xla_on_cpu(self)
        self.multi_label = multi_label
        self.image_tower, self.head = image_tower, head
        self.class_names = None if class_names is None else list(class_names)

    def build(self, input_shape=None):
        if not self.image_tower.built:
            self.image_tower.build((None, self.image_size, self.image_size, 3))
        if self.head is not None and not self.head.built:
            self.head.build((None, self.image_tower.output_dim))
        self.built = True

    def encode_image(self, images: Any) -> Any:
        """Returns features [b, d] of images as in `DualEncoder.encode_image`, compiled."""
        return self._compiled(ops.convert_to_tensor(self.as_pixels(images)))

    @cached_property
    def _compiled(self):
        return compiled(lambda images: self.image_tower(images, training=False), self)

    def call(self, inputs, training=None):
        """Pixels 0-255 [b, s, s, 3], or a dict with them as `"image"`."""
        image = image_in(inputs)
        check_size(image, self.image_size)
        features = self.image_tower(image, training=training)
        return features if self.head is None else self.head(features)

    def compute_output_shape(self, input_shape):
        features = (None, self.image_tower.output_dim)
        return features if self.head is None else self.head.compute_output_shape(features)

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "image_tower": serialize(self.image_tower),
            "head": serialize(self.head),
            "class_names": self.class_names,
            "multi_label": self.multi_label,
        }

    @classmethod
    def from_config(cls, config):
        return cls.made_of(_deserialized(config, "image_tower", "head"))


@keras.saving.register_keras_serializable("duet")
class TextEncoder(PlainKeras, keras.Model):
    """A text tower and its tokenizer, mapping token ids [b, n] to features [b, d].

    Args:
        text_tower: layer with attributes `context_length` and `output_dim`.
        tokenizer: callable, list of texts -> token ids; saved with the model.

    Example:
        >>> bert = dual_encoder.load("bert-base-uncased")
        >>> bert.encode_text(bert.tokenizer(["a photo of a cat."])).shape
        (1, 768)
    """

    def __init__(self, text_tower: keras.layers.Layer, *, tokenizer: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        without_xla_on_cpu(self)
        self.text_tower, self.tokenizer = text_tower, tokenizer

    def build(self, input_shape=None):
        if not self.text_tower.built:
            self.text_tower.build((None, self.context_length))
        self.built = True

    @property
    def context_length(self) -> int:
        """Maximum number of tokens per text."""
        return text_length(self.text_tower, self.tokenizer)

    def check_inputs(self, data):
        """See `PlainKeras.check_inputs`: requires token ids."""
        inputs = inputs_of(data)
        ids = inputs.get("token_ids") if isinstance(inputs, dict) else inputs
        check_token_ids(ids, self.text_tower)

    def input_specs(self) -> keras.InputSpec:
        """See `PlainKeras.input_specs`: token ids."""
        shape = (None, self.context_length)
        return keras.InputSpec(shape=shape, dtype="int32", name="token_ids")

    def encode_text(self, token_ids: Any) -> Any:
        """Returns features [b, d] of texts or token ids [b, n], compiled."""
        token_ids = as_token_ids(token_ids, self.tokenizer, self.text_tower)
        return self._compiled(ops.convert_to_tensor(token_ids))

    @cached_property
    def _compiled(self):
        return compiled(lambda token_ids: self.text_tower(token_ids, training=False), self)

    def call(self, inputs, training=None):
        """Token ids [b, n], or a dict with them as `"token_ids"`."""
        token_ids = inputs["token_ids"] if isinstance(inputs, dict) else inputs
        return self.text_tower(token_ids, training=training)

    def compute_output_shape(self, input_shape):
        return (None, self.text_tower.output_dim)

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "text_tower": serialize(self.text_tower),
            "tokenizer": serialize(self.tokenizer),
        }

    @classmethod
    def from_config(cls, config):
        return cls.made_of(_deserialized(config, "text_tower", "tokenizer"))


def _deserialized(config: dict[str, Any], *parts: str) -> dict[str, Any]:
    return {**config, **{p: keras.saving.deserialize_keras_object(config[p]) for p in parts}}
