"""Model Stock: average a few fine-tuned models, weighted by how much they agree."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from dual_encoder.training.weight_interpolation import Weights


def model_stock(start: Weights, tuned: Sequence[Weights]) -> Weights:
    """Weights between the mean of `tuned` and `start`, tensor by tensor.

    With k models and the mean cosine c of the pairs of their differences from the start, the
    share of the mean is k c / ((k - 1) c + 1): all of it where they agree, nothing where their
    differences are orthogonal. A negative cosine counts as 0 (Jang et al. 2024,
    arXiv:2403.19522).

    Args:
        start: weights of the untouched model, as `weights` of it gives them.
        tuned: those of two or more models that were fine-tuned from it, such as of several seeds.

    Returns:
        Arrays of the shapes and dtypes of `start`; tensors that are no floating numbers are those
        of the start.

    Raises:
        ValueError: fewer than two models, or one whose shapes are not those of the start.
    """
    if len(tuned) < 2:
        raise ValueError(f"tuned: expected the weights of two or more models; got {len(tuned)}")
    for number, weights in enumerate(tuned):
        _check(start, weights, number)
    return [_between(first, others) for first, *others in zip(start, *tuned, strict=True)]


def share(start: np.ndarray, tuned: Sequence[np.ndarray]) -> float:
    """The share of the mean of one tensor's tuned values, 0 to 1; see `model_stock`."""
    moved = [np.asarray(each, np.float64).ravel() - start.ravel() for each in tuned]
    lengths = [float(np.linalg.norm(each)) for each in moved]
    pairs = list(combinations(range(len(tuned)), 2))
    cosines = [
        float(moved[i] @ moved[j]) / (lengths[i] * lengths[j]) if lengths[i] * lengths[j] else 0.0
        for i, j in pairs
    ]
    k, cosine = len(tuned), min(max(float(np.mean(cosines)), 0.0), 1.0)
    return k * cosine / ((k - 1) * cosine + 1)


def _between(start: np.ndarray, tuned: Sequence[np.ndarray]) -> np.ndarray:
    if start.dtype.kind in "biu":  # counters; a bfloat16 is none of NumPy's floating numbers
        return start.copy()
    part = share(np.asarray(start, np.float64), tuned)
    mean = np.mean([np.asarray(each, np.float64) for each in tuned], axis=0)
    return (part * mean + (1 - part) * start).astype(start.dtype)


def _check(start: Weights, weights: Weights, number: int) -> None:
    if len(weights) != len(start):
        raise ValueError(
            f"tuned: expected {len(start)} tensors of each model; number {number} has "
            f"{len(weights)}"
        )
    for place, (first, other) in enumerate(zip(start, weights, strict=True)):
        if first.shape != other.shape:
            raise ValueError(
                f"tuned: expected tensor {place} of shape {list(first.shape)}; number {number} "
                f"has {list(other.shape)}"
            )
