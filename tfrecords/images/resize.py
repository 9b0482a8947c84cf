"""Pillow's `Image.resize` inside a TensorFlow graph, equal up to rounding of a few pixels.

Pillow resizes the width first, then the height, and rounds to integers after each pass. A
single antialiased resize of both sides differs by up to 17 of 255 on photographs.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf


class _Filter(NamedTuple):
    kernel: str  # TensorFlow's name
    reach: float  # pixels each way, of the coarser grid
    # Added before rounding: sums of the triangle filter are often exact halves, which Pillow
    # rounds up and float32 may compute slightly low; this exceeds that error.
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
    """Resizes an image to `shape` and crops the central square.

    A square that cannot be exactly central is half a pixel towards the top or left, as in
    transformers' image processors; torchvision rounds half to even, which moves it by one pixel
    if the side exceeds `size` by 3 modulo 4.
    Computes only the rows and columns that reach the square.

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
    """Rounds to the nearest integer, halves up as Pillow does, and clips to 0-255."""
    return tf.cast(
        tf.raw_ops.ClipByValue(t=pixels + 0.5, clip_value_min=0.0, clip_value_max=255.0), tf.uint8
    )


class _Central:
    """One axis of resize and centre crop: the input range it needs, and its output positions.

    `length` pixels become `resized`, of which the central `size` are kept: input pixel i between
    `start` and `stop` maps to `(i - start) * scale + shift` in the output.
    """

    def __init__(self, length: tf.Tensor, resized: tf.Tensor | int, *, size: int, reach: float):
        self.scale = tf.cast(resized, tf.float32) / tf.cast(length, tf.float32)
        offset = tf.cast((resized - size) // 2, tf.float32)
        reach = reach / tf.minimum(self.scale, 1.0) + 1.0  # + 1 for rounding
        first, last = offset / self.scale - reach, (offset + size) / self.scale + reach
        self.start = tf.maximum(tf.cast(tf.floor(first), tf.int32), 0)
        self.stop = tf.minimum(tf.cast(tf.math.ceil(last), tf.int32), length)
        self.shift = tf.cast(self.start, tf.float32) * self.scale - offset


def _resize_rows(pixels: tf.Tensor, axis: _Central, *, size: int, filter: _Filter) -> tf.Tensor:
    """Resizes the rows, one pass of Pillow's resize: uint8 [rows, n, 3] to [size, n, 3]."""
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
    """Transposes: TensorFlow's kernel resizes rows several times faster than columns."""
    return tf.transpose(pixels, [1, 0, 2])
