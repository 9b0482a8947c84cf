"""Reject images of unknown classes: a threshold on the confidence."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class NoneOfThese:
    """How well the largest score tells known classes from others.

    Attributes:
        threshold: a largest score below it means "none of these".
        kept: share of images of known classes at or above it.
        auroc: chance that an image of a known class scores above one of another class.
        false_positive_rate: share of images of other classes at or above the threshold.
    """

    threshold: float
    kept: float
    auroc: float
    false_positive_rate: float


def threshold(known: np.ndarray, other: np.ndarray, *, kept: float = 0.95) -> NoneOfThese:
    """Choose the threshold that keeps a share of known images, and measure it on others.

    Args:
        known: scores [n] of images of classes that the model knows, not trained on.
        other: scores [m] of images of classes that it does not, such as held-out ones.
        kept: share of known images that must stay at or above the threshold.

    Raises:
        ValueError: a share outside 0 to 1, or no score on either side.
    """
    from scipy.stats import rankdata

    known, other = (np.asarray(scores, np.float64) for scores in (known, other))
    if not 0 < kept <= 1:
        raise ValueError(f"kept: expected a number above 0, up to 1; got {kept}")
    for what, scores in (("known", known), ("other", other)):
        if scores.ndim != 1 or not len(scores):
            raise ValueError(f"{what}: expected scores [n] of images; got {list(scores.shape)}")
    n, m = len(known), len(other)
    at = float(np.sort(known)[n - int(np.ceil(kept * n - 1e-9))])
    ranks = rankdata(np.concatenate([known, other]))[:n].sum()
    return NoneOfThese(
        threshold=at,
        kept=float((known >= at).mean()),
        auroc=float((ranks - n * (n + 1) / 2) / (n * m)),
        false_positive_rate=float((other >= at).mean()),
    )
