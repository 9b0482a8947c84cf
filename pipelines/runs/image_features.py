"""Compute image features."""

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.runs import finite_answers


@dataclass(frozen=True)
class Features:
    """Rows belong together.

    Attributes:
        values: float32 [n, d], or [v, n, d] in several views of each image.
        labels: int32 [n], or float32 [n, classes] where images have several; of images without
            labels their ids.
        seconds: that computing them took, now or when they were put into the cache.
    """

    values: np.ndarray
    labels: np.ndarray
    seconds: float = 0.0


def encoder(model: Any) -> Callable[[Any], Any]:
    """Images [b, s, s, 3] -> features [b, d] by a model's image side, not of unit length."""
    return _side(model.image_tower, getattr(model, "image_projection", None)).encode_image


@functools.lru_cache(maxsize=2)  # tracing takes seconds, and rows of a comparison share a model
def _side(tower: Any, projection: Any) -> Any:
    import keras

    import classifiers

    head = keras.layers.Dense(1, dtype="float32")
    side = classifiers.ImageClassifier(tower, head, class_names=["-"], image_projection=projection)
    side.build()
    return side


def compute(
    encode: Callable[[Any], Any], batches: Any, *, count: int, what: str = "encoding images"
) -> Features:
    """Encode the images of batches (x, y, sample_weight), without the padding; keep nothing.

    Args:
        encode: images [b, s, s, 3] -> features [b, d], such as a model's `encode_image`.
        batches: of `tfrecords.load`.
        count: images, for the progress bar.
        what: it says.
    """
    begun, values, labels = time.perf_counter(), [], []
    for rows, own in encoded(encode, batches, count=count, what=what):
        values.append(rows)
        labels.append(own)
    seconds = time.perf_counter() - begun
    return Features(np.concatenate(values), np.concatenate(labels), seconds)


def encoded(
    encode: Callable[[Any], Any], batches: Any, *, count: int, what: str
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Features and labels of each batch, as `compute` has them.

    Raises RuntimeError where features are NaN or infinite.
    """
    from tqdm import tqdm

    with tqdm(total=count, desc=what, unit=" images", delay=2, leave=False, disable=None) as bar:
        for x, y, weight in batches:
            real = np.asarray(weight) > 0
            rows = np.asarray(encode(x["image"]), np.float32)[real]
            yield finite_answers.checked(rows), np.asarray(y)[real]
            bar.update(int(real.sum()))
