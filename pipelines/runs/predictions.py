"""Store a model's prediction for every test image, for paired comparisons of models."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.runs import safetensors_files

FILE = "predictions.safetensors"

NOTHING = "nothing"  # in place of a class, where none is predicted


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

    def outside(self, classes: Sequence[int]) -> np.ndarray:
        """Returns whether an image is of none of these classes, bool [n]."""
        return ~np.isin(self.labels, classes)

    def in_words(self, place: int, names: Sequence[str]) -> tuple[str, str]:
        """Returns the true class of an image and the predicted one."""
        true, own = int(self.labels[place]), int(self.own[place])
        return names[true], names[own] if own >= 0 else NOTHING


@dataclass(frozen=True)
class LabelScores:
    """Of n images of a split that may have several of c classes each, in stored order.

    Attributes:
        labels: uint8 [n, c], 0 or 1.
        probabilities: float64 [n, c], of each class by itself.
        thresholds: float64 [c], from which on a class is predicted; [n, c] of answers of several
            models.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    thresholds: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """Returns whether all classes of an image are right, bool [n]."""
        said = self.probabilities >= self.thresholds
        return np.asarray((said == (self.labels > 0)).all(axis=1))

    def outside(self, classes: Sequence[int]) -> np.ndarray:
        """Returns whether an image is of none of these classes, bool [n]."""
        return np.asarray((self.labels[:, list(classes)] == 0).all(axis=1))

    def in_words(self, place: int, names: Sequence[str]) -> tuple[str, str]:
        """Returns the true classes of an image and the predicted ones."""
        rows = self.labels[place] > 0, (self.probabilities >= self.thresholds)[place]
        true, said = (
            ", ".join(names[i] for i in np.flatnonzero(row).tolist()) or NOTHING for row in rows
        )
        return true, said


Said = Predictions | LabelScores


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


def write(folder: Path, predictions: Said) -> None:
    """To the folder of a run."""
    safetensors_files.write(folder / FILE, asdict(predictions))


def read(folder: Path) -> Said:
    """From the folder of a run. Raises FileNotFoundError where it has none."""
    if not (folder / FILE).is_file():
        raise FileNotFoundError(f"no predictions at {folder / FILE}: has the run finished?")
    arrays: dict[str, Any] = safetensors_files.read(folder / FILE)
    for kind in (Predictions, LabelScores):
        if set(arrays) == set(kind.__dataclass_fields__):
            return kind(**arrays)
    raise ValueError(f"{folder / FILE} is damaged (it holds {', '.join(arrays)}); delete it")
