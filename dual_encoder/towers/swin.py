"""Swin transformer: attention in shifted windows."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from dual_encoder.towers.base import ImageTower
from dual_encoder.towers.transformer import attributes, normal


@keras.saving.register_keras_serializable("duet")
class SwinBlock(keras.layers.Layer):
    """x + attention(norm(x)) inside windows, then x + mlp(norm(x)): [b, h, w, c] -> same.

    Args:
        width: channels.
        heads: attention heads; must divide the width.
        side: height and width of the feature maps.
        window: height and width of a window; must divide the side.
        shift: offset of the windows, down and to the right.
        mlp_dim: units of the hidden layer of the mlp.
        activation: of the hidden layer.
        epsilon: of the layer norms.

    Reference: Liu et al. 2021 (arXiv:2103.14030), sections 3.2 and 3.3.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        side: int,
        window: int,
        shift: int,
        mlp_dim: int,
        activation: Any = "gelu",
        epsilon: float = 1e-5,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.width, self.heads, self.mlp_dim, self.epsilon = width, heads, mlp_dim, epsilon
        self.side, self.window, self.shift = side, window, shift
        self.activation = keras.activations.get(activation)
        dense = partial(keras.layers.Dense, dtype=self.dtype_policy)
        norm = partial(keras.layers.LayerNormalization, epsilon=epsilon, dtype=self.dtype_policy)
        self.norm_1, self.norm_2 = norm(name="norm_1"), norm(name="norm_2")
        self.query_key_value = dense(3 * width, name="query_key_value")
        self.attention_output = dense(width, name="attention_output")
        self.mlp_hidden = dense(mlp_dim, name="mlp_hidden")
        self.mlp_output = dense(width, name="mlp_output")

    def build(self, input_shape=None):
        places = (None, None, self.width)
        for layer in (self.norm_1, self.query_key_value, self.attention_output, self.norm_2):
            layer.build(places)
        self.mlp_hidden.build(places)
        self.mlp_output.build((None, None, self.mlp_dim))
        shape = ((2 * self.window - 1) ** 2, self.heads)
        self.relative_positions = self.add_weight(shape, normal(), name="relative_positions")

    def call(self, x, training=None):
        windows = self._windows(ops.roll(self.norm_1(x), (-self.shift,) * 2, axis=(1, 2)))
        mixed = self.attention_output(self._attend(self.query_key_value(windows)))
        x = x + ops.roll(self._maps(mixed), (self.shift,) * 2, axis=(1, 2))
        return x + self.mlp_output(self.activation(self.mlp_hidden(self.norm_2(x))))

    def _windows(self, x):
        """Splits feature maps [b, side, side, d] into windows [b, windows, n, d]."""
        count, w, d = self.side // self.window, self.window, x.shape[-1]
        x = ops.transpose(ops.reshape(x, (-1, count, w, count, w, d)), (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, count**2, w * w, d))

    def _maps(self, x):
        """Merges windows [b, windows, n, d] into feature maps [b, side, side, d]."""
        count, w, d = self.side // self.window, self.window, x.shape[-1]
        x = ops.transpose(ops.reshape(x, (-1, count, count, w, w, d)), (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, self.side, self.side, d))

    def _attend(self, x):
        count, places = (self.side // self.window) ** 2, self.window**2
        size = self.width // self.heads
        x = ops.reshape(x, (-1, count, places, 3, self.heads, size))
        query, key, value = (ops.transpose(x[:, :, :, i], (0, 1, 3, 2, 4)) for i in range(3))
        scores = ops.matmul(query * size**-0.5, ops.swapaxes(key, -1, -2))
        bias = ops.take(self.relative_positions, _relative(self.window), axis=0)
        scores = scores + ops.cast(ops.transpose(bias, (2, 0, 1)), scores.dtype)
        if self.shift:
            apart = _apart(self.side, self.window, self.shift)
            scores = scores + ops.cast(apart[:, None], scores.dtype)
        mixed = ops.matmul(ops.softmax(scores, axis=-1), value)
        mixed = ops.transpose(mixed, (0, 1, 3, 2, 4))
        return ops.reshape(mixed, (-1, count, places, self.width))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            **attributes(self, "width heads side window shift mlp_dim epsilon"),
            "activation": keras.activations.serialize(self.activation),
        }


def _relative(window: int) -> np.ndarray:
    """Returns the position table's row for each pair of positions in a window, [n, n]."""
    y, x = (each.reshape(-1) for each in np.mgrid[:window, :window])
    steps = [axis[:, None] - axis[None] + window - 1 for axis in (y, x)]
    return steps[0] * (2 * window - 1) + steps[1]


def _apart(side: int, window: int, shift: int) -> np.ndarray:
    """Returns a mask of 0 and -100, [windows, n, n], that separates opposite borders."""
    places = np.arange(side)
    band = (places >= side - window).astype(int) + (places >= side - shift)
    region = band[:, None] * 3 + band[None]
    count = side // window
    region = region.reshape(count, window, count, window).transpose(0, 2, 1, 3)
    region = region.reshape(count**2, window**2)
    return np.where(region[:, :, None] == region[:, None], 0.0, -100.0).astype("float32")


@keras.saving.register_keras_serializable("duet")
class Swin(ImageTower):
    """An image tower: pixels 0-255 [b, s, s, 3] -> features [b, d], d doubling at every stage.

    Args:
        image_size: height and width s in pixels.
        patch_size: pixels per side of a patch.
        width: channels of the first stage.
        depths, heads: blocks, and attention heads, of each stage.
        window: height and width of a window, limited to the size of a stage's feature maps.
        mlp_ratio: hidden units of a block's mlp, as a multiple of the width.
        activation, epsilon: of the blocks.
        kwargs: of `ImageTower`.

    Raises:
        ValueError: windows do not divide the feature maps of a stage, or these have an odd side.
    """

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        *,
        width: int,
        depths: Sequence[int],
        heads: Sequence[int],
        window: int,
        mlp_ratio: float = 4,
        activation: Any = "gelu",
        epsilon: float = 1e-5,
        **kwargs: Any,
    ):
        super().__init__(image_size, **kwargs)
        self.patch_size, self.width, self.window = patch_size, width, window
        self.depths, self.heads, self.mlp_ratio = tuple(depths), tuple(heads), mlp_ratio
        self.activation, self.epsilon = keras.activations.get(activation), epsilon
        self.output_dim = width * 2 ** (len(self.depths) - 1)
        self.sides = [image_size // patch_size // 2**i for i in range(len(self.depths))]
        for i, side in enumerate(self.sides):
            if side % min(window, side) or image_size % (patch_size * 2**i):
                raise ValueError(
                    f"image_size: expected maps that windows of {window} fill; got {side} places "
                    f"in stage {i + 1} of images of {image_size} pixels"
                )
        norm = partial(keras.layers.LayerNormalization, epsilon=epsilon, dtype=self.dtype_policy)
        dense = partial(keras.layers.Dense, dtype=self.dtype_policy)
        self.patch_embedding = dense(width, name="patch_embedding")
        self.patch_norm, self.last_norm = norm(name="patch_norm"), norm(name="last_norm")
        stages = range(len(self.depths))
        self.stages = [
            [self._block(stage, i) for i in range(depth)] for stage, depth in enumerate(self.depths)
        ]
        self.norms = [norm(name=f"norm_{i}") for i in stages[1:]]
        self.mergings = [
            dense(width * 2**i, use_bias=False, name=f"merging_{i}") for i in stages[1:]
        ]

    def _block(self, stage: int, i: int) -> SwinBlock:
        side, width = self.sides[stage], self.width * 2**stage
        return SwinBlock(
            width,
            self.heads[stage],
            side=side,
            window=min(self.window, side),
            shift=self.window // 2 if i % 2 and side > self.window else 0,
            mlp_dim=int(self.mlp_ratio * width),
            activation=self.activation,
            epsilon=self.epsilon,
            dtype=self.dtype_policy,
            name=f"stage_{stage}_block_{i}",
        )

    def build(self, input_shape=None):
        self.patch_embedding.build((None, None, None, self.patch_size**2 * 3))
        self.patch_norm.build((None, None, None, self.width))
        for i, (norm, merging) in enumerate(zip(self.norms, self.mergings, strict=True)):
            norm.build((None, None, None, 4 * self.width * 2**i))
            merging.build((None, None, None, 4 * self.width * 2**i))
        for blocks in self.stages:
            for block in blocks:
                block.build()
        self.last_norm.build((None, None, None, self.output_dim))

    def call(self, image, training=None):
        x = self.patch_norm(self.patch_embedding(_squares(self.normalize(image), self.patch_size)))
        for stage, blocks in enumerate(self.stages):
            if stage:
                x = self.mergings[stage - 1](self.norms[stage - 1](_quarters(x)))
            for block in blocks:
                x = block(x, training=training)
        return ops.mean(self.last_norm(x), axis=(1, 2))

    def layers_in_order(self) -> list[keras.layers.Layer]:
        """Returns all layers from input to output."""
        layers = [self.patch_embedding, self.patch_norm, *self.stages[0]]
        for norm, merging, blocks in zip(self.norms, self.mergings, self.stages[1:], strict=True):
            layers += [norm, merging, *blocks]
        return [*layers, self.last_norm]

    def get_config(self):
        return {
            **super().get_config(),
            **attributes(self, "patch_size width depths heads window mlp_ratio epsilon"),
            "activation": keras.activations.serialize(self.activation),
        }


def _squares(x: Any, p: int) -> Any:
    """Flattens the pixels of each patch, rows first: [b, s, s, 3] -> [b, s/p, s/p, 3 p²]."""
    side = x.shape[1] // p
    x = ops.transpose(ops.reshape(x, (-1, side, p, side, p, 3)), (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (-1, side, side, p * p * 3))


def _quarters(x: Any) -> Any:
    """Stacks 2 x 2 neighbours as channels, columns first; halves the side."""
    side, d = x.shape[1] // 2, x.shape[-1]
    x = ops.transpose(ops.reshape(x, (-1, side, 2, side, 2, d)), (0, 1, 3, 4, 2, 5))
    return ops.reshape(x, (-1, side, side, 4 * d))
