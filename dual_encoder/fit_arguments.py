"""The parts of what `fit` and `evaluate` are given: inputs, images, targets."""

from typing import Any

import numpy as np


def inputs_of(data: Any) -> Any:
    """Returns the x of a dataset as batch shapes; arrays are returned unchanged."""
    spec = getattr(data, "element_spec", data)
    return spec[0] if hasattr(data, "element_spec") and isinstance(spec, tuple) else spec


def images_of(inputs: Any) -> Any:
    """Returns the images among a model's inputs; None if there are none."""
    if isinstance(inputs, dict):
        return inputs.get("image")
    return inputs[0] if isinstance(inputs, tuple | list) and inputs else inputs


def targets_of(data: Any, y: Any) -> Any:
    """Returns the y of a dataset as batch shapes; that of arrays is returned unchanged."""
    spec = getattr(data, "element_spec", None)
    return spec[1] if isinstance(spec, tuple) and len(spec) > 1 else y


def check_embeddings(data: Any, size: int, *, least: int = 1) -> None:
    """Raises a one-line ValueError unless the x of `fit` is finite embeddings [b, size].

    Args:
        data: an array or tensor, or a `tf.data.Dataset`; others are left to Keras.
        least: smallest b.
    """
    embeddings = inputs_of(data)
    shape = getattr(embeddings, "shape", None)
    if shape is None or getattr(shape, "rank", 0) is None:
        return
    if len(shape) != 2 or shape[1] not in (None, size):
        raise ValueError(
            f"embeddings: expected those of encode_image, [b, {size}]; got {list(shape)}"
        )
    if shape[0] is not None and shape[0] < least:
        raise ValueError("embeddings: expected one or more; got none")
    if isinstance(embeddings, np.ndarray) and not np.isfinite(embeddings).all():
        raise ValueError("embeddings: expected finite numbers; got NaN or infinity among them")
