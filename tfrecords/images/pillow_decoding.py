"""Open image files with Pillow, with checks that it omits, or raise with the reason."""

from __future__ import annotations

import re
import struct
import zlib

from PIL import Image, UnidentifiedImageError, features

from duet import pillow_to_8_bit
from tfrecords.images.formats import HEAD_BYTES, kind_of

MAX_PIXELS = 89_478_485  # as in Pillow: a quarter of a gigabyte of RGB

# Chunks of a PNG in order, `_` for those that need not be understood; and its last chunk.
_PNG_ORDER = re.compile(rb"IHDR( _)*( PLTE)?( _)*( IDAT)+( _)* IEND")
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"

_RGB = 2  # colour type of a PNG

UnreadableError = pillow_to_8_bit.UnreadableError

_SUBFILE_TYPE = 254  # a tag of TIFF

_REDUCED = 1  # NewSubfileType: a reduced-resolution version of another image in the file


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
    if image.format == "TIFF" and pillow_to_8_bit.tiff_tag(image, _SUBFILE_TYPE) == _REDUCED:
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
    if image.format in ("JPEG", "MPO") and pillow_to_8_bit.is_zero_filled(data):
        raise UnreadableError("truncated: the rest of the file is zeros")
    return image, size


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
        image = pillow_to_8_bit.opened(data, formats=(kind,))
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


def jpeg_process(data: bytes) -> int:
    """Returns the second byte of a JPEG's frame marker, SOF0 to SOF15; 0 if there is none."""
    at = 2
    while 0 <= (at := data.find(b"\xff", at)) < len(data) - 3:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return marker
        if marker in (0x00, 0xFF):  # no marker, a byte that fills
            at += 1
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return 0


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
