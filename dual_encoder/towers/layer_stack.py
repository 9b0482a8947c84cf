"""Layers that are alike, one after the other: compiled once, with a gradient that keeps little."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import keras

from dual_encoder.towers.xla import on_accelerator, xla_in_turn

DEEP = 6  # layers from which compiling one takes less than tracing all, gradients included

# What `kept` does to an array.
_keep: ContextVar[Callable[[Any], Any]] = ContextVar("keep", default=lambda array: array)


def in_turn(
    layers: Sequence[keras.layers.Layer], x: Any, *given: Any, training: bool | None
) -> Any:
    """`x` through all layers, each called with what the one before gave, and with `given`.

    On a CPU, layers that are alike become one function of their weights, traced once and, for each
    shape, compiled once by XLA: inside a function that `compiled` made, and in a training step of
    a deep tower. That takes no longer than to trace every layer, and a transformer of twelve is
    a seventh faster for it. Its training is a third faster, and keeps of a layer only what it
    called `kept`.
    """
    xla = _xla_for_training(layers, x) if training else xla_in_turn.get()
    if xla is None or len({_kind(layer) for layer in layers}) != 1:
        for layer in layers:
            x = layer(x, *given, training=training)
        return x
    import tensorflow as tf

    first = layers[0]

    def call(x: Any, weights: list) -> Any:
        with keras.StatelessScope(list(zip(first.variables, weights, strict=True))):
            return first(x, *given, training=training)

    trained = [variable.trainable for variable in first.variables]
    one = _frugal(call, trained) if training else tf.function(call, jit_compile=xla)
    for layer in layers:
        x = one(x, [tf.convert_to_tensor(variable.value) for variable in layer.variables])
    return x


def kept(array: Any) -> Any:
    """The array itself, which a layer of `in_turn` is to keep for its gradient.

    What lies between two arrays that are kept is computed once more for it, unless the gradient has
    no need of it: so keep what a product of matrices gave, and not what is quickly made of that.
    """
    return _keep.get()(array)


def _frugal(call: Callable[[Any, list], Any], trained: list[bool]) -> Callable[[Any, list], Any]:
    """`call` under XLA; its gradient has the arguments and what was `kept`, and makes the rest.

    By itself TensorFlow hands every array that a gradient uses from one function to the other,
    each as a copy: the weights, every step of a norm, the softmax. That is three times as much.
    """
    import tensorflow as tf

    @tf.function(jit_compile=True)
    def forwards(x: Any, weights: list) -> tuple[Any, list]:
        arrays: list = []

        def keep(array: Any) -> Any:
            arrays.append(array)
            return array

        with _keeping(keep):
            return call(x, weights), arrays

    @tf.function(jit_compile=True)
    def backwards(x: Any, weights: list, arrays: list, upstream: Any) -> list:
        left = iter(arrays)

        def put_back(array: Any) -> Any:
            """The array kept, with the gradient of this one, which XLA then need not compute."""
            found = next(left)
            return tf.custom_gradient(lambda _: (tf.identity(found), lambda dy: dy))(array)

        sources = [x, *(each for each, train in zip(weights, trained, strict=True) if train)]
        with tf.GradientTape(watch_accessed_variables=False) as tape, _keeping(put_back):
            tape.watch(sources)
            y = call(x, weights)
        return tape.gradient(y, sources, output_gradients=upstream)

    @tf.custom_gradient
    def one(x: Any, *weights: Any) -> tuple[Any, Callable]:
        y, arrays = forwards(x, list(weights))

        def gradient(upstream: Any) -> tuple:
            back, *of_trained = backwards(x, list(weights), arrays, upstream)
            left = iter(of_trained)
            return back, *(next(left) if train else None for train in trained)

        return y, gradient

    return lambda x, weights: one(x, *weights)


@contextlib.contextmanager
def _keeping(keep: Callable[[Any], Any]) -> Iterator[None]:
    before = _keep.set(keep)
    try:
        yield
    finally:
        _keep.reset(before)


def _xla_for_training(layers: Sequence[keras.layers.Layer], x: Any) -> bool | None:
    """Whether it pays and changes nothing in a training step; None for no.

    Not where every batch may have a shape of its own, each compiled anew. What a layer keeps for
    itself (seeds of dropout, `recompute`'s gradients) is not seen from outside its function.
    """
    if keras.backend.backend() != "tensorflow" or len(layers) < DEEP:
        return None
    import tensorflow as tf

    if not tf.inside_function() or on_accelerator() or not x.shape.is_fully_defined():
        return None
    variables = [variable for layer in layers for variable in layer.variables]
    seeds = any(keras.backend.is_int_dtype(variable.dtype) for variable in variables)
    as_written = not any("call" in vars(layer) for layer in layers)
    return True if as_written and not seeds else None


def _kind(layer: keras.layers.Layer) -> str:
    """What two layers must have in common to do the same with their weights."""
    config = {key: value for key, value in layer.get_config().items() if key != "name"}
    weights = [(tuple(each.shape), str(each.dtype), each.trainable) for each in layer.variables]
    return repr((type(layer), config, weights))
