"""Class weights for unbalanced training data."""

import numpy as np


def class_weights(labels: np.ndarray, *, power: float) -> np.ndarray:
    """The weight of each class, (1 / n_c)^power times what makes their mean over images 1.

    With power 1 every class counts alike, however many images it has: the weighted mean of a loss
    is the mean over classes of its means. With power 0 every image counts alike.

    Args:
        labels: int [n], 0 to c - 1.
        power: 0 to 1.

    Returns:
        float64 [c]; 0 for a class without an image.

    Raises ValueError for a power outside of 0 to 1, no labels, or others than whole numbers.
    """
    labels = np.asarray(labels)
    if not 0 <= power <= 1:
        raise ValueError(f"power of class weights: expected a number from 0 to 1; got {power}")
    if not len(labels):
        raise ValueError("labels: expected one or more; got none")
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise ValueError(
            "labels: expected whole numbers [n] of 0 or more; got "
            f"{labels.dtype} {list(labels.shape)}, such as {labels.flat[0]!r}"
        )
    counts = np.bincount(labels)
    weights = np.where(counts, np.maximum(counts, 1.0) ** -power, 0.0)
    return weights * len(labels) / (weights @ counts)
