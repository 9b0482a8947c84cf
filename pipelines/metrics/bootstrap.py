"""Bootstrap confidence intervals: the uncertainty of a metric due to the choice of images.

The percentile bootstrap (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993,
chapter 13): resample n of the n images with replacement, compute every metric, repeat, and take
percentiles. A resample is a vector of counts, so each metric is a few weighted sums.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

ENDS = (2.5, 97.5)  # percentiles: those of 95 % intervals


def resampled(n: int, *, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yields how often each of n images is in a resample, int [n]."""
    rng = np.random.default_rng(seed)
    for _ in range(resamples):
        yield np.bincount(rng.integers(n, size=n), minlength=n)


def percentiles(
    figures: Callable[[np.ndarray], list[float]],
    n: int,
    *,
    names: Sequence[str],
    resamples: int,
    seed: int,
    unbiased: bool = False,
) -> dict[str, list[float]]:
    """Returns [low, high] of each named figure, computed by a function of resample counts [n].

    unbiased: of figures from 0 to 1 that resamples overestimate, lower the ends by as much as the
    resamples' mean is above the figure (Efron and Tibshirani 1993, "An Introduction to the
    Bootstrap", chapter 10).
    """
    if resamples < 0:
        raise ValueError(f"expected 0 or more bootstrap resamples; got {resamples}")
    if resamples == 0:
        return {}
    draws = [figures(counts) for counts in resampled(n, resamples=resamples, seed=seed)]
    ends = np.percentile(np.array(draws), ENDS, axis=0)
    if unbiased:
        bias = np.maximum(np.mean(draws, axis=0) - figures(np.ones(n, int)), 0)
        ends = np.clip(ends - bias, 0, 1)
    return {name: ends[:, i].tolist() for i, name in enumerate(names)}
