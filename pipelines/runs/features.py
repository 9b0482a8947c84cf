"""What a frozen image tower makes of images: computed once, kept in a file."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from duet import files


@dataclass(frozen=True)
class Features:
    """Rows belong together.

    Attributes:
        values: float32 [n, d].
        labels: int32 [n], or float32 [n, classes] where images have several.
    """

    values: np.ndarray
    labels: np.ndarray


def compute(
    encode: Callable[[Any], Any], batches: Any, *, count: int, what: str = "encoding images"
) -> Features:
    """Encode the images of batches (x, y, sample_weight), without the padding.

    Args:
        encode: images [b, s, s, 3] -> features [b, d], such as a model's `encode_image`.
        batches: of `tfrecords.load`: images as evaluation sees them, or augmented views of
            each in as many epochs of training.
        count: images, for the progress bar.
        what: it says.
    """
    from tqdm import tqdm

    values, labels = [], []
    with tqdm(total=count, desc=what, unit=" images", delay=2, leave=False) as bar:
        for x, y, weight in batches:
            real = np.asarray(weight) > 0
            values.append(np.asarray(encode(x["image"]), np.float32)[real])
            labels.append(np.asarray(y)[real])
            bar.update(int(real.sum()))
    return Features(np.concatenate(values), np.concatenate(labels))


def unit(values: np.ndarray) -> np.ndarray:
    """Rows of unit length."""
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)


def cached(path: Path, key: dict[str, Any], make: Callable[[], Features]) -> Features:
    """The features in a file, or what `make` gives, which the file then keeps.

    Args:
        path: a safetensors file; one whose key is another is written anew.
        key: all that the features depend on, as JSON takes it: model, records, images, views.
    """
    text = json.dumps(key, sort_keys=True)
    if path.is_file():
        with safe_open(path, framework="numpy") as file:
            if (file.metadata() or {}).get("key") == text:
                return Features(file.get_tensor("values"), file.get_tensor("labels"))
    made = make()
    with files.atomic(path) as unfinished:
        tensors = {"values": made.values, "labels": made.labels}
        save_file(tensors, unfinished, metadata={"key": text})
    return made
