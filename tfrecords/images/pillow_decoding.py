"""Decode image files with Pillow to 8 bits per channel, or raise with the reason."""

from __future__ import annotations

import io
import re
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from tfrecords.images.formats import HEAD_BYTES, kind_of

MAX_PIXELS = 89_478_485  # as in Pillow: a quarter of a gigabyte of RGB

_DEEP = 16  # bits per channel of files that often hold only 10 or 12 bits

_TWELVE_BITS = 4095

# Chunks of a PNG in order, `_` for those that need not be understood; and its last chunk.
_PNG_ORDER = re.compile(rb"IHDR( _)*( PLTE)?( _)*( IDAT)+( _)* IEND")
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"

_ZEROS = bytes(64)

_RGB = 2  # colour type of a PNG

# Tags of TIFF (Adobe, TIFF 6.0): NewSubfileType, BitsPerSample, PhotometricInterpretation,
# MaxSampleValue.
_SUBFILE_TYPE, _BITS_PER_SAMPLE, _PHOTOMETRIC, _MAX_SAMPLE = 254, 258, 262, 281

_WHITE_IS_ZERO = 0  # PhotometricInterpretation

_REDUCED = 1  # NewSubfileType: a reduced-resolution version of another image in the file


class UnreadableError(ValueError):
    """An image that cannot be stored in a record; the message says why."""


def opened(
    data: bytes, *, first_frame: bool, max_pixels: int | None, least: int = 0
) -> tuple[Image.Image, tuple[int, int]]:
    """Decode the whole image, with checks that Pillow omits and other decoders make.

    Args:
        data: the file.
        least: pixels that a side must have; a JPEG with more is decoded at a half, a quarter or an
            eighth, if its sides are multiples of 8, as cameras' are. 0 for all.

    Returns the image, and the width and height that it has in full.

    Raises UnreadableError; Pillow may raise almost any exception for damaged files.
    """
    image = header(data, max_pixels=max_pixels)
    frames = 1 if image.format in ("JPEG", "MPO") else getattr(image, "n_frames", 1)
    if frames > 1 and not first_frame:
        raise UnreadableError(
            f"animated or of several pages: {frames} frames, expected one "
            f"(--first-frame takes the first)"
        )
    if image.format == "TIFF" and _tag(image, _SUBFILE_TYPE) == _REDUCED:
        raise UnreadableError("a camera's raw file: what can be read of it is a thumbnail")
    if image.format == "PNG" and frames == 1:
        image.verify()  # checks all chunk checksums, which load() skips
        image = header(data, max_pixels=max_pixels)
    if frames > 1:
        image.seek(0)
    size = image.size
    if least and not any(side % 8 for side in size):  # others would get half a pixel more
        image.draft(None, (least, least))  # only JPEGs can be
    image.load()
    if image.format in ("JPEG", "MPO") and _is_zero_filled(data):
        raise UnreadableError("truncated: the rest of the file is zeros")
    return image, size


def _is_zero_filled(jpeg: bytes) -> bool:
    """Returns whether zeros are in place of a JPEG's end, as in a file that did not arrive whole.

    They decode to grey.
    """
    return jpeg.endswith(_ZEROS) and jpeg.rfind(b"\xff\xd9") < jpeg.rfind(b"\xff\xda")


def header(data: bytes, *, max_pixels: int | None) -> Image.Image:
    """Opens the image (header only); UnreadableError if it has too many pixels."""
    kind = kind_of(data[:HEAD_BYTES])
    if kind is None:
        raise UnidentifiedImageError
    _know(kind)
    most, limit = max_pixels or MAX_PIXELS, Image.MAX_IMAGE_PIXELS
    if limit is not None and most > limit:
        Image.MAX_IMAGE_PIXELS = most  # Pillow's limit is per process
    try:
        image = Image.open(io.BytesIO(data), formats=(kind,))
        too_large = image.width * image.height > most
    except Image.DecompressionBombError:
        too_large = True
    except UnidentifiedImageError:
        raise UnreadableError(f"damaged: {kind} whose header cannot be read") from None
    if too_large:
        raise UnreadableError(f"more than {most:,} pixels (--max-pixels)")
    return image


def _know(kind: str) -> None:
    """Register the HEIF and AVIF plugins if needed; UnreadableError if not installed."""
    if kind not in ("HEIF", "AVIF") or (kind == "AVIF" and features.check("avif")):
        return
    if kind == "HEIF" and "HEIF" in Image.OPEN:
        return
    try:
        import pillow_heif
    except ImportError:
        name = "HEIC" if kind == "HEIF" else kind
        raise UnreadableError(
            f"a {name} image, which needs pillow-heif: pip install pillow-heif"
        ) from None
    pillow_heif.register_heif_opener()


def plain(image: Image.Image, data: bytes) -> Image.Image:
    """Converts to greyscale or RGB with 8 bits per channel, transparent parts on white.

    Raises UnreadableError for 32 bits per pixel, and for 16 bits of which 12 or fewer are used
    unless the file declares it.
    """
    if image.mode in ("I", "F"):
        raise UnreadableError(f"32 bits per pixel (mode {image.mode}), expected 8 or 16")
    key, bits = image.info.get("transparency"), _bits(image, data)
    if key is not None and bits == _DEEP:
        raise UnreadableError("16 bits per channel with a transparent colour, expected 8")
    if image.mode.startswith("I;16"):
        grey = np.asarray(image, dtype=np.float32)
        shades = np.rint(grey * (255 / _white(image, grey))).astype(np.uint8)
        inverted = _tag(image, _PHOTOMETRIC) == _WHITE_IS_ZERO  # Pillow heeds it in 8 bits alone
        return Image.fromarray(255 - shades if inverted else shades)
    if bits == _DEEP:
        _refuse_shallow(np.asarray(image).astype(np.int32)[..., :3] * 257)
    if bits < 8 and image.mode in ("1", "L") and isinstance(key, int):
        image = image.convert("L")  # Pillow does not scale the transparent colour
        image.info["transparency"] = key * 255 // (2**bits - 1)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    mode = "L" if image.mode in ("L", "1") else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _white(image: Image.Image, grey: np.ndarray) -> float:
    """Returns the value that means white: the file's maximum, or 65535."""
    maximum = _tag(image, _MAX_SAMPLE)
    if isinstance(maximum, int) and 255 <= maximum < 65535 and grey.max() <= maximum:
        return maximum
    _refuse_shallow(grey)
    return 65535


def _refuse_shallow(values: np.ndarray) -> None:
    """Refuses values within 1/16 of the range: 12-bit data in 16 bits, rarely a dark image."""
    most = int(values.max())
    if 0 < most <= _TWELVE_BITS:
        raise UnreadableError(
            f"16 bits per channel of which no value is above {most}: 12 or fewer bits, which would "
            f"be nearly black; expected values that fill the 16 bits"
        )


def _bits(image: Image.Image, data: bytes) -> int:
    """Returns bits per channel in the file; 8 if unknown."""
    if image.format == "PNG":
        return png_bit_depth(data)
    if image.format == "TIFF":
        depth = _tag(image, _BITS_PER_SAMPLE)
        return depth if isinstance(depth, int) else 8
    return 8


def is_simple_png(data: bytes) -> bool:
    """Returns whether a grey or RGB PNG has 8 bits per channel and nothing strict decoders refuse.

    Pillow overlooks chunks in a wrong order, unknown ones that matter, pixels too many, and a
    damaged end.
    """
    kinds: list[bytes] = []
    pixels: list[bytes] = []
    at = 8
    while at + 12 <= len(data) and kinds[-1:] != [b"IEND"]:
        size, kind = struct.unpack_from(">I4s", data, at)
        kinds.append(kind)
        pixels += [data[at + 8 : at + 8 + size]] if kind == b"IDAT" else []
        at += 12 + size
    order = b" ".join(kind if kind[:1].isupper() else b"_" for kind in kinds)
    if not _PNG_ORDER.fullmatch(order) or not data.startswith(_PNG_END, at - len(_PNG_END)):
        return False
    head, width, height, depth, colours, interlaced = struct.unpack_from(">I4xIIBB2xB", data, 8)
    expected = height * (1 + width * (3 if colours == _RGB else 1))
    inflated = zlib.decompressobj()
    count = len(inflated.decompress(b"".join(pixels), 2 * expected + 1))
    whole = inflated.eof and not inflated.unused_data and (interlaced or count == expected)
    return bool(whole) and (head, depth) == (13, 8)


def png_bit_depth(data: bytes) -> int:
    """Returns bits per channel, or per palette index."""
    return struct.unpack_from("B", data, 24)[0]  # after signature, chunk header, width and height


def _tag(image: Image.Image, tag: int) -> Any:
    """Returns the first value of a TIFF tag; None if it is missing."""
    value = getattr(image, "tag_v2", {}).get(tag)
    return value[0] if isinstance(value, tuple) and value else value
