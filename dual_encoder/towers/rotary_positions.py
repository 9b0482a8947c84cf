"""Two-dimensional rotary position embeddings."""

from typing import Any

import numpy as np
from keras import ops

LAYOUTS = ("pairs", "halves")


def grid_angles(
    side: int, size: int, *, reference: int, offset: float = 0.0, base: float = 10_000.0,
    order: str = "yx",
) -> np.ndarray:  # fmt: skip
    """Returns angles [side², size / 2] of grid positions from 0, as in EVA-02 and PE.

    Args:
        side: patches per row.
        size: of a head.
        reference: patches per row in training, to which positions are scaled.
        offset: of the first position.
        base: of the wavelengths.
        order: axis of the first half of the angles.

    References: Su et al. 2021 (arXiv:2104.09864), section 3.2; Fang et al. 2023 (arXiv:2303.11331).
    """
    places = (np.arange(side, dtype="float32") + np.float32(offset)) / side * reference
    return _angles(places, base ** -(np.arange(size // 4) / (size // 4)), order=order)


def centered_angles(side: int, size: int, *, base: float = 100.0) -> np.ndarray:
    """Returns angles [side², size / 2] of patch centres in a square from -1 to 1, as in DINOv3.

    Reference: Siméoni et al. 2025 (arXiv:2508.10104), section 3.2.
    """
    places = 2 * (np.arange(side, dtype="float32") + 0.5) / side - 1
    return _angles(2 * np.pi * places, base ** -(np.arange(size // 4) / (size // 4)), order="yx")


def _angles(places: np.ndarray, frequencies: np.ndarray, *, order: str) -> np.ndarray:
    y, x = np.meshgrid(places, places, indexing="ij")
    axes = (y, x) if order == "yx" else (x, y)
    frequencies = frequencies.astype("float32")
    parts = [axis.reshape(-1, 1).astype("float32") * frequencies for axis in axes]
    return np.concatenate(parts, axis=1)


def waves(angles: np.ndarray, *, prefix: int, layout: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns cosines and sines [prefix + n, size] for `turned`; no rotation for the prefix.

    Args:
        angles: [n, size / 2].
        prefix: number of tokens without a position.
        layout: whether an angle rotates adjacent numbers (`"pairs"`) or numbers half a head apart
            (`"halves"`).
    """
    angles = np.concatenate([np.zeros((prefix, angles.shape[1]), angles.dtype), angles])
    angles = np.tile(angles, 2) if layout == "halves" else np.repeat(angles, 2, axis=1)
    return np.cos(angles).astype("float32"), np.sin(angles).astype("float32")


def turned(x: Any, cosines: Any, sines: Any, *, heads: int, layout: str) -> Any:
    """Rotates every head of queries or keys [b, n, d] by the angles of its token."""
    n, d = cosines.shape[0], x.shape[-1]
    size = d // heads
    x = ops.reshape(x, (-1, n, heads, size))
    if layout == "halves":
        other = ops.concatenate([-x[..., size // 2 :], x[..., : size // 2]], axis=-1)
    else:
        pairs = ops.reshape(x, (-1, n, heads, size // 2, 2))
        other = ops.stack([-pairs[..., 1], pairs[..., 0]], axis=-1)
        other = ops.reshape(other, (-1, n, heads, size))
    cosines, sines = (ops.cast(each, x.dtype)[:, None] for each in (cosines, sines))
    return ops.reshape(x * cosines + other * sines, (-1, n, d))
