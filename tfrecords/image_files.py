"""Images on their way into records: proved readable, made plain, shrunk if asked.

What is stored must come out of any plain JPEG or PNG decoder as upright pixels with 8 bits per
channel. Files that already are like that keep their bytes; only the others are encoded again.
"""

from __future__ import annotations

import io
import warnings
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError, features

from tfrecords import image_decoding
from tfrecords.image_decoding import UnreadableError as UnreadableError
from tfrecords.image_kinds import WORDS

# MPO is what many phones write, and what Pillow calls it: a JPEG with more images after its end.
_LOSSY = ("JPEG", "MPO", "WEBP", "HEIF", "AVIF")

_ORIENTATION = 0x0112  # the EXIF tag

_JPEG_QUALITY = 95


@dataclass(frozen=True)
class EncodedImage:
    """An encoded image that has been decoded once. `format` is "jpeg" or "png"."""

    data: bytes
    format: str
    height: int
    width: int


def normalise(
    data: bytes,
    *,
    short_side: int | None = None,
    lossless: bool = False,
    first_frame: bool = False,
    max_pixels: int | None = None,
) -> EncodedImage:
    """Check an image file and make it plain.

    A JPEG or PNG that is upright, RGB or greyscale, without transparency and with 8 bits per
    channel is returned byte for byte. Anything else is decoded, turned upright, put on white
    where it is transparent, brought to 8 bits and encoded again: as JPEG (quality 95) if it
    came from a lossy format, as PNG otherwise.

    Args:
        data: the whole file.
        short_side: shrink so that the shorter side has this many pixels (Pillow's antialiased
            bicubic filter). Smaller images are never enlarged.
        lossless: never encode again as JPEG.
        first_frame: take the first frame or page of files with several, in place of refusing them.
        max_pixels: most pixels an image may have, more are refused unread; None for Pillow's
            limit (89,478,485).

    Raises:
        UnreadableError: the file is empty, truncated, damaged, animated or no image at all, or its
            pixels do not fill the bits they are stored in, as 12 bits in a file of 16.
    """
    if not data:
        raise UnreadableError("empty file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata: the pixels decide
        try:
            image = image_decoding.opened(data, first_frame=first_frame, max_pixels=max_pixels)
            small = short_side is None or min(image.size) <= short_side
            if small and _is_plain(image, data):
                kind = "png" if image.format == "PNG" else "jpeg"
                return EncodedImage(data, kind, image.height, image.width)
            kind = "jpeg" if image.format in _LOSSY and not lossless else "png"
            ImageOps.exif_transpose(image, in_place=True)
            image = image_decoding.plain(image, data)
        except MemoryError:
            raise
        except Exception as error:  # damaged files make Pillow raise almost anything
            raise UnreadableError(_reason(error)) from None
    if short_side is not None and min(image.size) > short_side:
        image = image.resize(shrunk_size(*image.size, short_side), Image.Resampling.BICUBIC)
    return EncodedImage(_encode(image, kind), kind, image.height, image.width)


def thumbnail(data: bytes, *, side: int) -> bytes:
    """An image file as a JPEG that fits into a square of `side` pixels; never enlarged.

    Decoded as on the way into records, so whatever is in the file, what comes out is a plain JPEG,
    of the first frame where there are several.

    Raises:
        UnreadableError: it is no image, or a damaged one.
    """
    with Image.open(io.BytesIO(normalise(data, lossless=True, first_frame=True).data)) as image:
        image.thumbnail((side, side), Image.Resampling.BICUBIC)
        return _encode(image, "jpeg", quality=85)


def shrunk_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Width and height once the shorter side is `short_side`; the longer is rounded down."""
    if width <= height:
        return short_side, int(short_side * height / width)
    return int(short_side * width / height), short_side


def versions() -> dict[str, str]:
    """Versions of what decodes and encodes: the same ones give the same bytes."""
    import PIL

    jpeg = features.version("libjpeg_turbo") or features.version("jpg") or "unknown"
    return {"pillow": PIL.__version__, "libjpeg": jpeg, "zlib": zlib.ZLIB_RUNTIME_VERSION}


def _is_plain(image: Image.Image, data: bytes) -> bool:
    """Does a plain decoder give the right pixels?"""
    if image.format not in ("JPEG", "MPO", "PNG") or image.mode not in ("RGB", "L"):
        return False
    if image.format == "PNG":
        if "transparency" in image.info or image_decoding.png_bit_depth(data) != 8:
            return False
    elif data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda"):
        return False  # no end marker after the last scan: Pillow does not mind, TensorFlow does
    turned = range(2, 9)  # 1 is upright; cameras also write 0, which means nothing
    return image.getexif().get(_ORIENTATION, 1) not in turned


def _encode(image: Image.Image, kind: str, *, quality: int = _JPEG_QUALITY) -> bytes:
    buffer = io.BytesIO()
    if kind == "jpeg":
        image.save(buffer, format="JPEG", quality=quality)
    else:
        image.save(buffer, format="PNG")
    return buffer.getvalue()


def _reason(error: Exception) -> str:
    """Why an image was rejected, in one line."""
    if isinstance(error, UnreadableError):
        return str(error)
    if isinstance(error, UnidentifiedImageError):
        return f"not an image of a kind read here ({WORDS})"
    message = " ".join(str(error).split()) or type(error).__name__
    return "truncated" if "truncated" in message.lower() else f"damaged: {message}"


def pixels(encoded: bytes, *, side: int = 160) -> np.ndarray:
    """An image's bytes to pixels uint8 [h, w, 3], at most `side` high and wide."""
    image = Image.open(io.BytesIO(encoded)).convert("RGB")
    image.thumbnail((side, side))
    return np.asarray(image)


def jpeg(pixels: np.ndarray, *, side: int = 144) -> bytes:
    """Pixels uint8 [h, w, 3] to a small JPEG's bytes."""
    buffer, image = io.BytesIO(), Image.fromarray(pixels)
    image.thumbnail((side, side))
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
