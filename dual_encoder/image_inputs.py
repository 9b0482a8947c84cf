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

from dual_encoder.towers.compiled_functions import is_plain
from duet import silenced_warnings

# Formats Pillow may try, AVIF and HEIF if supported; others are excluded, as some run external
# programs.
KINDS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")


def as_pixels(
    images: Any,
    *,
    image_size: int,
    resize: str = "crop",
    interpolation: str = "bicubic",
    crop_fraction: float = 1.0,
) -> Any:
    """Converts images of any kind to pixels [b, image_size, image_size, 3]; keeps batches as is.

    The options are those of `tfrecords.Preprocessing`.

    Raises:
        ValueError: an unreadable image, an array of another shape, or an unsupported type.
        FileNotFoundError: no such file.
    """
    shape: Any = getattr(images, "shape", None)
    known = shape is not None and getattr(shape, "rank", 0) is not None
    if (known and 0 in tuple(shape)[:1]) or (isinstance(images, list | tuple) and not images):
        raise ValueError("images: expected one or more; got none")
    options: dict[str, Any] = {
        "size": image_size,
        "side": int(image_size / crop_fraction),
        "resize": resize,
        "interpolation": interpolation,
    }
    if isinstance(images, np.ndarray) and images.ndim == 1 and images.dtype.kind in "UO":
        images = list(images)  # an array of paths
    if isinstance(images, list | tuple):
        return np.stack([_one(each, **options) for each in images])
    if not hasattr(images, "shape") or isinstance(images, str):
        return _one(images, **options)[None]
    if keras.backend.is_keras_tensor(images) or len(images.shape) == 4:
        return _checked(images, image_size)
    if len(images.shape) != 3:
        raise ValueError(f"images: expected [b, h, w, 3] or [h, w, 3]; got {list(images.shape)}")
    return _one(images, **options)[None]


def notice_range(images: Any) -> None:
    """Warns if images hold fractions of 1, as after `Rescaling(1 / 255)`, are normalised, or have
    16 bits: of an array, or a tensor with values, eight images are looked at.

    What bicubic resizing leaves a little outside of 0-255 is as it should be.

    Raises ValueError for NaN or infinity among them.
    """
    if not hasattr(images, "__array__") or not is_plain(images):
        return
    shape, dtype = tuple(images.shape), keras.backend.standardize_dtype(images.dtype)
    if len(shape) < 3 or 0 in shape or dtype == "uint8":
        return
    some = images[:: max(1, shape[0] // 8)][:8] if len(shape) == 4 else images
    some = np.asarray(some).astype("float32")
    least, most = float(some.min()), float(some.max())
    if not np.isfinite(least + most):
        raise ValueError("images: expected finite pixels, 0-255; got NaN or infinity among them")
    if ("float" in dtype or dtype == "bool") and 0 <= least < most <= 1:
        got = f"floats of at most {most:.3g}: leave out the division by 255, or multiply by 255"
    elif (least < 0 and most < 8) or most > 512:
        got = f"{dtype} from {least:.3g} to {most:.3g}"
    else:
        return
    warnings.warn(
        f"images: expected pixels 0-255, which models normalise themselves; got {got}",
        stacklevel=4,
    )


def _checked(images: Any, size: int) -> Any:
    notice_range(images)
    shape = tuple(images.shape)
    if any(n not in (None, size) for n in shape[1:3]) or shape[3] not in (None, 3):
        raise ValueError(
            f"images: expected pixels [b, {size}, {size}, 3]; got {list(shape)}; a list of uint8 "
            "images is resized"
        )
    return images


def _one(image: Any, *, size: int, **how: Any) -> Any:
    """Converts one image of any kind to pixels [size, size, 3]; see `_square`."""
    is_array = hasattr(image, "shape") and not isinstance(image, str)  # as NumPy's texts are, too
    if is_array:
        array = np.asarray(image)
        if array.shape == (size, size, 3):
            notice_range(array)
            return array
        if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or not array.size:
            raise ValueError(
                f"images: expected pixels uint8 [h, w, 3], or any [{size}, {size}, 3]; got "
                f"{array.dtype} {list(array.shape)}"
            )
    from PIL import Image

    if is_array:
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
    return _square(opened, size=size, **how)


def _read(path: Path) -> Any:
    from PIL import Image, UnidentifiedImageError

    from duet import pillow_to_8_bit

    if path.is_dir():
        raise ValueError(f"images: expected a file; {path} is a folder")
    data = path.read_bytes()  # FileNotFoundError names the path
    with silenced_warnings.silenced():  # Pillow warns about odd metadata; only pixels matter
        try:
            Image.init()
            formats = [kind for kind in KINDS if kind in Image.OPEN]
            image = pillow_to_8_bit.opened(data, formats=formats)
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
    if image.format in ("JPEG", "MPO") and pillow_to_8_bit.is_zero_filled(data):
        raise ValueError(f"{path}: not a readable image (the rest of the file is zeros)")
    return _plain(image, data, name=str(path))


def _plain(image: Any, data: bytes = b"", *, name: str = "images") -> Any:
    """Converts to upright RGB with 8 bits per channel, transparent parts on white.

    Args:
        data: the file, if there is one.
        name: what errors call it.
    """
    from PIL import ImageOps

    from duet import pillow_to_8_bit

    upright: Any = ImageOps.exif_transpose(image)
    upright.format = image.format  # a copy has neither
    if hasattr(image, "tag_v2"):
        upright.tag_v2 = image.tag_v2
    try:
        return pillow_to_8_bit.plain(upright, data).convert("RGB")
    except pillow_to_8_bit.UnreadableError as error:
        raise ValueError(f"{name}: {error}") from None


def _square(image: Any, *, size: int, side: int, resize: str, interpolation: str) -> np.ndarray:
    """Cuts `size` pixels out of the middle of an image whose shorter side, or both, are `side`."""
    from PIL import Image

    resample = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
    short, shape = min(image.size), (side, side)
    if resize == "crop":
        shape = tuple(side * length // short for length in image.size)
    resized = image.resize(shape, resample[interpolation])
    left, top = ((length - size) // 2 for length in shape)
    return np.asarray(resized.crop((left, top, left + size, top + size)))
