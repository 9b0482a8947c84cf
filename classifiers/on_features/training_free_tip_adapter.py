"""Tip-Adapter on cached features, with scores for new class names."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from classifiers.on_features.fitted import Fitted
from classifiers.on_features.task import Task

if TYPE_CHECKING:
    from classifiers.tip_adapter import TipAdapter


@dataclass(frozen=True, kw_only=True)
class MemoryFit(Fitted):
    """Logits of a `TipAdapter`; a new name, of which the memory holds no image, has its text's."""

    adapter: "TipAdapter"

    def known(self, features: np.ndarray) -> np.ndarray:
        """Logits [n, c] over the classes that were fitted."""
        return self.adapter.logits(features)


def fit(task: Task, seed: int = 0) -> MemoryFit:
    """Tip-Adapter, not trained: the mean of an image's views is its key.

    Validation chooses alpha and beta; without it they are 1 and 5.5, as published. What the
    memory adds is never negative, so among all classes a new name is at a disadvantage, which
    `with_new_names` measures and makes up for.

    Args:
        task: one or more images, each remembered alike whatever its weight; `seed` is not used,
            nothing is drawn.
    """
    from classifiers.tip_adapter import TipAdapter

    matrix = task.scale * task.class_texts.T
    adapter = TipAdapter(task.mean_features, task.labels, matrix, name="tip_adapter")
    if task.validation is not None:
        adapter.search(*task.validation)
    return MemoryFit(
        text_scale=task.scale,
        chosen={"alpha": adapter.alpha, "beta": adapter.beta},
        adapter=adapter,
    )
