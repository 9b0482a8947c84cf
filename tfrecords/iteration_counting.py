"""Datasets that count their iterations: a new epoch each time, or a single one."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

# Without AutoGraph, which takes most of the time of tracing; there is nothing to convert here.
as_it_is = tf.autograph.experimental.do_not_convert

# What is computed, and the tensors that it takes.
Traceable = tuple[Callable[..., Any], Sequence[tf.TensorSpec]]


def traced_once(make: Callable[..., Traceable]) -> Callable[..., Callable[..., Any]]:
    """Makes `make`, of settings to a function and what it takes, return that function as a graph,
    which all datasets of a process with these settings share: tracing it takes a tenth of a second.
    """

    @functools.lru_cache(maxsize=32)
    def traced(*settings: Any) -> Callable[..., Any]:
        function, takes = make(*settings)
        graph = tf.function(function, input_signature=takes, autograph=False)
        with tf.init_scope(), tf.device(None):  # not on that of the first dataset
            return graph.get_concrete_function()

    return traced


def without_autotuning(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns the dataset with fixed parallelism: where TensorFlow tunes it, closing an iterator
    may wait for as long as a minute."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


_looks: list[None] = []  # one for each `looking` that is entered


@contextlib.contextmanager
def looking() -> Iterator[None]:
    """Iterations begun inside do not use up a dataset that can be iterated once."""
    _looks.append(None)
    try:
        yield
    finally:
        _looks.pop()


def each_time(make: Callable[[tf.Tensor], tf.data.Dataset]) -> tf.data.Dataset:
    """Returns a dataset that is `make(0)` in its first iteration, then `make(1)`, and so on.

    An iteration counts once its first element is read. The counter is a Python object of this
    process: inside a strategy's scope, a variable would be copied to each replica.
    """
    counter = itertools.count()

    def number(_: tf.Tensor) -> tf.Tensor:
        return _from_python(lambda: np.int64(next(counter)), tf.int64)

    return tf.data.Dataset.range(1).map(as_it_is(number)).flat_map(as_it_is(make))


def only_once(dataset: tf.data.Dataset, *, length: int, message: str) -> tf.data.Dataset:
    """Returns the dataset of `length` elements, limited to one complete iteration but for those of
    `looking`; another one raises `tf.errors.InvalidArgumentError` with this message."""
    is_look = is_used_up = False

    def note_begin() -> np.bool_:
        nonlocal is_look
        is_look = bool(_looks)
        return np.bool_(not is_used_up)

    def note_end() -> np.bool_:
        nonlocal is_used_up
        is_used_up = is_used_up or not is_look
        return np.bool_(True)

    def begin(_: tf.Tensor) -> tf.Tensor:
        fresh = _from_python(note_begin, tf.bool)
        with tf.control_dependencies([tf.debugging.Assert(fresh, [message])]):
            return tf.identity(fresh)

    def end() -> tf.Tensor:
        return _from_python(note_end, tf.bool)

    # Keras reads exactly `length` elements and never requests the end of the dataset.
    def noticed(i: tf.Tensor, element: Any) -> Any:
        last = tf.cond(tf.equal(i, length - 1), end, lambda: tf.constant(False))
        with tf.control_dependencies([last]):
            return tf.nest.map_structure(tf.identity, element)

    whole = tf.data.Dataset.range(1).map(as_it_is(begin)).flat_map(as_it_is(lambda _: dataset))
    # Options do not pass through `flat_map`, and with autotuning closing an iterator may take as
    # long as a minute.
    return whole.enumerate().map(as_it_is(noticed)).with_options(dataset.options())


def _from_python(function: Callable[[], np.generic], dtype: tf.DType) -> tf.Tensor:
    return tf.ensure_shape(tf.numpy_function(function, [], dtype), ())
