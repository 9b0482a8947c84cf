"""Cut images into patches: for transformers, and as a stem of patches of patches."""

from functools import partial
from typing import Any

import keras
from keras import ops


def in_patches(x: Any, side: int, grid: int) -> Any:
    """Returns x [b, grid * side, grid * side, c] as rows of patches [b, grid², side² * c].

    On a CPU, this and a matmul are faster than a convolution with stride equal to its kernel size.
    """
    channels = x.shape[-1]
    if side > 1:
        x = ops.reshape(x, (-1, grid, side, grid, side, channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (-1, grid * grid, side * side * channels))


@keras.saving.register_keras_serializable("duet")
class NestedPatches(keras.layers.Layer):
    """Projects patches, and 2 x 2 of them again, each with GELU.

    [b, s, s, 3] -> [b, s / side / 2, s / side / 2, width]; batch norms between are part of the
    projections, with their moving statistics.

    Args:
        side: pixels of the first patches.
        width: channels.

    Reference: Vasu et al. 2023 (arXiv:2311.17049), MobileCLIP-B.
    """

    def __init__(self, side: int, width: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.side, self.width = side, width
        dense = partial(keras.layers.Dense, activation="gelu", dtype=self.dtype_policy)
        self.projections = [dense(width, name=f"patches_{i}") for i in range(2)]

    def build(self, input_shape):
        first, second = self.projections
        first.build((None, None, self.side**2 * input_shape[-1]))
        second.build((None, None, 4 * self.width))

    def call(self, x, training=None):
        for projection, side in zip(self.projections, (self.side, 2), strict=True):
            grid = x.shape[1] // side
            x = projection(in_patches(x, side, grid))
            x = ops.reshape(x, (-1, grid, grid, self.width))
        return x

    def compute_output_shape(self, input_shape):
        b, *sides, _ = input_shape
        return (b, *(side // self.side // 2 for side in sides), self.width)

    def get_config(self):
        return {**super().get_config(), "side": self.side, "width": self.width}
