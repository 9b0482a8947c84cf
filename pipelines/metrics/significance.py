"""Whether one model is better than another on the same images, or was lucky with them."""

from typing import Any

import numpy as np

CONFIDENCE = 0.95


def mcnemar(a: np.ndarray, b: np.ndarray) -> float:
    """The two-sided p-value of "both are right equally often", of right or wrong, bool [n] each.

    Exact: of the images that only one of them gets right, each is a fair coin under the null
    hypothesis (McNemar 1947; Dietterich 1998, section 3.1). 1 where they never differ.
    """
    from scipy.stats import binomtest

    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def difference(
    a: np.ndarray, b: np.ndarray, *, resamples: int = 1000, seed: int = 0
) -> dict[str, float]:
    """How much more often a is right than b, with its paired bootstrap interval.

    Args:
        a, b: share of runs that are right about each image, float [n]: 0 or 1 of one run, means
            over seeds of several.
        resamples: draws of n images.
        seed: of the draws.

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
    """Every pair of methods, a before b in the order given.

    right: bool [seeds, n] of each. `p` is McNemar's, of the first seed; a is better if the whole
    interval is above 0, b if it is below, else `better` is None.
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
