"""Check image files and normalise them for storage in records; optionally shrink them.

Any plain JPEG or PNG decoder must get upright pixels with 8 bits per channel from a record.
Files that already satisfy this keep their bytes; only the others are re-encoded.
"""

from __future__ import annotations

import contextlib
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError, features

from duet import pillow_to_8_bit, silenced_warnings
from tfrecords.images import pillow_decoding
from tfrecords.images.formats import HEAD_BYTES, WORDS, other_kind_of
from tfrecords.images.pillow_decoding import UnreadableError as UnreadableError

# MPO, written by many phones, is a JPEG followed by more images.
_LOSSY = ("JPEG", "MPO", "WEBP", "HEIF", "AVIF")

_ORIENTATION = 0x0112  # the EXIF tag

_JPEG_QUALITY = 95

# Baseline, extended and progressive with Huffman codes (ITU-T T.81, table B.1). Pillow decodes
# lossless and arithmetic ones too, TensorFlow does not.
_JPEG_PROCESSES = (0xC0, 0xC1, 0xC2)
_LOSSLESS_PROCESSES = (0xC3, 0xCB)

_MOST_SAMPLES = 1 << 29  # pixels times channels of a JPEG; TensorFlow decodes fewer


@dataclass(frozen=True)
class EncodedImage:
    """An encoded image known to decode. `format` is "jpeg" or "png"."""

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
    """Check an image file and convert it to a plain JPEG or PNG.

    A JPEG or PNG that is upright, RGB or greyscale, opaque and with 8 bits per channel is
    returned byte for byte. Anything else is decoded, rotated upright, composited on white,
    converted to 8 bits and re-encoded: as JPEG (quality 95) if it came from a lossy format,
    as PNG otherwise.

    Args:
        data: the whole file.
        short_side: shrink so that the shorter side has this many pixels (Pillow's antialiased
            bicubic filter; unless `lossless`, JPEGs of twice as many are decoded at a half or
            less, which changes them less than JPEG of quality 95 does: on photographs some 45 and
            40 dB). Smaller images are never enlarged.
        lossless: never re-encode as JPEG.
        first_frame: take the first frame or page of files with several instead of refusing them.
        max_pixels: largest accepted number of pixels, checked before decoding; None for 89,478,485,
            which is Pillow's.

    Raises:
        UnreadableError: the file is empty, truncated, damaged, animated or no image at all, or
            its pixels use only part of the bits they are stored in, such as 12 of 16.
    """
    with _saying_why(data):
        image, size = pillow_decoding.opened(
            data,
            first_frame=first_frame,
            max_pixels=max_pixels,
            least=0 if lossless else short_side or 0,
        )
        small = short_side is None or min(size) <= short_side
        if small and _is_plain(image, data):
            kind = "png" if image.format == "PNG" else "jpeg"
            _check_size(image, kind)
            return EncodedImage(data, kind, image.height, image.width)
        kind = "jpeg" if _is_lossy(image, data) and not lossless else "png"
        before = image.size
        ImageOps.exif_transpose(image, in_place=True)
        size = size if image.size == before else size[::-1]
        image = pillow_to_8_bit.plain(image, data)
    if short_side is not None and not small:
        image = image.resize(shrunk_size(*size, short_side), Image.Resampling.BICUBIC)
    _check_size(image, kind)
    return EncodedImage(_encode(image, kind), kind, image.height, image.width)


def _check_size(image: Image.Image, kind: str) -> None:
    """Raises UnreadableError for a JPEG that would be stored and then not be decoded."""
    most = (_MOST_SAMPLES - 1) // len(image.getbands())
    if kind == "jpeg" and image.width * image.height > most:
        raise UnreadableError(
            f"more than {most:,} pixels, which TensorFlow does not decode (--short-side shrinks it)"
        )


def upright(
    data: bytes, *, first_frame: bool = False, max_pixels: int | None = None
) -> Image.Image:
    """Decodes an image file to the pixels, RGB or greyscale, that `normalise` stores without loss.

    Raises UnreadableError as `normalise`.
    """
    with _saying_why(data):
        image, _ = pillow_decoding.opened(data, first_frame=first_frame, max_pixels=max_pixels)
        ImageOps.exif_transpose(image, in_place=True)
        return pillow_to_8_bit.plain(image, data)


def is_plain_jpeg(data: bytes, *, max_pixels: int | None = None) -> bool:
    """Returns whether `normalise` would keep the bytes of this JPEG, by its header and markers.

    Raises UnreadableError as `normalise`, but for pixels that are damaged.
    """
    with _saying_why(data):
        image = pillow_decoding.header(data, max_pixels=max_pixels)
        return image.format in ("JPEG", "MPO") and _is_plain(image, data)


@contextlib.contextmanager
def _saying_why(data: bytes) -> Iterator[None]:
    """Makes an UnreadableError of whatever decoding the file raises."""
    if not data:
        raise UnreadableError("empty file")
    with silenced_warnings.silenced():  # Pillow warns about odd metadata; only pixels matter
        try:
            yield
        except MemoryError:
            raise
        except Exception as error:  # damaged files make Pillow raise almost anything
            raise UnreadableError(_reason(error, data)) from None


def thumbnail(data: bytes, *, side: int, max_pixels: int | None = None) -> bytes:
    """Returns a JPEG of the image, shrunk to fit a square of `side` pixels; never enlarged.

    Decodes as `normalise` does, so the result is always a plain JPEG; of files with several
    frames, the first.

    Raises:
        UnreadableError: it is no image, a damaged one, or one of more than `max_pixels`.
    """
    image = upright(data, first_frame=True, max_pixels=max_pixels)
    image.thumbnail((side, side), Image.Resampling.BICUBIC)
    return _encode(image, "jpeg", quality=85)


def shrunk_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Returns width and height with the shorter side `short_side`, the longer rounded down."""
    if width <= height:
        return short_side, int(short_side * height / width)
    return int(short_side * width / height), short_side


def versions() -> dict[str, str]:
    """Returns the versions of the image libraries: equal versions give equal bytes."""
    import PIL

    jpeg = features.version("libjpeg_turbo") or features.version("jpg") or "unknown"
    return {"pillow": PIL.__version__, "libjpeg": jpeg, "zlib": zlib.ZLIB_RUNTIME_VERSION}


def _is_plain(image: Image.Image, data: bytes) -> bool:
    """Returns whether a plain decoder gives the right pixels."""
    if image.format not in ("JPEG", "MPO", "PNG") or image.mode not in ("RGB", "L"):
        return False
    if image.format == "PNG":
        if "transparency" in image.info or not pillow_decoding.is_simple_png(data):
            return False
    elif data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda"):
        return False  # no end marker after the last scan: Pillow accepts it, TensorFlow does not
    elif pillow_decoding.jpeg_process(data) not in _JPEG_PROCESSES:
        return False
    turned = range(2, 9)  # 1 is upright; cameras also write 0, which is undefined
    return image.getexif().get(_ORIENTATION, 1) not in turned


def _is_lossy(image: Image.Image, data: bytes) -> bool:
    if image.format == "JPEG" and pillow_decoding.jpeg_process(data) in _LOSSLESS_PROCESSES:
        return False
    return image.format in _LOSSY


def _encode(image: Image.Image, kind: str, *, quality: int = _JPEG_QUALITY) -> bytes:
    buffer = io.BytesIO()
    if kind == "jpeg":
        image.save(buffer, format="JPEG", quality=quality)
    else:
        image.save(buffer, format="PNG")
    return buffer.getvalue()


def _reason(error: Exception, data: bytes) -> str:
    """Returns in one line why an image was rejected."""
    if isinstance(error, UnreadableError):
        return str(error)
    if isinstance(error, UnidentifiedImageError):
        kind = other_kind_of(data[:HEAD_BYTES])
        return f"not an image of a kind read here ({WORDS})" + (f", but {kind}" if kind else "")
    message = " ".join(str(error).split()) or type(error).__name__
    return "truncated" if "truncated" in message.lower() else f"damaged: {message}"


def pixels(encoded: bytes, *, side: int = 160) -> np.ndarray:
    """Decodes an image to pixels uint8 [h, w, 3], at most `side` high and wide."""
    image = Image.open(io.BytesIO(encoded)).convert("RGB")
    image.thumbnail((side, side))
    return np.asarray(image)


def jpeg(pixels: np.ndarray, *, side: int = 144) -> bytes:
    """Encodes pixels uint8 [h, w, 3] as a small JPEG."""
    buffer, image = io.BytesIO(), Image.fromarray(pixels)
    image.thumbnail((side, side))
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
