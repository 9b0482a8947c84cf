"""Resize position embeddings for another image size."""

from typing import Any

import keras
import numpy as np

from dual_encoder.checkpoints.weights.weight_mapping import Change
from dual_encoder.towers.modified_resnet import ModifiedResNet


def resized(model: keras.Model, *, antialias: bool) -> dict[str, Change]:
    """What `weight_mapping.fill` has to do to an image tower's positions, by variable."""
    tower: Any = getattr(model, "image_tower", None)
    if isinstance(tower, ModifiedResNet):
        path, grid, extra = "image_tower/pooling/positions", tower.image_size // 32, 1
    elif hasattr(tower, "grid") and hasattr(tower, "positions"):
        path, grid, extra = "image_tower/positions", tower.grid, int(tower.has_class_token)
    else:
        return {}
    return {path: lambda table: interpolated(table, grid, extra=extra, antialias=antialias)}


def interpolated(table: np.ndarray, grid: int, *, extra: int, antialias: bool) -> np.ndarray:
    """Positions [extra + g², d] -> [extra + grid², d], bicubic over the square of places.

    With `antialias`, as `open_clip` does; without, as `transformers` does. They are PyTorch's
    bicubic in both cases, whose kernel has a = -0.5 with antialiasing and -0.75 without.

    Raises:
        ValueError: the places are no square.
    """
    places = table[extra:]
    side = round(len(places) ** 0.5)
    if side**2 != len(places):
        raise ValueError(f"positions: expected {extra} + a square number; got {len(table)}")
    if side == grid:
        return table
    matrix = _bicubic(side, grid, antialias=antialias)
    square = places.astype("float64").reshape(side, side, -1)
    square = np.einsum("ij,jkd->ikd", matrix, square)
    square = np.einsum("kj,ijd->ikd", matrix, square)
    resized = square.reshape(grid * grid, -1).astype("float32")
    return np.concatenate([table[:extra].astype("float32"), resized])


def _bicubic(size: int, new: int, *, antialias: bool) -> np.ndarray:
    """Weights [new, size] of the old places in each new one; centres of pixels are aligned."""
    scale = size / new
    stretch = max(scale, 1.0) if antialias else 1.0
    centers = (np.arange(new) + 0.5) * scale - 0.5
    reach = int(np.ceil(2 * stretch)) + 1
    matrix = np.zeros((new, size))
    for row, center in enumerate(centers):
        for place in range(int(np.floor(center)) - reach, int(np.floor(center)) + reach + 1):
            weight = _keys((place - center) / stretch, a=-0.5 if antialias else -0.75)
            if antialias and not 0 <= place < size:
                continue  # what lies outside does not count
            matrix[row, min(max(place, 0), size - 1)] += weight  # without: the edge goes on
    return matrix / matrix.sum(axis=1, keepdims=True)


def _keys(x: float, *, a: float) -> float:
    """Keys' cubic (1981)."""
    x = abs(x)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0
