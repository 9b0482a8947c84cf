"""Compiled functions of a model's own variables, for calls from plain Python."""

from collections.abc import Callable
from typing import Any

import keras


def is_plain(x: Any) -> bool:
    """Whether `x` holds numbers, and is not a symbol inside a function that is being compiled."""
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
    """`function` of one array, compiled for each shape, on TensorFlow and JAX.

    It reads the model's variables each time, so weights that have changed count. On TensorFlow a
    gradient tape sees through it.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, reduce_retracing=True, jit_compile=on_accelerator())
    if keras.backend.backend() != "jax":
        return function
    import jax

    def with_values(values, x):
        with keras.StatelessScope(list(zip(model.variables, values, strict=True))):
            return function(x)

    run = jax.jit(with_values)
    return lambda x: run([variable.value for variable in model.variables], x)


def xla_by_default() -> bool | str:
    """A model's `jit_compile` where nobody says: Keras's `"auto"`, but no XLA on a CPU."""
    on_cpu = keras.backend.backend() == "tensorflow" and not on_accelerator()
    return False if on_cpu else "auto"


def without_xla_on_cpu(model: keras.Model) -> None:
    """The same for `predict` and `evaluate` of a model that nobody compiled."""
    if xla_by_default() is False:
        model.jit_compile = False


def on_accelerator() -> bool:
    """Whether there is a GPU or TPU.

    On a CPU, XLA gains a tenth on transformers after ten seconds of compiling for each shape, and
    on convolutions it takes minutes and loses.
    """
    import tensorflow as tf

    return bool(tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("TPU"))
