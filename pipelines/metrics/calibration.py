"""Calibration of a classifier: reliability bins and the expected calibration error."""

from typing import Any

import numpy as np

BINS = 15  # as in Guo et al. (2017), section 5


def bin_of(confidence: np.ndarray, *, bins: int = BINS) -> np.ndarray:
    """Returns the calibration bin of each confidence, int [n]: bin m of M is ((m-1)/M, m/M]; 0
    is in the first (Guo et al., "On Calibration of Modern Neural Networks", 2017, section 2).
    """
    return np.clip(np.ceil(np.asarray(confidence) * bins).astype(int) - 1, 0, bins - 1)


def calibration_bins(
    confidence: np.ndarray, correct: np.ndarray, *, bins: int = BINS
) -> list[dict[str, Any]]:
    """Groups images by confidence into the equal-width bins of `bin_of`.

    confidence: float [n], the probability of the predicted class; correct: bool [n].
    Returns one dict per bin: low, high, count, and the means confidence and accuracy
    (None if the bin is empty).
    """
    place = bin_of(confidence, bins=bins)
    counts = np.bincount(place, minlength=bins)
    sums = [np.bincount(place, weights=w, minlength=bins) for w in (confidence, correct)]
    return [
        {
            "low": m / bins,
            "high": (m + 1) / bins,
            "count": int(n),
            "confidence": float(sums[0][m] / n) if n else None,
            "accuracy": float(sums[1][m] / n) if n else None,
        }
        for m, n in enumerate(counts)
    ]


def calibration_error(bins: list[dict[str, Any]]) -> float:
    """Returns the expected calibration error: the mean over images of |accuracy - confidence| of
    their bin (Guo et al. 2017, equation 3)."""
    filled = [b for b in bins if b["count"]]
    gaps = sum(b["count"] * abs(b["accuracy"] - b["confidence"]) for b in filled)
    return gaps / sum(b["count"] for b in filled)
