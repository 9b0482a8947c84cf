"""Choose a setting on validation images, or keep the default where they are too few to decide."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from classifiers.on_features.task import Task
from duet import rows_by_class

Setting = TypeVar("Setting")


def choose(tried: Mapping[Setting, np.ndarray], default: Setting) -> Setting:
    """Return the setting of the lowest mean loss, or the default where it is as good.

    The best leaves the default only if it is better by more than the standard error of their
    difference, image by image: a handful of validation images would otherwise choose by chance.

    Args:
        tried: cross-entropy of every validation image, float [m], by setting.
        default: one of them.
    """
    best = min(tried, key=lambda setting: float(tried[setting].mean()))
    gain = tried[default] - tried[best]
    error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else np.inf
    return best if gain.mean() > error else default


def rose(means: Sequence[float]) -> bool:
    """Whether the loss has risen twice, one after another, which ends a search."""
    return len(means) > 2 and means[-3] < means[-2] < means[-1]


def folds(task: Task) -> Iterator[tuple[Task, np.ndarray, np.ndarray]]:
    """The task without a part of its images, and that part's features [m, d] and labels [m]; in up
    to four parts.

    Every image is in one part; every class keeps an image in every fold, for which each needs
    two or more.
    """
    rank = np.empty(task.images, np.int64)  # of an image among those of its class
    for members in rows_by_class.of(task.labels):
        rank[members] = np.arange(len(members))
    parts = min(4, int(task.counts.min()))
    for part in range(parts):
        away = rank % parts == part
        rest = replace(
            task,
            features=task.features[..., ~away, :],
            labels=task.labels[~away],
            weights=task.weights[~away],
            before=None,
        )
        yield rest, task.first_view[away], task.labels[away]
