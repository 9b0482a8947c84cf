"""Put names that were never seen on one scale with those that were trained."""

from collections.abc import Callable

import numpy as np

from classifiers.calibration import log_probabilities
from classifiers.on_features.fitted import Fitted
from classifiers.on_features.task import Task

SHARE = 0.25  # of the classes that are set aside in a part
WIDEST = 60.0  # offset in logits, either way


def with_new_names(
    task: Task,
    fit: Callable[[Task, int], Fitted],
    seed: int = 0,
    *,
    parts: int = 2,
) -> Fitted:
    """Fit, and find the offset at which new names compete fairly with trained ones.

    Training raises the logits of the trained classes, so that an image of a new class is taken
    for one of them. Some of the classes are set aside, the method is fitted on the others, and
    the classes set aside stand for new names: the offset of their logits is the one of the
    highest likelihood on images of both, each side weighing alike. Calibrated stacking (Chao et
    al. 2016, arXiv:1605.04253) by likelihood in place of accuracy.

    Images of the trained classes are those of the validation, so none was trained on.

    Args:
        task: as for `fit`; it needs validation and four or more classes.
        fit: a method.
        seed: of the classes set aside, and of the method.
        parts: how often classes are set aside, others each time; the offset is the mean.

    Returns:
        The fit on all classes. Its offset is 0 where it could not be found, or new names are not
        answered.
    """
    found = fit(task, seed)
    if not found.answers_new_names or task.validation is None or task.classes < 4:
        return found
    order = np.random.default_rng(seed).permutation(task.classes)
    size = max(1, round(SHARE * task.classes))
    offsets = []
    for part in range(parts):
        away = np.sort(np.roll(order, -part * size)[:size])
        offset = _offset(task, fit, away, seed)
        if offset is not None:
            offsets.append(offset)
    return found.placed(float(np.mean(offsets))) if offsets else found


def _offset(
    task: Task, fit: Callable[[Task, int], Fitted], away: np.ndarray, seed: int
) -> float | None:
    """The best offset with classes `away` as new names; None where a side has no image."""
    from scipy.optimize import minimize_scalar

    kept = np.setdiff1d(np.arange(task.classes), away)
    inside = task.only(kept)
    outside = np.isin(task.labels, away)
    if inside.validation is None or not outside.any() or not inside.images:
        return None
    fitted = fit(inside, seed)
    held, wanted = _both_sides(task, inside, kept, away, reads=fitted.reads)
    logits = fitted.logits(held, task.class_texts[away]).astype(np.float64)
    is_new = wanted >= len(kept)
    weights = np.where(is_new, 0.5 / is_new.sum(), 0.5 / (~is_new).sum())
    rows = np.arange(len(wanted))

    def cost(offset: float) -> float:
        moved = logits.copy()
        moved[:, len(kept) :] += offset
        return -float(weights @ log_probabilities(moved)[rows, wanted])

    return float(minimize_scalar(cost, bounds=(-WIDEST, WIDEST), method="bounded").x)


def _both_sides(
    task: Task, inside: Task, kept: np.ndarray, away: np.ndarray, *, reads: str
) -> tuple[np.ndarray, np.ndarray]:
    """Features and columns of unseen images of trained classes, and of all images set aside."""
    assert task.validation is not None and inside.validation is not None
    outside, away_held = np.isin(task.labels, away), np.isin(task.validation[1], away)
    if reads == "features":
        parts = (inside.validation[0], task.mean_features[outside], task.validation[0][away_held])
    else:
        assert task.before is not None and inside.before is not None
        assert task.before.validation is not None and inside.before.validation is not None
        before = task.before.features
        before = before if before.ndim == 2 else before.mean(axis=0)
        parts = (inside.before.validation, before[outside], task.before.validation[away_held])
    place = np.empty(task.classes, np.int64)
    place[away] = len(kept) + np.arange(len(away))
    columns = (
        inside.validation[1],
        place[task.labels[outside]],
        place[task.validation[1][away_held]],
    )
    return np.concatenate(parts), np.concatenate(columns)
