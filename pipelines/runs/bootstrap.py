"""Bootstrap intervals of the figures in `metrics`: how much they would move on other pictures.

The percentile bootstrap (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993,
chapter 13): draw n of the n pictures with replacement, compute every figure, repeat, and take the
percentiles. A draw is a vector of counts, so no picture is moved and no figure recomputed from
the probabilities: each is a few weighted counts.
"""

from collections.abc import Callable, Sequence

import numpy as np

from pipelines.runs import metrics


def intervals(
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, list[float]]:
    """[low, high] of every figure of `metrics.summary` at the given level.

    labels: int [n]; probabilities: float [n, c]. The same seed gives the same intervals; no
    resamples give none ({}). A mean over classes runs over the classes that a draw holds.
    Raises ValueError for a negative number of resamples or a level outside 0 to 1.
    """
    return percentiles(
        weighted_summary(labels, probabilities),
        len(labels),
        names=metrics.METRICS,
        resamples=resamples,
        seed=seed,
        level=level,
    )


def percentiles(
    figures: Callable[[np.ndarray], list[float]],
    n: int,
    *,
    names: Sequence[str],
    resamples: int,
    seed: int,
    level: float = 0.95,
) -> dict[str, list[float]]:
    """[low, high] of each figure of a function from the counts [n] of a draw to those named."""
    if resamples < 0:
        raise ValueError(f"expected 0 or more bootstrap resamples; got {resamples}")
    if not 0 < level < 1:
        raise ValueError(f"expected a level between 0 and 1; got {level}")
    if resamples == 0:
        return {}
    rng = np.random.default_rng(seed)
    draws = [figures(np.bincount(rng.integers(n, size=n), minlength=n)) for _ in range(resamples)]
    tail = 100 * (1 - level) / 2
    ends = np.percentile(np.array(draws), [tail, 100 - tail], axis=0)
    return {name: ends[:, i].tolist() for i, name in enumerate(names)}


def weighted_summary(
    labels: np.ndarray, probabilities: np.ndarray
) -> Callable[[np.ndarray], list[float]]:
    """A function from picture counts [n] to the figures in the order of `metrics.METRICS`.

    With every count 1 they are those of `metrics.summary`.
    """
    metrics.check(labels, probabilities)
    classes = probabilities.shape[1]
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    correct = predicted == labels
    hits5 = metrics.in_top(labels, probabilities, 5)
    place = metrics.bin_of(confidence)
    surplus = correct - confidence  # summed over a bin: its pictures x (accuracy - confidence)

    def figures(counts: np.ndarray) -> list[float]:
        n = counts.sum()
        true = np.bincount(labels, counts, classes)
        said = np.bincount(predicted, counts, classes)
        right = np.bincount(labels, counts * correct, classes)
        held = true > 0
        recall = (right[held] / true[held]).mean()
        precision = (right[held] / np.maximum(said[held], 1)).mean()
        f1 = (2 * right[held] / (true[held] + said[held])).mean()
        ece = np.abs(np.bincount(place, counts * surplus)).sum() / n
        return [right.sum() / n, counts @ hits5 / n, recall, precision, recall, f1, ece]

    return figures
