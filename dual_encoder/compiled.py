"""Compiled functions of a model's own variables, for calls from plain Python."""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import keras

MOST_SHAPES = 16  # that XLA compiles for one function; further ones do without
DEEP = 6  # layers from which compiling one takes less than tracing all, gradients included
# Whether XLA compiles the layers of `in_turn`; None outside of functions that `compiled` made.
_xla_in_turn: ContextVar[bool | None] = ContextVar("xla_in_turn", default=None)


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
    gradient tape sees through it, and on its CPUs XLA compiles what `in_turn` is given.
    """
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
        return tf.function(function, reduce_retracing=True, jit_compile=True)

    def sharing(xla: bool) -> Callable[[Any], Any]:
        def share(x):
            before = _xla_in_turn.set(xla)
            try:
                return function(x)
            finally:
                _xla_in_turn.reset(before)

        return tf.function(share, reduce_retracing=True)

    with_xla, without = sharing(True), sharing(False)
    shapes: set[tuple[int, ...]] = set()

    def run(x):
        shape = tuple(x.shape)
        if shape[0] > 1 and len(shapes) < MOST_SHAPES:  # XLA loses at a single picture
            shapes.add(shape)
        return with_xla(x) if shape in shapes else without(x)

    return run


def in_turn(
    layers: Sequence[keras.layers.Layer], x: Any, *given: Any, training: bool | None
) -> Any:
    """`x` through all layers, each called with what the one before gave, and with `given`.

    On a CPU, layers that are alike become one function of their weights, traced once and, for each
    shape, compiled once by XLA: inside a function that `compiled` made, and in a training step of
    a deep tower. That takes no longer than to trace every layer, and a transformer of twelve is
    a seventh faster for it, its training a quarter.
    """
    xla = _xla_for_training(layers, x) if training else _xla_in_turn.get()
    if xla is None or len({_kind(layer) for layer in layers}) != 1:
        for layer in layers:
            x = layer(x, *given, training=training)
        return x
    import tensorflow as tf

    first = layers[0]

    @tf.function(jit_compile=xla)
    def one(x, values):
        with keras.StatelessScope(list(zip(first.variables, values, strict=True))):
            return first(x, *given, training=training)

    for layer in layers:
        x = one(x, [tf.convert_to_tensor(variable.value) for variable in layer.variables])
    return x


def _xla_for_training(layers: Sequence[keras.layers.Layer], x: Any) -> bool | None:
    """Whether it pays and changes nothing in a training step; None for no.

    Not where every batch may have a shape of its own, each compiled anew. What a layer keeps for
    itself (seeds of dropout, `recompute`'s gradients) is not seen from outside its function, and a
    gradient would be computed for frozen weights too.
    """
    if keras.backend.backend() != "tensorflow" or len(layers) < DEEP:
        return None
    import tensorflow as tf

    if not tf.inside_function() or on_accelerator() or not x.shape.is_fully_defined():
        return None
    all_trained = all(variable.trainable for layer in layers for variable in layer.variables)
    as_written = not any("call" in vars(layer) for layer in layers)
    return True if all_trained and as_written else None


def _kind(layer: keras.layers.Layer) -> str:
    """What two layers must have in common to do the same with their weights."""
    config = {key: value for key, value in layer.get_config().items() if key != "name"}
    weights = [(tuple(variable.shape), str(variable.dtype)) for variable in layer.variables]
    return repr((type(layer), config, weights))


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

    On a CPU, XLA takes ten seconds for each shape to compile a whole transformer, which `in_turn`
    avoids, and on convolutions it takes minutes and loses.
    """
    import tensorflow as tf

    return bool(tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("TPU"))
