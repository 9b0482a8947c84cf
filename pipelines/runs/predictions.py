"""Store a model's prediction for every test image, for paired comparisons of models."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.runs import safetensors_files

FILE = "predictions.safetensors"


@dataclass(frozen=True)
class Predictions:
    """Of n images of a split, in stored order; classes are labels of the records, -1 is none.

    Attributes:
        labels: int32 [n], the true ones.
        own: int32 [n], prediction among the seen classes for images of seen classes, and among
            the held-out classes for the others.
        among_all: int32 [n], prediction among all classes.
    """

    labels: np.ndarray
    own: np.ndarray
    among_all: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """Returns whether `own` is right, bool [n]."""
        return self.own == self.labels


def of(
    labels: np.ndarray, logits: np.ndarray, *, seen: tuple[int, ...], held_out: tuple[int, ...]
) -> Predictions:
    """Of logits [n, C] over all classes, NaN in the columns of held-out ones it cannot name.

    Raises:
        RuntimeError: any other logit is NaN or infinite: the model is broken.
    """
    bad = ~np.isfinite(logits)
    bad[:, [label for label in held_out if np.isnan(logits[:, label]).all()]] = False
    if bad.any():
        raise RuntimeError(
            f"the model answers {bad.any(axis=1).sum():,} of {len(logits):,} images with NaN or "
            "infinity; a smaller --learning-rate usually helps"
        )
    own = np.full(len(labels), -1, np.int32)
    for group in (seen, held_out):
        rows = np.isin(labels, group)
        own[rows] = _said(logits[rows], group)
    everything = _said(logits, tuple(range(logits.shape[1])))
    return Predictions(labels.astype(np.int32), own, everything)


def _said(logits: np.ndarray, classes: tuple[int, ...]) -> np.ndarray:
    """Returns the most probable of some classes, int32 [n]; -1 if it can predict none of them."""
    if not classes or not len(logits):
        return np.full(len(logits), -1, np.int32)
    some = np.where(np.isnan(logits[:, classes]), -np.inf, logits[:, classes])
    said = np.array(classes, np.int32)[some.argmax(axis=1)]
    return np.where(np.isneginf(some).all(axis=1), -1, said).astype(np.int32)


def write(folder: Path, predictions: Predictions) -> None:
    """To the folder of a run."""
    safetensors_files.write(folder / FILE, asdict(predictions))


def read(folder: Path) -> Predictions:
    """From the folder of a run. Raises FileNotFoundError where it has none."""
    if not (folder / FILE).is_file():
        raise FileNotFoundError(f"no predictions at {folder / FILE}: has the run finished?")
    arrays: dict[str, Any] = safetensors_files.read(folder / FILE)
    if set(arrays) != set(Predictions.__dataclass_fields__):
        raise ValueError(f"{folder / FILE} is damaged (it holds {', '.join(arrays)}); delete it")
    return Predictions(**arrays)
