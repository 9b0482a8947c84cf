"""Decode, crop and resize images inside a TensorFlow graph.

Input: one JPEG or PNG (a scalar string tensor, upright RGB or greyscale with 8 bits per channel,
as the writer stores them). Output: RGB pixels, uint8 [height, width, 3]. Images that cannot be
decoded raise `tf.errors.InvalidArgumentError`.

`to_square` is for evaluation and reproduces Pillow's rounding, with which the published figures
of checkpoints were measured. `random_windows` and `resized_crop` are for training, where random
crops outweigh rounding: they use the fastest antialiased method.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf

from duet import regular_files
from tfrecords.images.reencoding import UnreadableError, is_plain_jpeg, upright
from tfrecords.images.resize import resized_centre, to_uint8
from tfrecords.preprocessing import Preprocessing
from tfrecords.stateless_random import uniform

_TRIES = 10  # windows tried before falling back to the largest central one, as in torchvision

_RATIO = (3 / 4, 4 / 3)  # smallest and largest width / height of a window

_DCT = "INTEGER_ACCURATE"  # as in Pillow; "INTEGER_FAST" is no faster here


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes the whole image, bit for bit as Pillow does: uint8 [height, width, 3]."""
    pixels = tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method=_DCT),
        lambda: tf.io.decode_png(encoded, channels=3),
    )
    return tf.ensure_shape(pixels, [None, None, 3])


def to_square(encoded: tf.Tensor, preprocessing: Preprocessing) -> tf.Tensor:
    """Preprocesses one image for evaluation: resize as Pillow does, then crop the centre.

    Args:
        encoded: one JPEG or PNG, scalar string.
        preprocessing: that of the model.

    Returns:
        uint8 [image_size, image_size, 3].
    """
    return pixels_to_square(decode(encoded), preprocessing)


def read_image(
    image: str | Path | bytes | np.ndarray,
    *,
    image_size: int = 224,
    resize: str = "crop",
    interpolation: str = "bicubic",
    crop_fraction: float = 1.0,
    first_frame: bool = False,
    max_pixels: int | None = None,
) -> np.ndarray:
    """Reads one image and preprocesses it as in evaluation.

    Files are normalised as for records (upright, on white, RGB with 8 bits per channel), but not
    re-encoded as JPEG.

    Pass the model's `preprocessing`. The default is CLIP's (224 pixels, bicubic, centre crop): a
    model of another image size refuses such an image, but one trained on squashed or bilinearly
    resized images silently loses accuracy.

    Args:
        image: a path, the bytes of a file, or the pixels, uint8 [height, width, 3].
        image_size, resize, interpolation, crop_fraction: see `Preprocessing`.
        first_frame, max_pixels: see `reencoding.normalise`.

    Returns:
        uint8 [image_size, image_size, 3], RGB.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is no image, damaged or animated, or an argument is invalid.

    Example:
        >>> image = tfrecords.read_image("cat.jpg", **model.preprocessing)
        >>> model.encode_image(image[None])
    """
    preprocessing = Preprocessing(
        image_size, resize, interpolation=interpolation, crop_fraction=crop_fraction
    )
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.shape[2:] != (3,) or 0 in image.shape:
            received = f"{image.dtype} {list(image.shape)}"
            raise ValueError(f"image: expected pixels uint8 [height, width, 3]; got {received}")
        return pixels_to_square(tf.constant(image), preprocessing).numpy()
    data = image if isinstance(image, bytes) else regular_files.read_regular(image)
    square = file_to_square(preprocessing, first_frame=first_frame, max_pixels=max_pixels)
    try:
        return square(data)
    except UnreadableError as error:
        name = "image" if isinstance(image, bytes) else str(image)
        raise UnreadableError(f"{name}: {error}") from None


def file_to_square(
    preprocessing: Preprocessing,
    *,
    first_frame: bool = False,
    max_pixels: int | None = None,
    traced: bool = False,
) -> Callable[[bytes], np.ndarray]:
    """Returns a function from an image file to uint8 [image_size, image_size, 3].

    Nothing is decoded twice: a plain JPEG by TensorFlow, any other file by Pillow.

    Args:
        preprocessing: that of the model.
        first_frame, max_pixels: see `reencoding.normalise`; the function raises as it does.
        traced: as a graph. Eagerly, each of its many operations would wait for Python's GIL.
    """
    of_jpeg = partial(to_square, preprocessing=preprocessing)
    of_pixels = partial(pixels_to_square, preprocessing=preprocessing)
    if traced:
        file, pixels = tf.TensorSpec([], tf.string), tf.TensorSpec([None, None, 3], tf.uint8)
        of_jpeg = tf.function(of_jpeg, input_signature=[file], autograph=False)
        of_pixels = tf.function(of_pixels, input_signature=[pixels], autograph=False)

    def square(data: bytes) -> np.ndarray:
        if is_plain_jpeg(data, max_pixels=max_pixels):
            with contextlib.suppress(tf.errors.InvalidArgumentError):  # Pillow says why
                return of_jpeg(data).numpy()
        image = upright(data, first_frame=first_frame, max_pixels=max_pixels)
        return of_pixels(np.asarray(image.convert("RGB"))).numpy()

    return square


def random_windows(shapes: tf.Tensor, keys: tf.Tensor, *, scale: tuple[float, float]) -> tf.Tensor:
    """Draws a crop window per image: the first of ten random ones that fits, else the central one.

    The distribution is that of torchvision's RandomResizedCrop (Inception-style crops, Szegedy et
    al. 2015).

    Args:
        shapes: integers [..., 2], height and width of each image.
        keys: random keys from `stateless_random.key`, [...].
        scale: smallest and largest share of the image's area.

    Returns:
        int32 [..., 4]: top, left, height and width of each window, at least one pixel each way.
    """
    height, width = tf.unstack(tf.cast(shapes, tf.float32)[..., None], axis=-2)  # [..., 1]
    area, aspect, down, right = tf.unstack(uniform(keys, (4, _TRIES)), axis=-2)  # [..., tries]
    area = height * width * (scale[0] + area * (scale[1] - scale[0]))
    aspect = _RATIO[0] * (_RATIO[1] / _RATIO[0]) ** aspect  # log-uniform
    heights = tf.maximum(tf.round(tf.sqrt(area / aspect)), 1.0)
    widths = tf.maximum(tf.round(tf.sqrt(area * aspect)), 1.0)
    fits = (heights <= height) & (widths <= width)

    central_height = tf.clip_by_value(tf.round(width / _RATIO[0]), 1.0, height)
    central_width = tf.clip_by_value(tf.round(height * _RATIO[1]), 1.0, width)
    middle = tf.fill(tf.shape(central_height), 0.5)

    def first_fitting(drawn: tf.Tensor, otherwise: tf.Tensor) -> tf.Tensor:
        first = tf.argmax(fits, axis=-1)[..., None]  # 0 if none fits
        drawn = tf.gather(drawn, first, axis=-1, batch_dims=len(first.shape) - 1)
        return tf.where(tf.reduce_any(fits, axis=-1, keepdims=True), drawn, otherwise)

    window_height = first_fitting(heights, central_height)
    window_width = first_fitting(widths, central_width)
    top = tf.floor(first_fitting(down, middle) * (height - window_height + 1))
    left = tf.floor(first_fitting(right, middle) * (width - window_width + 1))
    # float32 may round a product just below an integer up to it.
    top = tf.minimum(top, height - window_height)
    left = tf.minimum(left, width - window_width)
    return tf.cast(tf.concat([top, left, window_height, window_width], axis=-1), tf.int32)


def resized_crop(encoded: tf.Tensor, size: int, *, window: tf.Tensor) -> tf.Tensor:
    """Crops a window of one image and resizes it, bicubic and antialiased.

    Outside the window only a JPEG's entropy code is decoded. A window of at least twice `size` is
    decoded by libjpeg at half size (or a quarter, ...), never below `size`: averaging in the
    frequency domain antialiases, and saves most of the work.

    Args:
        encoded: one JPEG or PNG, scalar string.
        size: side of the result in pixels.
        window: int32 [4]: top, left, height and width, inside the image.

    Returns:
        uint8 [size, size, 3].
    """
    window = tf.convert_to_tensor(window)

    def png() -> tf.Tensor:
        top, left, height, width = tf.unstack(window)
        return tf.io.decode_png(encoded, channels=3)[top : top + height, left : left + width]

    pixels = tf.cond(
        tf.io.is_jpeg(encoded), lambda: _decode_jpeg_window(encoded, window, size), png
    )
    return _resize(pixels, size)


def pixels_to_square(pixels: tf.Tensor, preprocessing: Preprocessing) -> tf.Tensor:
    """Resizes and crops uint8 [height, width, 3] to uint8 [image_size, image_size, 3]."""
    side = preprocessing.resized_side
    resized = (side, side)
    if preprocessing.resize == "crop":
        height, width = tf.unstack(tf.shape(pixels)[:2])
        short = tf.minimum(height, width)
        resized = (side * height // short, side * width // short)
    return resized_centre(
        pixels,
        resized,
        size=preprocessing.image_size,
        interpolation=preprocessing.interpolation,
    )


def _decode_jpeg_window(encoded: tf.Tensor, window: tf.Tensor, size: int) -> tf.Tensor:
    """Decodes a window of a JPEG at libjpeg's smallest scale that is at least `size`."""

    def at(reduction: int) -> Callable:
        return lambda: tf.io.decode_and_crop_jpeg(
            encoded, window // reduction, channels=3, ratio=reduction, dct_method=_DCT
        )

    reductions = (1, 2, 4, 8)
    side = tf.reduce_min(window[2:])
    choice = sum(tf.cast(side >= reduction * size, tf.int32) for reduction in reductions[1:])
    return tf.switch_case(choice, [at(reduction) for reduction in reductions])


def _resize(pixels: tf.Tensor, size: int) -> tf.Tensor:
    """Resizes uint8 [h, w, 3] to uint8 [size, size, 3], bicubic and antialiased."""
    pixels = tf.ensure_shape(pixels, [None, None, 3])

    def resized(antialias: bool) -> Callable:
        return lambda: tf.image.resize(pixels, [size, size], "bicubic", antialias=antialias)

    # Enlarging needs no antialiasing, and without it TensorFlow's kernel gives the same result
    # in a third of the time.
    grows = tf.reduce_all(tf.shape(pixels)[:2] <= size)
    pixels = tf.cond(grows, resized(antialias=False), resized(antialias=True))
    return tf.ensure_shape(to_uint8(pixels), [size, size, 3])
