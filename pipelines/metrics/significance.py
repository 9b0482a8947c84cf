"""Significance tests of the difference between two models on the same images."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipelines.metrics import multilabel

CONFIDENCE = 0.95


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
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(draws, [tail, 100 - tail]) if draws else (np.nan, np.nan)
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


def pairs_by_precision(
    labels: np.ndarray,
    probabilities: dict[str, np.ndarray],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Returns the rows of `pairs` for images with several labels, by mean average precision.

    Args:
        labels: 0 or 1 [n, c]; probabilities: [seeds, n, c] of each method.
        resamples: of the images, the same ones for all methods; seed: of the bootstrap.

    `p` is twice the share of resamples on the rarer side of 0, at least one of them counted; 1
    without resamples.
    """
    n, rng = len(labels), np.random.default_rng(seed)
    counts = [np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(resamples)]
    means = {
        name: _mean_precisions(labels, several, [np.ones(n, int), *counts])
        for name, several in probabilities.items()
    }
    tail, names, found = 100 * (1 - CONFIDENCE) / 2, list(means), []
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            whole, *draws = (means[a] - means[b]).tolist()
            low, high = np.percentile(draws, [tail, 100 - tail]) if draws else (np.nan, np.nan)
            sides = [sum(side * draw <= 0 for draw in draws) for side in (1, -1)]
            found.append(
                {
                    "a": a,
                    "b": b,
                    "difference": whole,
                    "low": float(low),
                    "high": float(high),
                    "p": min(2 * max(min(sides), 1) / len(draws), 1.0) if draws else 1.0,
                    "better": a if low > 0 else b if high < 0 else None,
                }
            )
    return found


def _mean_precisions(
    labels: np.ndarray, probabilities: np.ndarray, counts: Sequence[np.ndarray]
) -> np.ndarray:
    """Mean average precision of resamples, given by how often each image is in them: means over
    the runs of a method, float [resamples]."""
    runs = [multilabel.weighted_average_precision(labels, each) for each in probabilities]
    return np.array([np.mean([_mean_of_known(run(each)) for run in runs]) for each in counts])


def _mean_of_known(precisions: np.ndarray) -> float:
    """0 of a resample in which no image has a label."""
    known = precisions[~np.isnan(precisions)]
    return float(known.mean()) if len(known) else 0.0
