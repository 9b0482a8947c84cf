"""Activation functions by their names in published configurations."""

from collections.abc import Callable

import keras

from dual_encoder.towers.transformer import gelu_tanh, quick_gelu

ACTIVATIONS: dict[str, str | Callable] = {
    "quick_gelu": quick_gelu,
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_pytorch_tanh": gelu_tanh,
    "gelu_new": gelu_tanh,
    "relu": "relu",
    "silu": "silu",
}


def activation(name: str) -> str | Callable:
    """The Keras activation of that name.

    Raises:
        ValueError: an unknown one.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"activation: expected one of {', '.join(ACTIVATIONS)}; got {name!r}")
    return ACTIVATIONS[name]


def activation_name(function: Callable) -> str:
    """The first of the names that an activation has.

    Raises:
        ValueError: it has none.
    """
    for name, known in ACTIVATIONS.items():
        if keras.activations.get(known) is function:
            return name
    shown = getattr(function, "__name__", repr(function))
    raise ValueError(f"activation: expected one of {', '.join(ACTIVATIONS)}; got {shown}")
