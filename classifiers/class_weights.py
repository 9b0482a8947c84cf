"""Weights for folders whose classes differ in size."""

import numpy as np


def class_weights(labels: np.ndarray, *, power: float) -> np.ndarray:
    """Weight of every image, float32 [n], with mean 1: (1 / images of its class) ** power.

    A power of 0 weighs all images alike, 1 all classes alike; between them is a compromise for
    large differences, for the weights of a class with few images are also its noise.

    Args:
        labels: int [n].
        power: 0 to 1.

    Raises:
        ValueError: a power outside 0 to 1, or no label.
    """
    labels = np.asarray(labels)
    if not 0 <= power <= 1:
        raise ValueError(f"power: expected 0 (no weights) to 1 (classes weigh alike); got {power}")
    if labels.ndim != 1 or not len(labels):
        raise ValueError(f"labels: expected one class per image, [n]; got {list(labels.shape)}")
    _, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
    weights = (1.0 / counts[places]) ** power
    return (weights / weights.mean()).astype(np.float32)


def imbalance(labels: np.ndarray) -> float:
    """Images of the largest class for each image of the smallest that has any."""
    counts = np.unique(np.asarray(labels), return_counts=True)[1]
    return float(counts.max() / counts.min())
