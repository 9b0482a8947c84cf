"""Images as people send them, to pixels, by TensorFlow's operations alone.

What is in records has been turned upright and put on white already (`images.normalise`, by
Pillow). An exported model meets images that were not, and has no Pillow: this does the same
inside a graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfrecords.images import decode, pixels_to_square
from tfrecords.preprocessing import Preprocessing

_SEARCHED = 1 << 17  # bytes in which the orientation is looked for; EXIF has at most 64 KiB

_ORIENTATION = 0x0112  # EXIF's tag

_ENTRY = 12  # bytes of an entry of EXIF


def uploads_to_squares(encoded: tf.Tensor, **preprocessing: Any) -> tf.Tensor:
    """The pixels that `read_image` gives, of JPEG and PNG files, in a graph.

    JPEGs are turned as their EXIF says; transparent parts of a PNG become white. (The orientation
    in a PNG, which Pillow reads and hardly anything writes, is not looked for.)

    Args:
        encoded: files, string [b].
        preprocessing: see `Preprocessing`.

    Returns:
        uint8 [b, image_size, image_size, 3], RGB.

    Raises:
        ValueError: an argument of the preprocessing does not fit.
        tf.errors.InvalidArgumentError: when run, for what cannot be decoded.
    """
    wanted = Preprocessing(**preprocessing)
    side = wanted.image_size
    return tf.map_fn(
        lambda file: pixels_to_square(_pixels(file), wanted),
        encoded,
        fn_output_signature=tf.TensorSpec([side, side, 3], tf.uint8),
    )


def _pixels(encoded: tf.Tensor) -> tf.Tensor:
    """One file to uint8 [height, width, 3], upright, without transparency."""
    pixels = tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: _turned(decode(encoded), orientation(encoded)),
        lambda: _on_white(tf.io.decode_png(encoded, channels=4)),
    )
    return tf.ensure_shape(pixels, [None, None, 3])


def _on_white(pixels: tf.Tensor) -> tf.Tensor:
    """RGBA to RGB, uint8."""
    colour, alpha = tf.cast(pixels[..., :3], tf.int32), tf.cast(pixels[..., 3:], tf.int32)
    return tf.cast((colour * alpha + 255 * (255 - alpha) + 127) // 255, tf.uint8)


def _turned(pixels: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Upright pixels of those that were stored with an orientation of 1 to 8."""
    across, down = [1], [0]
    ways: list[tuple[bool, list[int]]] = [  # whether sides are swapped, then axes to reverse
        (False, []),
        (False, across),
        (False, down + across),
        (False, down),
        (True, []),
        (True, across),
        (True, down + across),
        (True, down),
    ]

    def way(swapped: bool, axes: list[int]) -> Callable[[], tf.Tensor]:
        return lambda: tf.reverse(tf.transpose(pixels, [1, 0, 2]) if swapped else pixels, axes)

    return tf.switch_case(orientation - 1, [way(*each) for each in ways])


def orientation(encoded: tf.Tensor) -> tf.Tensor:
    """How a JPEG was stored, int32: 1 upright, 2 to 8 as EXIF has it; 1 where it says nothing.

    Reference: CIPA DC-008 (Exif 2.32), section 4.6.4.A and annex on the APP1 segment.
    """
    data = tf.io.decode_raw(tf.strings.substr(encoded, 0, _SEARCHED), tf.uint8)
    last = tf.size(data) - 1

    def byte(at: tf.Tensor) -> tf.Tensor:  # of places behind the end: the last one
        return tf.cast(tf.gather(data, tf.clip_by_value(at, 0, last)), tf.int32)

    def two(at: tf.Tensor, little: tf.Tensor | bool = False) -> tf.Tensor:
        first, second = byte(at), byte(at + 1)
        return tf.where(little, first + 256 * second, 256 * first + second)

    def is_exif(at: tf.Tensor) -> tf.Tensor:
        named = tf.strings.substr(encoded, tf.minimum(at + 4, last), 4) == b"Exif"
        return (byte(at + 1) == 0xE1) & named

    def is_other_segment(at: tf.Tensor) -> tf.Tensor:  # 0xDA: pixels begin
        here = (at + 10 < last) & (byte(at) == 0xFF) & (byte(at + 1) != 0xDA)
        return here & ~is_exif(at)

    (at,) = tf.while_loop(is_other_segment, lambda at: (at + 2 + two(at + 2),), (tf.constant(2),))
    start = at + 10  # of the TIFF header: byte order, 42, where the first table is
    little = byte(start) == 0x49
    # A place of four bytes, of which those that count are in the first 64 KiB.
    table = start + two(tf.where(little, start + 4, start + 6), little)
    entries = table + 2 + _ENTRY * tf.range(tf.minimum(two(table, little), 256))
    values = tf.where(two(entries, little) == _ORIENTATION, two(entries + 8, little), 0)
    found = tf.reduce_max(tf.concat([values, [0]], 0))
    known = (at + 10 < last) & is_exif(at) & (found >= 1) & (found <= 8)
    return tf.where(known, found, 1)
