"""Calibrate the logits of new class names against those of trained classes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from classifiers.on_features.fitted import Fitted
from classifiers.on_features.task import Task

SHARE = 0.25  # of the classes that are set aside in a part
MANY = 40  # classes of which one part is enough
FEW = 16  # images of new names that halve the offset: so few say little of it


@dataclass(frozen=True)
class SetAside:
    """Images of classes that were fitted and of others that stand for new names, among both.

    Attributes:
        logits: [n, kept + away]; wanted: int [n], columns of the images.
        kept: the columns before it were fitted.
        zero_shot: whether zero-shot, or what the classifier is held against in its place, is right
            about each image among the same columns, bool [n].
    """

    logits: np.ndarray
    wanted: np.ndarray
    kept: int
    zero_shot: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        """Of the images, [n], alike for every class."""
        return 1 / np.bincount(self.wanted)[self.wanted]

    @property
    def limits(self) -> np.ndarray:
        """Offset of new names above which an image of one is right, and below which an image of a
        class that was fitted is, [n]; infinite where another of its own side is likelier."""
        is_new = self.wanted >= self.kept
        own = self.logits[np.arange(len(self.wanted)), self.wanted]
        fitted = self.logits[:, : self.kept].max(axis=1)
        new = self.logits[:, self.kept :].max(axis=1)
        above = np.where(own < new, np.inf, fitted - own)
        below = np.where(own < fitted, -np.inf, own - new)
        return np.where(is_new, above, below)


def with_new_names(
    task: Task,
    fit: Callable[[Task, int], Fitted],
    seed: int = 0,
    *,
    parts: int | None = None,
) -> Fitted:
    """Fit, and find the offset at which new names compete fairly with trained ones.

    Training raises the logits of the trained classes, so that an image of a new class is taken
    for one of them. Some of the classes are set aside, the method is fitted on the others, and
    the classes set aside stand for new names. Above some offset of their logits they are found
    among all classes as often as by zero-shot, and below another the trained classes are: it is
    put in the middle, so that neither loses against zero-shot. (Calibrated stacking, Chao et al.
    2016, arXiv:1605.04253, with a rule for how much.)

    Args:
        task: as for `fit`, of four or more classes. Images of the validation, which were not
            trained on, stand for the trained classes.
        fit: a method.
        seed: of the classes set aside, and of the method.
        parts: how often classes are set aside, others each time; as often as it takes until each
            was, or once of `MANY` classes, unless it is said.

    Returns:
        The fit on all classes. Its offset is 0 where it could not be found, or new names are not
        answered.
    """
    found = fit(task, seed)
    if not found.answers_new_names or task.classes < 4:
        return found
    again = partial(fit, **found.settings)
    aside = [
        _set_aside(task, again, each, seed) for each in groups(task.classes, seed, parts=parts)
    ]
    known = [part for part in aside if part is not None]
    return found.placed(offset(known)) if known else found


def groups(classes: int, seed: int = 0, *, parts: int | None = None) -> list[np.ndarray]:
    """Classes to set aside, a quarter of them at a time, each ascending; see `with_new_names`."""
    order = np.random.default_rng(seed).permutation(classes)
    found = [np.sort(part) for part in np.array_split(order, round(1 / SHARE))]
    return found[: parts or (1 if classes >= MANY else len(found))]


def offset(parts: Sequence[SetAside]) -> float:
    """The middle between the offset that keeps what zero-shot finds of new names, and the one that
    keeps what it finds of the classes that were fitted; without images of these the first. It is
    drawn towards 0 by a prior that counts as much as `FEW` images of new names."""
    pools = zip(
        *((p.limits, p.zero_shot, p.weights, p.wanted >= p.kept) for p in parts), strict=True
    )
    limits, right, weights, is_new = (np.concatenate(each) for each in pools)
    sure = is_new.sum() / (is_new.sum() + FEW)
    least = _least(limits[is_new], right[is_new], weights[is_new])
    if is_new.all():
        return sure * least
    most = -_least(-limits[~is_new], right[~is_new], weights[~is_new])
    return sure * (least + most) / 2


def offset_in_turn(logits: np.ndarray, named: np.ndarray, labels: np.ndarray) -> float:
    """An offset for a classifier that is too dear to fit again without some of its classes.

    Each class is taken for a new name in turn: its own column is left out, and its text's put in.
    The classifier has learnt all the same that its images are of no other class, so that the
    offset comes out rather too small.

    Args:
        logits: [n, c], of images that were not trained on.
        named: [n, c], logits of the texts of the same classes.
        labels: int [n].
    """
    classes = logits.shape[1]
    zero_shot = named.argmax(axis=1) == labels

    def part(away: int) -> SetAside:
        columns = np.array([*np.delete(np.arange(classes), away), away])
        both = np.concatenate([logits[:, columns[:-1]], named[:, [away]]], axis=1)
        return SetAside(
            both.astype(np.float64), np.argsort(columns)[labels], classes - 1, zero_shot
        )

    return offset([part(away) for away in range(classes)])


def _least(limits: np.ndarray, right: np.ndarray, weights: np.ndarray) -> float:
    """The least value at or above the limits of as large a share of images as is `right`."""
    order = np.argsort(limits, kind="stable")
    found = np.cumsum(weights[order])
    place = min(int(np.searchsorted(found, float(weights @ right) - 1e-9)), len(order) - 1)
    finite = limits[np.isfinite(limits)]
    return float(np.clip(limits[order][place], finite.min(), finite.max())) if len(finite) else 0.0


def _set_aside(
    task: Task, fit: Callable[[Task, int], Fitted], away: np.ndarray, seed: int
) -> SetAside | None:
    """What a fit without the classes `away` says of them; None where a side has no image."""
    kept = np.setdiff1d(np.arange(task.classes), away)
    outside = np.isin(task.labels, away)
    if not outside.any() or outside.all():
        return None
    fitted = fit(task.only(kept), seed)
    read, features, wanted = _both_sides(task, kept, away, reads=fitted.reads)
    return SetAside(
        logits=fitted.logits(read, task.class_texts[away]).astype(np.float64),
        wanted=wanted,
        kept=len(kept),
        zero_shot=task.zero_shot(features)[:, [*kept, *away]].argmax(axis=1) == wanted,
    )


def _both_sides(
    task: Task, kept: np.ndarray, away: np.ndarray, *, reads: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unseen images of trained classes and all images set aside: what the method reads of them,
    their features, and their columns."""
    outside = np.isin(task.labels, away)
    place = np.empty(task.classes, np.int64)
    place[kept], place[away] = np.arange(len(kept)), len(kept) + np.arange(len(away))
    features, wanted = [task.first_view[outside]], [task.labels[outside]]
    before = []
    if reads != "features":
        assert task.before is not None
        values = task.before.features
        before.append((values if values.ndim == 2 else values[0])[outside])
    if task.validation is not None:
        features.append(task.validation[0])
        wanted.append(task.validation[1])
        if before:
            assert task.before is not None and task.before.validation is not None
            before.append(task.before.validation)
    read = np.concatenate(before or features)
    return read, np.concatenate(features), place[np.concatenate(wanted)]
