"""Rows of unit length, and the gradient by rows of what is computed from them."""

import numpy as np


def lengths(rows: np.ndarray) -> np.ndarray:
    """Euclidean lengths [..., 1] of rows [..., d]; 1e-12 in place of less."""
    return np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows [..., d] divided by their lengths; rows of zeros stay."""
    return rows / lengths(rows)


def gradient(by_unit: np.ndarray, units: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The gradient [..., d] by rows, of the one by their unit rows: what is along a row is lost."""
    return (by_unit - (by_unit * units).sum(axis=-1, keepdims=True) * units) / lengths
