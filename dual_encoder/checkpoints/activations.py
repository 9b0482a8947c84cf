"""Activations by the names that published configurations give them."""

from collections.abc import Callable

from dual_encoder.transformer import gelu_tanh, quick_gelu

ACTIVATIONS: dict[str, str | Callable] = {
    "quick_gelu": quick_gelu,
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "relu": "relu",
}


def activation(name: str) -> str | Callable:
    """The Keras activation of that name.

    Raises:
        ValueError: an unknown one.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"activation: expected one of {', '.join(ACTIVATIONS)}; got {name!r}")
    return ACTIVATIONS[name]
