"""ProKeR: kernel ridge regression of the zero-shot classifier's residuals."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from classifiers.on_features.choosing import choose
from classifiers.on_features.fitted import Fitted
from classifiers.on_features.task import SPREAD, Task, unit
from classifiers.temperature_scaling import losses, temperature

# By shots, as published: (beta, strength).
BY_SHOTS = {1: (3.0, 0.05), 2: (2.6, 0.05), 4: (1.5, 0.05), 8: (1.66, 0.07), 16: (1.7, 0.1)}
BETAS = (0.5, 1.0, 2.0, 3.0)
STRENGTHS = (0.001, 0.01, 0.03, 0.1, 0.3, 1.0)
MOST_IMAGES = 4096  # the solution takes time by the cube of their number


@dataclass(frozen=True, kw_only=True)
class KernelFit(Fitted):
    """Logits are `text_scale` times (cosines with the texts + kernel with the keys @ duals).

    Attributes:
        texts: [c, d]; keys: [n, d]; duals: [n, c].
        beta: the kernel is exp(-beta (1 - cosine)).
    """

    texts: np.ndarray
    keys: np.ndarray
    duals: np.ndarray
    beta: float

    def known(self, features: np.ndarray) -> np.ndarray:
        """Logits [n, c] over the classes that were fitted."""
        values = unit(features)
        added = kernel(values, self.keys, self.beta) @ self.duals
        return np.float32(self.text_scale) * (values @ self.texts.T + added)


def fit(
    task: Task, seed: int = 0, *, beta: float | None = None, strength: float | None = None
) -> KernelFit:
    """Kernel ridge regression from features to one-hot labels minus the texts' cosines.

    duals = (K / strength + W^-1)^-1 (Y - F t), W the weights of the images; a strength towards 0
    gives zero-shot (Bendou et al. 2025, arXiv:2501.11175, equation 9, proximal kernel ridge).

    Args:
        task: images, any number of each class; of each the mean of its views is a key.
            Validation chooses beta and strength, which are otherwise those published by shots.
        seed: draws `MOST_IMAGES` where there are more.
        beta, strength: these instead; both or neither.
    """
    keys, labels, weights = _keys(task, seed)
    residual = np.eye(task.classes)[labels] - keys @ task.class_texts.T
    shots = max((n for n in BY_SHOTS if n <= task.shots), default=1)
    default = BY_SHOTS[shots] if beta is None or strength is None else (beta, strength)

    def solved(setting: tuple[float, float], scale: float = task.scale, **more: Any) -> KernelFit:
        duals = solve(keys, residual, weights, beta=setting[0], strength=setting[1])
        return KernelFit(
            text_scale=scale,
            trained=duals.size,
            chosen={"beta": setting[0], "strength": setting[1], **more},
            settings={"beta": setting[0], "strength": setting[1]},
            texts=task.class_texts,
            keys=keys,
            duals=duals.astype(np.float32),
            beta=setting[0],
        )

    if task.validation is None or beta is not None:
        return solved(default)
    held, wanted = task.validation
    tried, fits = {}, {}
    for setting in (default, *((b, s) for b in BETAS for s in STRENGTHS)):
        fits[setting] = found = solved(setting)
        logits = found.known(held)
        warm = temperature(logits, wanted, spread=SPREAD)
        tried[setting] = losses(logits / warm, wanted)
    best = choose(tried, default)
    warm = temperature(fits[best].known(held), wanted, spread=SPREAD)
    return solved(best, task.scale / warm, temperature=warm)


def kernel(features: np.ndarray, keys: np.ndarray, beta: float) -> np.ndarray:
    """exp(-beta (1 - cosine)) of unit features [n, d] and keys [m, d]: [n, m]."""
    return np.exp(beta * (features @ keys.T - 1))


def solve(
    keys: np.ndarray, residual: np.ndarray, weights: np.ndarray, *, beta: float, strength: float
) -> np.ndarray:
    """The duals float64 [n, c] of keys [n, d] and residuals [n, c]."""
    from scipy.linalg import cho_factor, cho_solve

    matrix = kernel(keys, keys, beta).astype(np.float64) / strength
    matrix[np.diag_indices_from(matrix)] += 1 / np.asarray(weights, np.float64)
    return cho_solve(cho_factor(matrix, overwrite_a=True, check_finite=False), residual)


def _keys(task: Task, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    keys, labels, weights = task.mean_features, task.labels, task.weights
    if task.images <= MOST_IMAGES:
        return keys, labels, weights
    drawn = np.random.default_rng(seed).permutation(task.images)[:MOST_IMAGES]
    return keys[drawn], labels[drawn], weights[drawn]
