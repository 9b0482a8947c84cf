"""Duet's own image transformer, as ViT and CLIP have it."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from dual_encoder.convolution import Convolutions
from dual_encoder.transformer import attributes, blocks, layer_norm, normal


@keras.saving.register_keras_serializable("duet")
class VisionTransformer(keras.layers.Layer):
    """An image tower: patches, class token or average, pre-norm blocks.

    Pixels 0-255 [b, s, s, 3] -> features [b, width]. `stem="convolutions"` replaces the patch
    projection by stride-2 convolutions down to the same grid (Xiao et al. 2021, arXiv:2106.14881),
    which learns much faster on few pictures.

    Args:
        image_size: height and width s in pixels; must be divisible by `patch_size`.
        patch_size: pixels per side of a patch.
        width, depth, heads: of the transformer.
        mlp_ratio: hidden units of a block's mlp, in widths.
        activation: of the mlp.
        stem: `"patch"` or `"convolutions"`.
        pooling: `"token"` (class token, as ViT and CLIP) or `"average"`.
        pre_norm: a layer norm before the first block, as CLIP has.
        dropout: rate inside the blocks.
        mean, std: per channel, of pixels in 0-1.

    Raises:
        ValueError: `patch_size` does not divide `image_size`, or is no power of two where
            convolutions halve it; an unknown `stem` or `pooling`.
    """

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        *,
        width: int,
        depth: int,
        heads: int,
        mlp_ratio: int = 4,
        activation: Any = "gelu",
        stem: str = "patch",
        pooling: str = "token",
        pre_norm: bool = False,
        dropout: float = 0.0,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        _check(image_size, patch_size, stem=stem, pooling=pooling)
        self.image_size, self.patch_size = image_size, patch_size
        self.width, self.depth, self.heads, self.mlp_ratio = width, depth, heads, mlp_ratio
        self.activation = keras.activations.get(activation)
        self.stem, self.pooling, self.pre_norm = stem, pooling, pre_norm
        self.dropout_rate, self.mean, self.std = dropout, tuple(mean), tuple(std)
        self.output_dim = width
        self.grid = image_size // patch_size
        self.convolutions = self._stem() if stem == "convolutions" else None
        self.patch_embedding = keras.layers.Dense(
            width,
            use_bias=stem == "convolutions",
            dtype=self.dtype_policy,
            name="patch_embedding",
        )
        self.norm_pre = layer_norm(self, "norm_pre") if pre_norm else None
        self.blocks = blocks(self)
        self.norm_post = layer_norm(self, "norm_post")

    def _stem(self):
        """Channels double at every step, from 16 or more to the width of the transformer."""
        steps = self.patch_size.bit_length() - 1
        doubling = (max(16, self.width >> (steps - 1 - i)) for i in range(steps))
        widths = [min(self.width, channels) for channels in doubling]
        return Convolutions(widths, dtype=self.dtype_policy, name="convolutions")

    def build(self, input_shape=None):
        tokens = self.grid**2 + (self.pooling == "token")
        features = self.patch_size**2 * 3
        if self.convolutions is not None:
            self.convolutions.build((None, self.image_size, self.image_size, 3))
            features = self.width
        self.patch_embedding.build((None, self.grid**2, features))
        if self.pooling == "token":
            self.class_token = self.add_weight((self.width,), normal(), name="class_token")
        self.positions = self.add_weight((tokens, self.width), normal(), name="positions")
        for layer in filter(None, (self.norm_pre, *self.blocks, self.norm_post)):
            layer.build((None, tokens, self.width))

    def call(self, image, training=None):
        mean, std = np.array(self.mean) * 255, np.array(self.std) * 255
        x = (ops.cast(image, self.compute_dtype) - mean) / std
        x = self.patch_embedding(self._patches(x, training))
        if self.pooling == "token":
            token = ops.broadcast_to(self.class_token, (ops.shape(x)[0], 1, self.width))
            x = ops.concatenate([ops.cast(token, x.dtype), x], axis=1)
        x = x + ops.cast(self.positions, x.dtype)
        if self.norm_pre is not None:
            x = self.norm_pre(x)
        for block in self.blocks:
            x = block(x, training=training)
        x = x[:, 0] if self.pooling == "token" else ops.mean(x, axis=1)
        return self.norm_post(x)

    def _patches(self, x, training):
        """Pixels to [b, grid², features], rows first; a reshape and a matrix product are faster
        on a CPU than a convolution whose stride is its kernel."""
        if self.convolutions is not None:
            x = self.convolutions(x, training=training)
            return ops.reshape(x, (-1, self.grid**2, self.width))
        g, p = self.grid, self.patch_size
        x = ops.transpose(ops.reshape(x, (-1, g, p, g, p, 3)), (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, g * g, p * p * 3))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.output_dim)

    def get_config(self):
        sizes = "image_size patch_size width depth heads mlp_ratio"
        return {
            **super().get_config(),
            **attributes(self, f"{sizes} stem pooling pre_norm mean std"),
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout_rate,
        }


def _check(image_size: int, patch_size: int, *, stem: str, pooling: str) -> None:
    if image_size % patch_size:
        raise ValueError(
            f"image_size: expected a multiple of the patch size {patch_size}; got {image_size}"
        )
    for name, value, choices in (
        ("stem", stem, ("patch", "convolutions")),
        ("pooling", pooling, ("token", "average")),
    ):
        if value not in choices:
            raise ValueError(f"{name}: expected one of {', '.join(choices)}; got {value!r}")
    if stem == "convolutions" and patch_size.bit_count() != 1:
        raise ValueError(
            f'patch_size: stem="convolutions" expects a power of two; got {patch_size}'
        )
