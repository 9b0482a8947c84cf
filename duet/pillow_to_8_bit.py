"""Open images with Pillow and convert them to 8 bits per channel, or raise with the reason."""

from __future__ import annotations

import io
import struct
import threading
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin

_DEEP = 16  # bits per channel of files that often hold only 10 or 12 bits

_TWELVE_BITS = 4095

_ZEROS = bytes(64)

# Tags of TIFF (Adobe, TIFF 6.0): BitsPerSample, PhotometricInterpretation, MaxSampleValue and
# ColorMap.
_BITS_PER_SAMPLE, _PHOTOMETRIC, _MAX_SAMPLE, _COLORS = 258, 262, 281, 320

_WHITE_IS_ZERO = 0  # PhotometricInterpretation

_PLANAR_CONFIGURATION, _SEPARATE = 284, 2  # each channel by itself

_LIBTIFF = threading.Lock()  # a setting of Pillow's per process


class UnreadableError(ValueError):
    """An image that cannot be stored in a record; the message says why."""


def opened(data: bytes, *, formats: list[str] | tuple[str, ...]) -> Image.Image:
    """Opens an image file, its header only.

    TIFFs with each channel by itself are left to libtiff, as all that are compressed: of 16 bits
    Pillow takes every byte for a value, and of grey ones it overlooks that white is 0.

    Raises UnreadableError for grey ones with transparency, which both misread.
    """
    image = Image.open(io.BytesIO(data), formats=formats)
    if tiff_tag(image, _PLANAR_CONFIGURATION) != _SEPARATE:
        return image
    if image.mode == "LA":
        raise UnreadableError("grey and transparency in planes by themselves, expected together")
    with _LIBTIFF:
        before, TiffImagePlugin.READ_LIBTIFF = TiffImagePlugin.READ_LIBTIFF, True
        try:
            return Image.open(io.BytesIO(data), formats=formats)
        finally:
            TiffImagePlugin.READ_LIBTIFF = before


def plain(image: Image.Image, data: bytes = b"") -> Image.Image:
    """Converts to greyscale or RGB with 8 bits per channel, transparent parts on white.

    Raises UnreadableError for 32 bits per pixel, and for 16 bits of which 12 or fewer are used
    unless the file declares it.
    """
    if image.mode in ("I", "F"):
        raise UnreadableError(f"32 bits per pixel (mode {image.mode}), expected 8 or 16")
    _scale_palette(image)
    key, bits = image.info.get("transparency"), _bits(image, data)
    if key is not None and bits == _DEEP:
        raise UnreadableError("16 bits per channel with a transparent colour, expected 8")
    if image.mode.startswith("I;16"):
        grey = np.asarray(image, dtype=np.float32)
        shades = np.rint(grey * (255 / _white(image, grey))).astype(np.uint8)
        if tiff_tag(image, _PHOTOMETRIC) == _WHITE_IS_ZERO:  # Pillow heeds it in 8 bits alone
            shades = 255 - shades
        return Image.fromarray(shades)
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


def _scale_palette(image: Image.Image) -> None:
    """Sets a TIFF's palette of values up to 255: Pillow expects 65535, and gets black."""
    values = getattr(image, "tag_v2", {}).get(_COLORS)
    if image.mode == "P" and values and max(values) < 256:
        image.putpalette(bytes(np.reshape(values, (3, -1)).T.astype(np.uint8).ravel()))


def _white(image: Image.Image, grey: np.ndarray) -> float:
    """Returns the value that means white: the file's maximum, or 65535."""
    maximum = tiff_tag(image, _MAX_SAMPLE)
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
    if image.format == "PNG" and data:
        return png_bit_depth(data)
    if image.format == "TIFF":
        depth = tiff_tag(image, _BITS_PER_SAMPLE)
        return depth if isinstance(depth, int) else 8
    return 8


def png_bit_depth(data: bytes) -> int:
    """Returns bits per channel, or per palette index."""
    return struct.unpack_from("B", data, 24)[0]  # after signature, chunk header, width and height


def tiff_tag(image: Image.Image, tag: int) -> Any:
    """Returns the first value of a TIFF tag; None if it is missing."""
    value = getattr(image, "tag_v2", {}).get(tag)
    return value[0] if isinstance(value, tuple) and value else value


def is_zero_filled(jpeg: bytes) -> bool:
    """Returns whether zeros are in place of a JPEG's end, as in a file that did not arrive whole.

    They decode to grey.
    """
    return jpeg.endswith(_ZEROS) and jpeg.rfind(b"\xff\xd9") < jpeg.rfind(b"\xff\xda")
