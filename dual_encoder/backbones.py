"""Towers around backbones of other libraries: `keras.applications` and KerasHub."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops


@dataclass(frozen=True)
class Application:
    """A network of `keras.applications` and what it expects of pixels 0-255."""

    function: str
    image_size: int
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    bgr: bool = False


APPLICATIONS: Mapping[str, Application] = {
    "xception": Application("Xception", 299, mean=(127.5,) * 3, std=(127.5,) * 3),
    "resnet50": Application("ResNet50", 224, mean=(103.939, 116.779, 123.68), bgr=True),
    "efficientnet-b7": Application("EfficientNetB7", 600),  # rescales pixels itself
}


@keras.saving.register_keras_serializable("duet")
class ApplicationsTower(keras.layers.Layer):
    """An image tower of `keras.applications`, averaged over places: [b, s, s, 3] -> [b, d].

    Args:
        architecture: a key of `APPLICATIONS`.
        image_size: pixels; the architecture's own without one.
        weights: None, `"imagenet"`, or a weights file of the network without its top.
    """

    def __init__(self, architecture, *, image_size=None, weights=None, **kwargs):
        super().__init__(**kwargs)
        self.architecture = architecture
        self.application = APPLICATIONS[architecture]
        self.image_size = image_size or self.application.image_size
        self.backbone = getattr(keras.applications, self.application.function)(
            include_top=False,
            weights=weights,
            pooling="avg",
            input_shape=(self.image_size, self.image_size, 3),
        )
        self.output_dim = self.backbone.output_shape[-1]

    def build(self, input_shape=None):
        self.built = True

    def call(self, image, training=None):
        expects = self.application
        x = ops.cast(image, self.compute_dtype)
        x = ops.flip(x, axis=-1) if expects.bgr else x
        x = (x - np.array(expects.mean, "float32")) / np.array(expects.std, "float32")
        return self.backbone(x, training=training)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.output_dim)

    def get_config(self):
        own = {"architecture": self.architecture, "image_size": self.image_size}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("duet")
class HubImageTower(keras.layers.Layer):
    """A KerasHub ViT backbone as an image tower; features of the class token, [b, d].

    Args:
        backbone: a `keras_hub.models.ViTBackbone`, or its serialised form.
        mean, std: per channel, of pixels in 0-255.
    """

    def __init__(self, backbone, *, mean=(127.5,) * 3, std=(127.5,) * 3, **kwargs):
        super().__init__(**kwargs)
        self.backbone = _deserialize(backbone)
        self.mean, self.std = tuple(mean), tuple(std)
        self.image_size = self.backbone.image_shape[0]
        self.output_dim = self.backbone.hidden_dim

    def build(self, input_shape=None):
        self.built = True

    def call(self, image, training=None):
        x = ops.cast(image, self.compute_dtype)
        x = (x - np.array(self.mean, "float32")) / np.array(self.std, "float32")
        return self.backbone(x, training=training)[:, 0]

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.output_dim)

    def get_config(self):
        own = {"backbone": _serialize(self.backbone), "mean": self.mean, "std": self.std}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("duet")
class HubTextTower(keras.layers.Layer):
    """A KerasHub BERT backbone as a text tower; its pooled output, [b, n] -> [b, d].

    Padding is masked out, so rows may be cut behind the longest text.

    Args:
        backbone: a `keras_hub.models.BertBackbone`, or its serialised form.
        context_length: most tokens per text.
        pad_id: id of the padding.
    """

    trims_exactly = True

    def __init__(self, backbone, *, context_length, pad_id, **kwargs):
        super().__init__(**kwargs)
        self.backbone = _deserialize(backbone)
        self.context_length, self.pad_id = context_length, pad_id
        self.output_dim = self.backbone.hidden_dim

    def build(self, input_shape=None):
        self.built = True

    def call(self, token_ids, training=None):
        inputs = {
            "token_ids": token_ids,
            "segment_ids": ops.zeros_like(token_ids),
            "padding_mask": ops.cast(ops.not_equal(token_ids, self.pad_id), "int32"),
        }
        return self.backbone(inputs, training=training)["pooled_output"]

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.output_dim)

    def get_config(self):
        own = {"backbone": _serialize(self.backbone)}
        own |= {"context_length": self.context_length, "pad_id": self.pad_id}
        return {**super().get_config(), **own}


def _serialize(backbone: keras.Model) -> dict[str, Any]:
    return keras.saving.serialize_keras_object(backbone)


def _deserialize(backbone: Any) -> keras.Model:
    if not isinstance(backbone, dict):
        return backbone
    import keras_hub  # noqa: F401  registers its classes

    return keras.saving.deserialize_keras_object(backbone)
