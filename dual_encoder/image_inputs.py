"""Convert paths, PIL images and arrays to the pixels that a tower expects.

The same preprocessing as `tfrecords.read_image`: upright, transparent parts on white, 8 bits per
channel, resized as by Pillow, centre crop.
"""

import os
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

from duet import silenced_warnings

# Formats Pillow may try, AVIF and HEIF if supported; others are excluded, as some run external
# programs.
KINDS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")

TWELVE_BITS = 4095


def as_pixels(
    images: Any, *, image_size: int, resize: str = "crop", interpolation: str = "bicubic", **_: Any
) -> Any:
    """Converts images of any kind to pixels [b, image_size, image_size, 3]; keeps batches as is.

    Raises:
        ValueError: an unreadable image, an array of another shape, or an unsupported type.
        FileNotFoundError: no such file.
    """
    options: dict[str, Any] = {"size": image_size, "resize": resize, "interpolation": interpolation}
    if isinstance(images, list | tuple) and images:
        return np.stack([_one(each, **options) for each in images])
    if not hasattr(images, "shape"):
        return _one(images, **options)[None]
    if keras.backend.is_keras_tensor(images) or len(images.shape) == 4:
        return _checked(images, image_size)
    if len(images.shape) != 3:
        raise ValueError(f"images: expected [b, h, w, 3] or [h, w, 3]; got {list(images.shape)}")
    return _one(images, **options)[None]


def notice_fractions(images: Any) -> None:
    """Warns if image arrays hold fractions of 1, as after `Rescaling(1 / 255)`."""
    if not isinstance(images, np.ndarray) or images.ndim < 3 or images.dtype.kind != "f":
        return
    some = images[:8]
    if some.size and 0 < some.max() <= 1:
        warnings.warn(
            "images: expected pixels 0-255, which models normalise themselves; got floats of at "
            f"most {some.max():.3g}: leave out the division by 255, or multiply by 255",
            stacklevel=4,
        )


def _checked(images: Any, size: int) -> Any:
    notice_fractions(images)
    shape = tuple(images.shape)
    if any(n not in (None, size) for n in shape[1:3]) or shape[3] not in (None, 3):
        raise ValueError(
            f"images: expected pixels [b, {size}, {size}, 3]; got {list(shape)}; a list of uint8 "
            "images is resized"
        )
    return images


def _one(image: Any, *, size: int, resize: str, interpolation: str) -> Any:
    """Converts one image of any kind to pixels [size, size, 3]."""
    if hasattr(image, "shape"):
        array = np.asarray(image)
        if array.shape == (size, size, 3):
            notice_fractions(array)
            return array
        if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or not array.size:
            raise ValueError(
                f"images: expected pixels uint8 [h, w, 3], or any [{size}, {size}, 3]; got "
                f"{array.dtype} {list(array.shape)}"
            )
    from PIL import Image

    if hasattr(image, "shape"):
        opened = Image.fromarray(array)
    elif isinstance(image, Image.Image):
        opened = _plain(image)
    elif isinstance(image, str | os.PathLike):
        if "://" in str(image):
            raise ValueError(f"images: expected a file; got {image!r}; download it first")
        opened = _read(Path(image))
    else:
        raise ValueError(
            "images: expected a path, a PIL image, an array or a list of these; got "
            f"{type(image).__name__}"
        )
    return _square(opened, size=size, resize=resize, interpolation=interpolation)


def _read(path: Path) -> Any:
    from PIL import Image, UnidentifiedImageError

    data = path.open("rb")  # FileNotFoundError names the path
    with data, silenced_warnings.silenced():  # Pillow warns about odd metadata; only pixels matter
        try:
            Image.init()
            image = Image.open(data, formats=[kind for kind in KINDS if kind in Image.OPEN])
            frames = 1 if image.format in ("JPEG", "MPO") else getattr(image, "n_frames", 1)
            image.load()
        except MemoryError:
            raise
        except Exception as error:  # Pillow raises almost anything for damaged files
            unknown = isinstance(error, UnidentifiedImageError)
            reason = "of no kind read here" if unknown else " ".join(str(error).split())
            raise ValueError(f"{path}: not a readable image ({reason})") from None
    if frames > 1:
        raise ValueError(f"{path}: expected one frame; got {frames}")
    return _plain(image)


def _plain(image: Any) -> Any:
    """Converts to upright RGB with 8 bits per channel, transparent parts on white."""
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "F"):
        raise ValueError(f"images: expected 8 or 16 bits per channel; got 32 (mode {image.mode})")
    if image.mode.startswith("I;16"):
        grey = np.asarray(image, dtype=np.float32)
        if 0 < grey.max() <= TWELVE_BITS:
            raise ValueError(
                f"images: expected values that fill their 16 bits; got {grey.max():.0f} at most, "
                "12 bits or fewer, which would be nearly black"
            )
        return Image.fromarray(np.rint(grey / 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _square(image: Any, *, size: int, resize: str, interpolation: str) -> np.ndarray:
    from PIL import Image

    resample = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
    short, shape = min(image.size), (size, size)
    if resize == "crop":
        shape = tuple(size * side // short for side in image.size)
    resized = image.resize(shape, resample[interpolation])
    left, top = ((side - size) // 2 for side in shape)
    return np.asarray(resized.crop((left, top, left + size, top + size)))
