"""Interpolate between two sets of weights of a model."""

import math
from collections.abc import Iterator, Sequence
from numbers import Real

import keras
import numpy as np

Weights = list[np.ndarray]


def weights(model: keras.Model) -> Weights:
    """Returns all weights of a model in order, with buffers, without dropout seeds."""
    return [keras.ops.convert_to_numpy(variable) for variable in _variables(model)]


def interpolate(model: keras.Model, start: Weights, end: Weights, *, alpha: float) -> None:
    """Sets the model's weights to `(1 - alpha) start + alpha end`.

    WiSE-FT (Wortsman et al. 2022, arXiv:2109.01903, eq. 1): between a zero-shot model (start) and
    its fine-tuned version (end), most of the accuracy of both can be kept. 0 and 1 give the two
    sets bit for bit.

    Raises:
        ValueError: no number, or a set of another model; names the first weight of another shape.
    """
    if not isinstance(alpha, Real) or not math.isfinite(alpha):
        raise ValueError(f"alpha: expected a number; got {alpha!r}")
    variables = _variables(model)
    for given in (start, end):
        _check(variables, given)
    for variable, first, last in zip(variables, start, end, strict=True):
        mixed = last if alpha == 1 else first if alpha == 0 else first + alpha * (last - first)
        variable.assign(np.asarray(mixed, first.dtype))


def along(
    model: keras.Model, start: Weights, end: Weights, *, alphas: Sequence[float]
) -> Iterator[float]:
    """Yields every alpha after setting the model's weights to it, for the caller to measure."""
    for alpha in alphas:
        interpolate(model, start, end, alpha=alpha)
        yield alpha


def _variables(model: keras.Model) -> list[keras.Variable]:
    if hasattr(model, "built_now"):
        model.built_now()  # of models that are not built there are no weights, without an error
    return [variable for variable in model.variables if "seed_generator" not in variable.path]


def _check(variables: list[keras.Variable], given: Weights) -> None:
    if len(given) != len(variables):
        raise ValueError(f"weights: expected {len(variables)} of this model; got {len(given)}")
    for variable, value in zip(variables, given, strict=True):
        if value.shape != tuple(variable.shape):
            raise ValueError(
                f"{variable.path}: expected shape {list(variable.shape)}; got {list(value.shape)}"
            )
