"""The parts of what `fit` and `evaluate` are given: inputs, images, targets."""

from typing import Any


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
