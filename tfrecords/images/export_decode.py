"""Decode uploaded image files with TensorFlow operations only, for exported models.

Records hold images already rotated upright and composited on white (`reencoding.normalise`,
with Pillow). An exported model gets raw files and has no Pillow: this does the same in a graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfrecords.images.graph_ops import decode, pixels_to_square
from tfrecords.preprocessing import Preprocessing

_SEARCHED = 1 << 17  # bytes searched for the orientation; EXIF has at most 64 KiB

_ORIENTATION = 0x0112  # EXIF tag

_ENTRY = 12  # bytes per EXIF entry

_SHORT, _LONG, _SIGNED_SHORT, _SIGNED_LONG = 3, 4, 8, 9  # types of its value that Pillow heeds

_EXIF = 1 << 16  # most EXIF bytes searched

# Regular expressions of RE2, where \C is any byte. Pillow too takes XMP's where EXIF has none.
_IN_XMP = r'(?s)^\C*?tiff:Orientation(?:="|>)([0-9])\C*$'

_HIDDEN = r"(?s)^\C*(?:[tz]TXtRaw profile type exif|iTXtXML:com\.adobe\.xmp\x00\x01)\C*$"


def uploads_to_squares(encoded: tf.Tensor, **preprocessing: Any) -> tf.Tensor:
    """Decodes and preprocesses JPEG and PNG files in a graph, within 2 of 255 of `read_image`.

    Files are rotated as their EXIF says; transparent parts of a PNG become white. Files for which
    a graph cannot reproduce `read_image` are refused: other formats, animated PNGs, CMYK JPEGs
    without Adobe's marker, and 16 bits per channel of which 12 or fewer are used.

    Args:
        encoded: the bytes of the files, string [b].
        preprocessing: see `Preprocessing`.

    Returns:
        uint8 [b, image_size, image_size, 3], RGB.

    Raises:
        ValueError: a preprocessing argument is invalid.
        tf.errors.InvalidArgumentError: at run time, if a file cannot be decoded.
    """
    options = Preprocessing(**preprocessing)
    side = options.image_size
    return tf.map_fn(
        lambda file: pixels_to_square(_pixels(file), options),
        encoded,
        fn_output_signature=tf.TensorSpec([side, side, 3], tf.uint8),
    )


def _pixels(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes one file to uint8 [height, width, 3], upright, without transparency."""
    pixels = tf.cond(tf.io.is_jpeg(encoded), lambda: _of_jpeg(encoded), lambda: _of_png(encoded))
    return tf.ensure_shape(pixels, [None, None, 3])


def _of_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    channels, adobe = jpeg_colours(encoded)
    message = "CMYK JPEG without the marker of Adobe: inverted or not is not said; save it as RGB"
    with tf.control_dependencies([tf.debugging.Assert((channels < 4) | adobe, [message])]):
        pixels = decode(tf.identity(encoded))
    return _turned(pixels, orientation(encoded))


def _of_png(encoded: tf.Tensor) -> tf.Tensor:
    is_png = tf.strings.substr(encoded, 0, 8) == b"\x89PNG\r\n\x1a\n"
    with tf.control_dependencies([tf.debugging.Assert(is_png, ["expected a JPEG or PNG file"])]):
        encoded = tf.identity(encoded)
    chunks = png_chunks(encoded)
    animated = tf.debugging.Assert(chunks["acTL"] < 0, ["animated PNG, expected one frame"])
    with tf.control_dependencies([animated]):
        encoded = tf.identity(encoded)
    depth, colours = (tf.cast(_bytes(encoded, at, 1)[0], tf.int32) for at in (24, 25))
    has_key = (chunks["tRNS"] >= 0) & ((colours == 0) | (colours == 2))
    has_alpha = (colours >= 4) | ((colours == 3) & (chunks["tRNS"] >= 0))
    # Below 8 bits TensorFlow fills in alpha wrongly (not 255); without alpha it decodes right.
    pixels = tf.cond(
        has_alpha,
        lambda: _on_white(tf.io.decode_png(encoded, channels=4)),
        lambda: tf.io.decode_png(encoded, channels=3),
    )
    of_16 = tf.debugging.Assert(
        ~(has_key & (depth == 16)),
        ["16 bits per channel with a transparent colour, expected 8"],
    )
    with tf.control_dependencies([of_16]):
        encoded = tf.identity(encoded)
    pixels = tf.cond(has_key, lambda: _keyed(encoded, chunks["tRNS"], pixels), lambda: pixels)
    with tf.control_dependencies([_check_depth(encoded, depth)]):
        pixels = tf.identity(pixels)
    return _turned(pixels, _png_orientation(encoded, chunks["eXIf"]))


def _png_orientation(encoded: tf.Tensor, exif: tf.Tensor) -> tf.Tensor:
    """Returns the orientation, 1 to 8, from the chunk eXIf at `exif` (-1 if none) or from XMP.

    Refuses EXIF that ImageMagick writes as text, and compressed XMP.
    """

    def of_exif() -> tf.Tensor:
        sizes = _bytes(encoded, exif - 8, 4)
        size = tf.minimum(256 * _byte(sizes, tf.constant(2)) + _byte(sizes, tf.constant(3)), _EXIF)
        return _orientation_at(_bytes(encoded, exif, size), tf.constant(0))

    found = tf.cond(exif >= 0, of_exif, lambda: -1)
    hidden = (found < 0) & tf.strings.regex_full_match(encoded, _HIDDEN)
    message = "EXIF as text or compressed XMP in a PNG, which may turn it; save it upright"
    with tf.control_dependencies([tf.debugging.Assert(~hidden, [message])]):
        return _or_xmp(found, encoded)


def _check_depth(encoded: tf.Tensor, depth: tf.Tensor) -> tf.Operation:
    """Refuses 12-bit data in a 16-bit file (nearly black), as `duet.pillow_to_8_bit.plain` does."""

    def most() -> tf.Tensor:
        pixels = tf.io.decode_png(encoded, channels=3, dtype=tf.uint16)
        return tf.reduce_max(tf.cast(pixels, tf.int32))

    value = tf.cond(depth == 16, most, lambda: 0)
    return tf.debugging.Assert(
        (value == 0) | (value > 4095),
        ["16 bits per channel of which 12 or fewer are used: nearly black; largest value", value],
    )


def _keyed(encoded: tf.Tensor, at: tf.Tensor, pixels: tf.Tensor) -> tf.Tensor:
    """Replaces a PNG's transparent colour (chunk tRNS of grey or RGB) by white."""
    depth, colours = (tf.cast(_bytes(encoded, place, 1)[0], tf.int32) for place in (24, 25))
    count = tf.where(colours == 0, 1, 3)
    sample = tf.cast(_bytes(encoded, at, 2 * count), tf.int32)
    key = (256 * sample[0::2] + sample[1::2]) * 65535 // (tf.bitwise.left_shift(1, depth) - 1)
    exact = tf.cast(tf.io.decode_png(encoded, channels=3, dtype=tf.uint16), tf.int32)
    clear = tf.reduce_all(exact == key, axis=-1, keepdims=True)
    return tf.where(clear, tf.constant(255, tf.uint8), pixels)


def _bytes(encoded: tf.Tensor, at: tf.Tensor | int, count: tf.Tensor | int) -> tf.Tensor:
    """Returns bytes of a file, uint8 [count], fewer at its end."""
    return tf.io.decode_raw(tf.strings.substr(encoded, at, count), tf.uint8)


def png_chunks(encoded: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the offset of data of the chunks tRNS, acTL (both before the pixels) and eXIf.

    Offsets are int32; -1 if it is missing. Reference: PNG (W3C, third edition), section 5.3.
    """
    names, size = ("tRNS", "acTL", "eXIf"), tf.strings.length(encoded)

    def kind(at: tf.Tensor) -> tf.Tensor:
        return tf.strings.substr(encoded, at + 4, 4)

    def more(at: tf.Tensor, pixels: tf.Tensor, *places: tf.Tensor) -> tf.Tensor:
        return (at >= 8) & (at + 12 <= size)

    def step(at: tf.Tensor, pixels: tf.Tensor, *places: tf.Tensor) -> tuple[tf.Tensor, ...]:
        parts = tf.cast(_bytes(encoded, at, 4), tf.int64)
        length = tf.reduce_sum(parts * tf.constant([1 << 24, 1 << 16, 1 << 8, 1], tf.int64))
        offsets = [
            tf.where((kind(at) == name) & ((name == "eXIf") | ~pixels), at + 8, place)
            for name, place in zip(names, places, strict=True)
        ]
        after = tf.minimum(tf.cast(at, tf.int64) + 12 + length, tf.cast(size, tf.int64))
        return (tf.cast(after, tf.int32), pixels | (kind(at) == b"IDAT"), *offsets)

    start = (tf.constant(8), tf.constant(False), *[tf.constant(-1)] * len(names))
    _, _, *offsets = tf.while_loop(more, step, start)
    return dict(zip(names, offsets, strict=True))


def jpeg_colours(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns a JPEG's number of channels, int32 (0 if unknown), and whether Adobe marked it.

    Reference: ITU-T T.81, annex B; Adobe's marker is the segment APP14.
    """
    size = tf.strings.length(encoded)

    def byte(at: tf.Tensor) -> tf.Tensor:
        found = tf.strings.substr(encoded, tf.clip_by_value(at, 0, size - 1), 1)
        return tf.cast(tf.io.decode_raw(found, tf.uint8)[0], tf.int32)

    def more(at: tf.Tensor, channels: tf.Tensor, adobe: tf.Tensor) -> tf.Tensor:
        inside = (at + 10 < size) & (channels == 0)
        return tf.cond(inside, lambda: (byte(at) == 0xFF) & (byte(at + 1) != 0xDA), lambda: False)

    def step(
        at: tf.Tensor, channels: tf.Tensor, adobe: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        marker = byte(at + 1)
        frame = (marker >= 0xC0) & (marker <= 0xCF) & (marker != 0xC4) & (marker != 0xC8)
        frame &= marker != 0xCC
        named = tf.strings.substr(encoded, at + 4, 5) == b"Adobe"
        length = 256 * byte(at + 2) + byte(at + 3)
        return (
            tf.where(marker == 0xFF, at + 1, at + 2 + length),  # 0xFF: a padding byte
            tf.where(frame, byte(at + 9), channels),
            adobe | ((marker == 0xEE) & named),
        )

    start = (tf.constant(2), tf.constant(0), tf.constant(False))
    _, channels, adobe = tf.while_loop(more, step, start)
    return channels, adobe


def _on_white(pixels: tf.Tensor) -> tf.Tensor:
    """Composites RGBA on white: returns RGB, uint8."""
    colour, alpha = tf.cast(pixels[..., :3], tf.int32), tf.cast(pixels[..., 3:], tf.int32)
    return tf.cast((colour * alpha + 255 * (255 - alpha) + 127) // 255, tf.uint8)


def _turned(pixels: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Rotates or flips pixels stored with an EXIF orientation of 1 to 8 to be upright."""
    across, down = [1], [0]
    operations: list[tuple[bool, list[int]]] = [  # whether sides are swapped, then axes to reverse
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

    return tf.switch_case(orientation - 1, [way(*each) for each in operations])


def orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Returns a JPEG's orientation from EXIF or XMP, int32, 1 (upright) to 8; 1 if it has none.

    Reference: CIPA DC-008 (Exif 2.32), section 4.6.4.A and annex on the APP1 segment.
    """
    data = _bytes(encoded, 0, _SEARCHED)
    last = tf.size(data) - 1

    def is_exif(at: tf.Tensor) -> tf.Tensor:
        named = tf.strings.substr(encoded, tf.minimum(at + 4, last), 4) == b"Exif"
        return (_byte(data, at + 1) == 0xE1) & named

    def is_other_segment(at: tf.Tensor) -> tf.Tensor:  # 0xDA: start of the pixel data
        here = (at + 10 < last) & (_byte(data, at) == 0xFF) & (_byte(data, at + 1) != 0xDA)
        return here & ~is_exif(at)

    def after(at: tf.Tensor) -> tuple[tf.Tensor]:  # 0xFF before a marker is a padding byte
        return (tf.where(_byte(data, at + 1) == 0xFF, at + 1, at + 2 + _two(data, at + 2)),)

    (at,) = tf.while_loop(is_other_segment, after, (tf.constant(2),))
    found = tf.where((at + 10 < last) & is_exif(at), _orientation_at(data, at + 10), -1)
    return _or_xmp(found, tf.strings.substr(encoded, 0, _SEARCHED))


def _or_xmp(found: tf.Tensor, encoded: tf.Tensor) -> tf.Tensor:
    """Returns the orientation that EXIF gave, or if it has none (-1), that of XMP; else 1."""
    text = tf.strings.regex_replace(encoded, _IN_XMP, r"\1")
    in_xmp = tf.cond(
        tf.strings.length(text) == 1,
        lambda: tf.strings.to_number(text, tf.int32),
        lambda: tf.constant(1),
    )
    value = tf.where(found < 0, in_xmp, found)
    return tf.where((value >= 1) & (value <= 8), value, 1)


def _orientation_at(data: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """Returns the orientation in the EXIF data whose TIFF header is at `start`; -1 if none."""
    little = _byte(data, start) == 0x49
    # A four-byte offset; valid ones are within the first 64 KiB.
    table = start + _two(data, tf.where(little, start + 4, start + 6), little)
    entries = table + 2 + _ENTRY * tf.range(tf.minimum(_two(data, table, little), 256))
    whole = entries + _ENTRY <= tf.size(data)
    kind = _two(data, entries + 2, little)
    wide = (kind == _LONG) | (kind == _SIGNED_LONG)  # of four bytes, whose last two say it
    is_it = whole & (_two(data, entries, little) == _ORIENTATION)
    is_it &= wide | (kind == _SHORT) | (kind == _SIGNED_SHORT)
    values = tf.where(is_it, _two(data, entries + tf.where(wide & ~little, 10, 8), little), -1)
    return tf.reduce_max(tf.concat([values, [-1]], 0))


def _byte(data: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
    """Returns bytes as int32; offsets past the end give the last byte."""
    return tf.cast(tf.gather(data, tf.clip_by_value(at, 0, tf.size(data) - 1)), tf.int32)


def _two(data: tf.Tensor, at: tf.Tensor, little: tf.Tensor | bool = False) -> tf.Tensor:
    """Returns two-byte numbers as int32."""
    first, second = _byte(data, at), _byte(data, at + 1)
    return tf.where(little, first + 256 * second, 256 * first + second)
