"""Choose held-out classes, train and validation images, and few-shot samples.

Pure functions of (labels, seed): the same arguments give the same result on every machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from duet import rows_by_class


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
            of a class with two or more, and never all of them; of several labels fewer where a
            class would have no image left.
        seed: of the random choice.

    Returns:
        Positions of the train and of the validation images, each ascending.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction: expected a number between 0 and 1, got {fraction}")
    if np.ndim(labels) == 2:
        several = [np.flatnonzero(row).tolist() for row in np.asarray(labels)]
        validation = _share(rarest_class(several), fraction=fraction, seed=seed)
        validation = with_some_left(several, validation)
        if not len(validation):  # nearly every image has a rarest class of its own
            mixed = np.random.default_rng(seed).permutation(
                with_some_left(several, range(len(several)))
            )
            validation = np.sort(mixed[: max(1, round(fraction * len(several)))])
    else:
        validation = _share(labels, fraction=fraction, seed=seed)
    return np.setdiff1d(np.arange(len(labels)), validation), validation


def _share(labels: Sequence[int] | np.ndarray, *, fraction: float, seed: int) -> np.ndarray:
    """Positions of a share of every class, ascending; see `train_validation`."""
    taken = []
    for members in _shuffled_by_class(labels, seed=seed):
        count = min(max(1, round(fraction * len(members))), len(members) - 1)
        taken.append(members[:count])
    return np.sort(np.concatenate(taken)) if taken else np.empty(0, np.int64)


def parts(
    labels: Sequence[int] | Sequence[Sequence[int]] | np.ndarray,
    count: int,
    *,
    seed: int,
    elsewhere: Iterable[int] = (),
) -> np.ndarray:
    """Returns the part of each image, int [n] from 0 to at most count - 1, stratified by class.

    The images of every class are shuffled and dealt out in turn, a class going on where the one
    before it ended, so that parts differ by at most one image of a class, and by one of them all.
    Images without which a class would have none outside of their part are in no part: -1. No part
    is empty; of few images there are fewer than `count`.

    Args:
        labels: the class of each image, or its classes, the rarest of which is its stratum.
        count: of parts; seed: of the random choice.
        elsewhere: classes of images that are in none of the parts, to train on too.

    Raises ValueError unless there are one or more parts.
    """
    if count < 1:
        raise ValueError(f"parts: expected 1 or more, got {count}")
    several = [np.atleast_1d(np.asarray(each, np.int64)).tolist() for each in labels]
    strata = _shuffled_by_class(rarest_class(several), seed=seed)
    strata.sort(key=lambda members: len(members) == 1)
    dealt = np.concatenate(strata) if strata else np.empty(0, np.int64)
    found = np.full(len(several), -1)
    found[dealt] = np.arange(len(dealt)) % count
    for part in range(count):
        away = np.flatnonzero(found == part)
        found[np.setdiff1d(away, with_some_left(several, away, elsewhere=elsewhere))] = -1
    used = np.unique(found[found >= 0])
    return np.where(found < 0, -1, np.searchsorted(used, found))


def with_some_left(
    labels: Sequence[Sequence[int]], taken: Iterable[int], *, elsewhere: Iterable[int] = ()
) -> np.ndarray:
    """Returns the positions in `taken`, ascending, but for those without which a class would have
    no image left, neither among the others nor `elsewhere`.

    Args:
        labels: the classes of each image.
        taken: positions of images that are to go.
        elsewhere: classes that other images have.
    """
    going = {int(place) for place in taken}
    left = set(elsewhere)
    left.update(*(set(labels[place]) for place in range(len(labels)) if place not in going))
    found = []
    for place in sorted(going):
        if left.issuperset(labels[place]):
            found.append(place)
        else:
            left.update(labels[place])
    return np.array(found, np.int64)


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
    rng = np.random.default_rng(seed)
    members = rows_by_class.of(np.asarray(labels, dtype=np.int64))
    return [rng.permutation(rows) for rows in members]
