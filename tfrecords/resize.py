"""Pillow's `Image.resize` inside a TensorFlow graph, equal but for a few last bits.

Pillow goes over the width first, then over the height, and rounds to whole numbers after each
pass. One antialiased resize of both sides at once differs by up to 17 of 255 on photographs.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf


class _Filter(NamedTuple):
    kernel: str  # TensorFlow's name
    reach: float  # pixels each way, of the coarser grid
    # Added before rounding. The triangle's sums are often exact halves, which Pillow rounds up
    # and float32 may leave just below; this is more than its error.
    margin: float


_FILTERS = {
    "bicubic": _Filter("keyscubic", reach=2.0, margin=0.0),
    "bilinear": _Filter("triangle", reach=1.0, margin=2e-4),
}


def resized_centre(
    pixels: tf.Tensor,
    shape: tuple[tf.Tensor | int, tf.Tensor | int],
    *,
    size: int,
    interpolation: str,
) -> tf.Tensor:
    """Resize an image to `shape` and cut out the central square.

    Where the square cannot lie exactly in the middle, it lies half a pixel towards the top or the
    left: transformers' image processors round down too, while torchvision rounds half to even,
    which moves the square by one pixel where the side exceeds `size` by 3 modulo 4.
    Only rows and columns that reach the square are computed.

    Args:
        pixels: uint8 [height, width, 3].
        shape: height and width to resize to, each at least `size`.
        size: side of the square in pixels.
        interpolation: "bicubic" or "bilinear", both antialiased.

    Returns:
        uint8 [size, size, 3].
    """
    filter = _FILTERS[interpolation]
    height, width = tf.unstack(tf.shape(pixels)[:2])
    rows = _Central(height, shape[0], size=size, reach=filter.reach)
    columns = _Central(width, shape[1], size=size, reach=filter.reach)
    pixels = pixels[rows.start : rows.stop, columns.start : columns.stop]
    pixels = _swap(_resize_rows(_swap(pixels), columns, size=size, filter=filter))
    return _resize_rows(pixels, rows, size=size, filter=filter)


def to_uint8(pixels: tf.Tensor) -> tf.Tensor:
    """Round to the nearest, halves up as Pillow does, and clip."""
    return tf.cast(
        tf.raw_ops.ClipByValue(t=pixels + 0.5, clip_value_min=0.0, clip_value_max=255.0), tf.uint8
    )


class _Central:
    """One axis of a centre crop: which part of the input it needs and where that lands.

    `length` pixels become `resized`, of which the central `size` are kept: pixel i of the input
    between `start` and `stop` lands at `(i - start) * scale + shift` in the output.
    """

    def __init__(self, length: tf.Tensor, resized: tf.Tensor | int, *, size: int, reach: float):
        self.scale = tf.cast(resized, tf.float32) / tf.cast(length, tf.float32)
        offset = tf.cast((resized - size) // 2, tf.float32)
        reach = reach / tf.minimum(self.scale, 1.0) + 1.0  # one more is for rounding
        first, last = offset / self.scale - reach, (offset + size) / self.scale + reach
        self.start = tf.maximum(tf.cast(tf.floor(first), tf.int32), 0)
        self.stop = tf.minimum(tf.cast(tf.math.ceil(last), tf.int32), length)
        self.shift = tf.cast(self.start, tf.float32) * self.scale - offset


def _resize_rows(pixels: tf.Tensor, axis: _Central, *, size: int, filter: _Filter) -> tf.Tensor:
    """One pass of Pillow's resize: uint8 [rows, n, 3] to uint8 [size, n, 3]."""
    count = tf.shape(pixels)[1]
    resized = tf.raw_ops.ScaleAndTranslate(
        images=tf.reshape(pixels, [1, -1, 1, count * 3]),  # one column of many channels
        size=[size, 1],
        scale=tf.stack([axis.scale, 1.0]),
        translation=tf.stack([axis.shift, 0.0]),
        kernel_type=filter.kernel,
        antialias=True,
    )
    return to_uint8(tf.reshape(resized, [size, count, 3]) + filter.margin)


def _swap(pixels: tf.Tensor) -> tf.Tensor:
    """Rows to columns. TensorFlow's kernel is several times faster down the rows than along."""
    return tf.transpose(pixels, [1, 0, 2])
