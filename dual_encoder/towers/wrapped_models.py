"""Wrap other models as towers: `keras.applications`, KerasHub, custom Keras models."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
from keras import ops

from dual_encoder.towers.base import ImageTower
from dual_encoder.towers.keras_applications_table import application_of


@keras.saving.register_keras_serializable("duet")
class KerasImageTower(ImageTower):
    """Any Keras image model as an image tower: pixels 0-255 [b, s, s, 3] -> [b, d].

    Of tokens [b, n, d], as from KerasHub's ViT, it uses the first, the class token; of feature maps
    [b, h, w, d] the spatial average.

    Args:
        backbone: a Keras model with one input of fixed size, or its serialised form.
        bgr: whether the model expects channels as blue, green, red; `mean` and `std` then have
            that order too.
        kwargs: of `ImageTower`.

    Raises:
        ValueError: the model does not accept square colour images of a fixed size.

    Example:
        >>> mobile = keras.applications.MobileNetV3Small(include_top=False, input_shape=(96, 96, 3))
        >>> tower = KerasImageTower(mobile, mean=(0, 0, 0), std=(1 / 255,) * 3)  # it rescales
    """

    def __init__(self, backbone: keras.Model | dict, *, bgr: bool = False, **kwargs: Any):
        backbone = _deserialize(backbone)
        shape: Any = getattr(backbone, "input_shape", ())
        if len(shape) != 4 or shape[1] is None or shape[1] != shape[2] or shape[3] != 3:
            raise ValueError(
                f"backbone: expected one for images [b, s, s, 3] of a fixed size; got {shape}"
            )
        super().__init__(**{**kwargs, "image_size": shape[1]})
        self.backbone, self.bgr = backbone, bgr
        self.output_dim = backbone.output_shape[-1]

    def build(self, input_shape=None):
        self.built = True  # the backbone is

    def call(self, image, training=None):
        x = self.normalize(ops.flip(image, axis=-1) if self.bgr else image)
        x = self.backbone(x, training=training)
        if len(x.shape) == 4:
            return ops.mean(x, axis=(1, 2))
        return x[:, 0] if len(x.shape) == 3 else x

    def get_config(self):
        return {**super().get_config(), "backbone": _serialize(self.backbone), "bgr": self.bgr}


@keras.saving.register_keras_serializable("duet")
class HubTextTower(keras.layers.Layer):
    """A KerasHub text backbone as a text tower, [b, n] -> [b, d].

    Uses its pooled output if it has one (BERT, ALBERT), else its first token (RoBERTa, DistilBERT,
    DeBERTa). Padding is masked, so rows may be cut after the longest text.

    Args:
        backbone: such as a `keras_hub.models.BertBackbone`, or its serialised form.
        context_length: maximum number of tokens per text.
        pad_id: id of the padding.

    Raises:
        ValueError: the backbone has fewer positions than `context_length`.
    """

    trims_exactly = True

    def __init__(
        self, backbone: keras.Model | dict, *, context_length: int, pad_id: int, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.backbone = _deserialize(backbone)
        positions = getattr(self.backbone, "max_sequence_length", None) or context_length
        if context_length > positions:
            raise ValueError(
                f"context_length: expected at most the {positions} positions of the backbone; "
                f"got {context_length}"
            )
        self.context_length, self.pad_id = context_length, pad_id
        self.output_dim = self.backbone.hidden_dim

    def build(self, input_shape=None):
        self.built = True  # the backbone is

    def call(self, token_ids, training=None):
        inputs = {
            "token_ids": token_ids,
            "segment_ids": ops.zeros_like(token_ids),
            "padding_mask": ops.cast(ops.not_equal(token_ids, self.pad_id), "int32"),
        }
        wanted = {name: inputs[name] for name in self.backbone.input}
        outputs = self.backbone(wanted, training=training)
        if isinstance(outputs, dict) and "pooled_output" in outputs:
            return outputs["pooled_output"]
        return (outputs["sequence_output"] if isinstance(outputs, dict) else outputs)[:, 0]

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.output_dim)

    def get_config(self):
        options = {"backbone": _serialize(self.backbone)}
        options |= {"context_length": self.context_length, "pad_id": self.pad_id}
        return {**super().get_config(), **options}


@contextlib.contextmanager
def channels_last() -> Iterator[None]:
    """Makes Keras models of images [b, s, s, 3], the layout of all towers, however Keras is set."""
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_image_data_format(before)


def as_image_tower(model: Any) -> Any:
    """Wraps a Keras image model as an image tower; returns other objects unchanged.

    Networks of `keras.applications` get the pixel range they were trained on, other models pixels
    0-255.

    Raises:
        ValueError: the model has no fixed image size, or other inputs.
    """
    is_tower = hasattr(model, "image_size") and hasattr(model, "output_dim")
    if is_tower or not isinstance(model, keras.Model):
        return model
    row = application_of(model.name)
    statistics = row.statistics if row else {"mean": (0.0,) * 3, "std": (1 / 255,) * 3}
    return KerasImageTower(model, **statistics, name="image_tower")


def as_text_tower(model: Any, tokenizer: Any) -> Any:
    """Wraps a KerasHub text backbone as a text tower, for a tokenizer's context and padding."""
    is_tower = hasattr(model, "context_length") and hasattr(model, "output_dim")
    if is_tower or not isinstance(model, keras.Model) or not hasattr(model, "hidden_dim"):
        return model
    if tokenizer is None:
        raise ValueError(
            "text_tower: expected a tokenizer with a backbone, for its context and its padding"
        )
    options = {"context_length": tokenizer.context_length, "pad_id": tokenizer.pad_id}
    return HubTextTower(model, **options, name="text_tower")


def most_tokens(tower: Any) -> int:
    """Returns the maximum tokens per text of a tower or backbone; 512 (BERT's) if unknown."""
    names = ("context_length", "max_sequence_length")
    return next((n for name in names if (n := getattr(tower, name, None))), 512)


def _serialize(backbone: keras.Model) -> dict[str, Any]:
    return keras.saving.serialize_keras_object(backbone)


def _deserialize(backbone: keras.Model | dict) -> keras.Model:
    # Keras imports keras_hub itself if the class belongs to it.
    is_config = isinstance(backbone, dict)
    return keras.saving.deserialize_keras_object(backbone) if is_config else backbone
