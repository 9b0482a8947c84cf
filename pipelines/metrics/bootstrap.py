"""Bootstrap confidence intervals: how much a metric would move on other images.

The percentile bootstrap (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993,
chapter 13): draw n of the n images with replacement, compute every metric, repeat, and take the
percentiles. A draw is a vector of counts, so each metric is a few weighted counts.
"""

from collections.abc import Callable, Sequence

import numpy as np


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
