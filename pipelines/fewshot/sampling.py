"""Draws the few-shot sample: which images of each class a run may see."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MOST_VALIDATION = 4  # images per class, as in CoOp


@dataclass(frozen=True)
class Sample:
    """Places in the split: images to learn from [c * shots], and to choose by.

    A class with fewer images than shots gives each of them several times; one without another
    image for validation gives those it learns from.
    """

    train: np.ndarray
    validation: np.ndarray


def sample(labels: np.ndarray, *, classes: Sequence[int], shots: int, seed: int) -> Sample:
    """Draw `shots` images of every class, and 1 to 4 others of each, at most `shots`.

    Args:
        labels: int [n], of the split.
        classes: those that are learnt.

    Raises:
        ValueError: a class without an image.
    """
    from tfrecords import splits

    of_classes = np.flatnonzero(np.isin(labels, classes))
    missing = sorted(set(classes) - set(labels[of_classes].tolist()))
    if missing:
        raise ValueError(f"class number {missing[0]} has no images to learn from")
    train = of_classes[splits.few_shot(labels[of_classes], shots, seed=seed)]
    others = np.setdiff1d(of_classes, train)
    alone = np.isin(labels[train], np.setdiff1d(labels[train], labels[others]))
    pool = np.union1d(others, train[alone])
    count = min(shots, MOST_VALIDATION)
    return Sample(train, pool[splits.few_shot(labels[pool], count, seed=seed)])


def short_of(labels: np.ndarray, *, classes: Sequence[int], shots: int) -> dict[int, int]:
    """Classes with fewer images than shots, and how many they have."""
    counts = Counter(labels.tolist())
    return {label: counts[label] for label in classes if counts[label] < shots}
