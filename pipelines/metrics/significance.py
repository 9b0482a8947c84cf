"""Significance tests of the difference between two models on the same images."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pipelines.metrics import bootstrap

#: From how often each image is counted, int [n], to a figure of all.
Figure = Callable[[np.ndarray], float]


def mcnemar(a: np.ndarray, b: np.ndarray) -> float:
    """Returns McNemar's two-sided p-value for equal accuracy, from correctness bool [n] of each.

    Exact: under the null hypothesis, each image that only one of them gets right is a fair coin
    flip (McNemar 1947; Dietterich 1998, section 3.1). 1 if they never differ.
    """
    from scipy import special  # `scipy.stats` takes a second to import

    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    return min(2 * float(special.bdtr(min(only_a, only_b), only_a + only_b, 0.5)), 1.0)


def difference(
    a: np.ndarray, b: np.ndarray, *, resamples: int = 1000, seed: int = 0
) -> dict[str, float]:
    """Returns the accuracy difference of a and b with its paired bootstrap interval.

    Args:
        a, b: share of runs that are right on each image, float [n]: 0 or 1 for one run, means
            over the seeds of several.
        resamples: number of bootstrap resamples.
        seed: of the bootstrap.

    Returns:
        `difference`, `low` and `high`, fractions of 1.
    """
    gain = np.asarray(a, float) - np.asarray(b, float)
    rng = np.random.default_rng(seed)
    draws = [gain[rng.integers(len(gain), size=len(gain))].mean() for _ in range(resamples)]
    low, high = np.percentile(draws, bootstrap.ENDS) if draws else (np.nan, np.nan)
    return {"difference": float(gain.mean()), "low": float(low), "high": float(high)}


def pairs(
    right: dict[str, np.ndarray], *, resamples: int = 1000, seed: int = 0
) -> list[dict[str, Any]]:
    """Returns a row for every pair of methods, a before b in the given order.

    right: bool [seeds, n] of each method. `p` is McNemar's, for the first seed; `better` is a if
    the whole interval is above 0, b if it is below, else None.
    """
    names, found = list(right), []
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            row = difference(
                right[a].mean(axis=0), right[b].mean(axis=0), resamples=resamples, seed=seed
            )
            better = a if row["low"] > 0 else b if row["high"] < 0 else None
            p = mcnemar(right[a][0], right[b][0])
            found.append({"a": a, "b": b, **row, "p": p, "better": better})
    return found


def pairs_by(
    figures: Mapping[str, Sequence[Figure]], n: int, *, resamples: int = 1000, seed: int = 0
) -> list[dict[str, Any]]:
    """Returns the rows of `pairs` by another figure than accuracy.

    Args:
        figures: of each method one of each seed.
        n: images, which are resampled alike for all methods.
        resamples: how often; seed: of the bootstrap.

    `p` is twice the share of resamples on the rarer side of 0, at least one of them counted; 1
    without resamples.
    """
    counts = [np.ones(n, int), *bootstrap.resampled(n, resamples=resamples, seed=seed)]
    means = {
        name: np.mean([[figure(each) for each in counts] for figure in several], axis=0)
        for name, several in figures.items()
    }
    names = list(means)
    return [
        {"a": a, "b": b, **_difference(a, b, means[a] - means[b])}
        for i, a in enumerate(names)
        for b in names[i + 1 :]
    ]


def _difference(a: str, b: str, gains: np.ndarray) -> dict[str, Any]:
    """Of the gain of all images, and those of resamples behind it."""
    whole, draws = float(gains[0]), gains[1:]
    if not len(draws):
        return {"difference": whole, "low": np.nan, "high": np.nan, "p": 1.0, "better": None}
    low, high = (float(end) for end in np.percentile(draws, bootstrap.ENDS))
    rarer = min((draws <= 0).sum(), (draws >= 0).sum())
    return {
        "difference": whole,
        "low": low,
        "high": high,
        "p": min(2 * max(int(rarer), 1) / len(draws), 1.0),
        "better": a if low > 0 else b if high < 0 else None,
    }
