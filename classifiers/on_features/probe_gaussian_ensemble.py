"""The text probe and the Gaussians together, each at its own temperature."""

from dataclasses import dataclass

import numpy as np

from classifiers.on_features import gaussian, text_initialized_probe
from classifiers.on_features.fitted import LinearFit, linear
from classifiers.on_features.task import SPREAD, Task
from classifiers.temperature_scaling import temperature


@dataclass(frozen=True, kw_only=True)
class BlendFit(LinearFit):
    """Mean of the logits of linear classifiers, and of what they say of new names.

    Attributes:
        parts: the classifiers; shares: what the logits of each are multiplied by.
    """

    parts: tuple[LinearFit, ...]
    shares: tuple[float, ...]

    def new(self, features: np.ndarray, texts: np.ndarray) -> np.ndarray:
        """Logits [n, m] over the unit texts of new names, before the offset."""
        said = [part.new(features, texts) for part in self.parts]
        return np.tensordot(self.shares, said, axes=1).astype(np.float32)


def fit(task: Task, seed: int = 0) -> LinearFit:
    """Mean of the text probe's and the Gaussians' logits, each divided by its temperature.

    One draws borders where classes meet, the other knows where they lie; their errors differ, so
    that both together are seldom worse than the better one. With a class without images it is
    the text probe alone.

    Args:
        task: images; validation, where there is one, gives the temperatures.
        seed: not used, nothing is drawn.
    """
    probe = text_initialized_probe.fit(task, seed)
    if not task.counts.all():
        return probe
    parts = (probe, gaussian.fit(task, seed))
    shares = [1 / (len(parts) * _warmth(part, task)) for part in parts]
    rows = np.tensordot(shares, [part.rows for part in parts], axes=1)
    bias = np.tensordot(shares, [part.bias for part in parts], axes=1)
    warm = _warmth(linear(rows, bias, text_scale=None), task)
    shares = [share / warm for share in shares]
    return BlendFit(
        rows=(rows / warm).astype(np.float32),
        bias=(bias / warm).astype(np.float32),
        text_scale=probe.text_scale,
        trained=sum(part.trained for part in parts),
        chosen={"shares": shares, "parts": [part.chosen for part in parts]},
        parts=parts,
        shares=tuple(shares),
    )


def _warmth(part: LinearFit, task: Task) -> float:
    """The temperature on validation; 1 without."""
    if task.validation is None:
        return 1.0
    return temperature(part.known(task.validation[0]), task.validation[1], spread=SPREAD)
