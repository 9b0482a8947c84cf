"""Gradient checkpointing: recompute activations for the gradient instead of storing them."""

from collections.abc import Callable
from typing import Any

import keras


def recompute(model: keras.Model) -> None:
    """Recompute activations inside the tower's blocks for the gradient instead of storing them.

    Gradient checkpointing, Chen et al. 2016 (arXiv:1604.06174): less memory for a third more time.
    Blocks that recompute already stay as they are.

    Raises:
        ValueError: the tower has no blocks, or has dropout, whose masks would differ.
    """
    blocks: list[Any] = getattr(model.image_tower, "blocks", [])
    if not blocks:
        raise ValueError("recomputing: expected a tower of transformer blocks; this one has none")
    if any(getattr(block, "dropout_rate", 0) for block in blocks):
        raise ValueError("recomputing: expected blocks without dropout, which is drawn only once")
    for block in blocks:
        if not hasattr(block.call, "recomputes"):
            block.call = _recomputed(block.call)


def _recomputed(call: Callable) -> Callable:
    def recomputed(x, *given, wanted=None, **options):
        # Gradients flow only to arguments, so `wanted` tokens have to be an argument.
        if wanted is None:
            return keras.remat(lambda x: call(x, *given, **options))(x)
        return keras.remat(lambda x, wanted: call(x, *given, wanted=wanted, **options))(x, wanted)

    recomputed.recomputes = True  # type: ignore[attr-defined]
    return recomputed
