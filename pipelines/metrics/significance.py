"""Significance tests of the difference between two models on the same images."""

import itertools
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


def pairs(
    right: dict[str, np.ndarray], *, resamples: int = 1000, seed: int = 0
) -> list[dict[str, Any]]:
    """Returns a row for every pair of methods, a before b in the given order.

    right: bool [seeds, n] of each method. `difference` is of their accuracies, `low` and `high` the
    ends of its paired bootstrap interval, fractions of 1; `p` is McNemar's, for the first seed;
    `better` is a if the whole interval is above 0, b if it is below, else None.
    """
    if len(right) < 2:
        return []
    n = next(iter(right.values())).shape[1]
    seeds = {name: len(several) for name, several in right.items()}
    each = np.array([several.sum(axis=0) for several in right.values()], float).T  # [n, methods]
    drawn = bootstrap.resampled(n, resamples=resamples, seed=seed)
    totals = [counts @ each for counts in itertools.chain([np.ones(n, int)], drawn)]
    hits = dict(zip(right, np.array(totals).T, strict=True))  # whole numbers: equal is 0 exactly

    def row(a: str, b: str) -> dict[str, Any]:
        gains = (hits[a] * seeds[b] - hits[b] * seeds[a]) / (n * seeds[a] * seeds[b])
        return {**_difference(a, b, gains), "p": mcnemar(right[a][0], right[b][0])}

    return [{"a": a, "b": b, **row(a, b)} for a, b in itertools.combinations(right, 2)]


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
    drawn = bootstrap.resampled(n, resamples=resamples, seed=seed)
    found = [
        [[figure(counts) for figure in several] for several in figures.values()]
        for counts in itertools.chain([np.ones(n, int)], drawn)
    ]
    means = {
        name: np.mean(np.array(values).T, axis=0)
        for name, values in zip(figures, zip(*found, strict=True), strict=True)
    }
    return [
        {"a": a, "b": b, **_difference(a, b, means[a] - means[b])}
        for a, b in itertools.combinations(means, 2)
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
