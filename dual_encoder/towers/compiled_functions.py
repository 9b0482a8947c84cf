"""Compile functions of a model's variables for calls from Python."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import keras

from dual_encoder.towers.xla_policy import on_accelerator
from duet import keras_private_api

MOST_SHAPES = 16  # compiled by XLA per function; further shapes run without it

# Whether XLA compiles the layers of `in_turn`; None outside functions of `compiled`.
xla_in_turn: ContextVar[bool | None] = ContextVar("xla_in_turn", default=None)


def is_plain(x: Any) -> bool:
    """Returns whether `x` holds values, and is not symbolic inside a function being traced."""
    if keras.backend.is_keras_tensor(x):
        return False
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.executing_eagerly()
    if backend == "jax":
        import jax

        return not isinstance(x, jax.core.Tracer)
    return False


def compiled(function: Callable[[Any], Any], model: keras.Model) -> Callable[[Any], Any]:
    """Returns `function` of one array, compiled for each shape, on TensorFlow and JAX.

    It reads the model's current weights on each call, and is compiled again where LoRA or
    quantization has replaced them. On TensorFlow it is differentiable, and on a CPU XLA compiles
    the layers run by `in_turn`.
    """
    latest: tuple[int, Callable[[Any], Any]] | None = None

    def run(x: Any) -> Any:
        nonlocal latest
        kinds = keras_private_api.layer_kinds(model)
        found = latest
        if found is None or found[0] != kinds:
            found = latest = kinds, _compiled(function, model)
        return found[1](x)

    return run


def _compiled(function: Callable[[Any], Any], model: keras.Model) -> Callable[[Any], Any]:
    if keras.backend.backend() == "tensorflow":
        return _compiled_by_tensorflow(function)
    if keras.backend.backend() != "jax":
        return function
    import jax

    def with_values(values, x):
        with keras.StatelessScope(list(zip(model.variables, values, strict=True))):
            return function(x)

    run = jax.jit(with_values)
    return lambda x: run([variable.value for variable in model.variables], x)


def _compiled_by_tensorflow(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    import tensorflow as tf

    if on_accelerator():
        return tf.function(function, autograph=False, reduce_retracing=True, jit_compile=True)

    def sharing(xla: bool) -> Callable[[Any], Any]:
        def share(x):
            before = xla_in_turn.set(xla)
            try:
                return function(x)
            finally:
                xla_in_turn.reset(before)

        return tf.function(share, autograph=False, reduce_retracing=True)

    with_xla, without = sharing(True), sharing(False)
    shapes: set[tuple[int, ...]] = set()

    def run(x):
        shape = tuple(x.shape)
        if shape[0] > 1 and len(shapes) < MOST_SHAPES:  # XLA is slower for a single image
            shapes.add(shape)
        return with_xla(x) if shape in shapes else without(x)

    return run
