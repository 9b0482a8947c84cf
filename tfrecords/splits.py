"""Choose held-out classes, train and validation images, and few-shot samples.

Pure functions of (labels, seed): the same arguments give the same result on every machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np


def held_out_classes(class_count: int, count: int, *, seed: int) -> tuple[int, ...]:
    """Choose `count` of `class_count` classes to hold out from training, in ascending order.

    With the same seed the choices are nested: the 5 held-out classes are among the 10.

    Raises ValueError unless at least one class is held out and two remain.
    """
    if not 1 <= count <= class_count - 2:
        raise ValueError(
            f"held-out classes: expected 1 to {class_count - 2} of {class_count} classes, "
            f"got {count}"
        )
    order = np.random.default_rng(seed).permutation(class_count)
    return tuple(sorted(order[:count].tolist()))


def train_validation(
    labels: Sequence[int] | np.ndarray, *, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Split images into train and validation, stratified by class.

    Args:
        labels: [n] the class of each image; all zero if there are no classes. For multi-label
            data 0/1 [n, classes]; an image is then stratified by its rarest class.
        fraction: share of each class that goes to validation, rounded, but at least one image
            of a class with two or more, and never all of them.
        seed: of the random choice.

    Returns:
        Positions of the train and of the validation images, each ascending.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction: expected a number between 0 and 1, got {fraction}")
    if np.ndim(labels) == 2:
        labels = rarest_class([np.flatnonzero(row).tolist() for row in np.asarray(labels)])
    taken = []
    for members in _shuffled_by_class(labels, seed=seed):
        count = min(max(1, round(fraction * len(members))), len(members) - 1)
        taken.append(members[:count])
    validation = np.sort(np.concatenate(taken)) if taken else np.empty(0, np.int64)
    return np.setdiff1d(np.arange(len(labels)), validation), validation


def parts(labels: Sequence[int] | np.ndarray, count: int, *, seed: int) -> np.ndarray:
    """Returns the part of each image, int [n] from 0 to count - 1, stratified by class.

    The images of every class are shuffled and dealt out in turn, a class going on where the one
    before it ended, so that parts differ by at most one image of a class, and by one of them all.
    The one image of a class that has no other is in no part: -1.

    Raises ValueError unless there are one or more parts.
    """
    if count < 1:
        raise ValueError(f"parts: expected 1 or more, got {count}")
    found = np.full(len(labels), -1)
    several = [each for each in _shuffled_by_class(labels, seed=seed) if len(each) > 1]
    dealt = np.concatenate(several) if several else np.empty(0, np.int64)
    found[dealt] = np.arange(len(dealt)) % count
    return found


def rarest_class(labels: Sequence[Sequence[int]]) -> np.ndarray:
    """Returns each image's rarest class, int [n], as its stratum.

    Splitting by it keeps the share of rare classes exactly, which a random split could lose, and
    of the others approximately. (The first step of iterative stratification, Sechidis et al. 2011,
    which starts from the label with the fewest images.)

    Args:
        labels: the classes of each image; an image without classes gets stratum -1.
    """
    counts = Counter(label for several in labels for label in several)
    return np.array(
        [min(several, key=lambda label: (counts[label], label), default=-1) for several in labels],
        dtype=np.int64,
    )


def few_shot(labels: Sequence[int] | np.ndarray, shots: int, *, seed: int) -> np.ndarray:
    """Choose `shots` images of every class.

    With the same seed the samples are nested: the 1-shot sample is part of the 2-shot sample. A
    class with fewer images repeats each of them as equally as possible.

    Returns:
        [classes * shots] positions, all images of the first class first.
    """
    if shots < 1:
        raise ValueError(f"shots: expected at least 1 image per class, got {shots}")
    samples = [np.resize(members, shots) for members in _shuffled_by_class(labels, seed=seed)]
    return np.concatenate(samples) if samples else np.empty(0, np.int64)


def _shuffled_by_class(labels: Sequence[int] | np.ndarray, *, seed: int) -> list[np.ndarray]:
    """Returns the positions of each class, shuffled by the seed; classes ascending."""
    labels = np.asarray(labels, dtype=np.int64)
    rng = np.random.default_rng(seed)
    return [rng.permutation(np.flatnonzero(labels == value)) for value in np.unique(labels)]
