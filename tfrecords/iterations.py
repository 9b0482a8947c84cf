"""Datasets that know how often they have been iterated: a new epoch each time, or once only."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

_as_it_is = tf.autograph.experimental.do_not_convert


def each_time(make: Callable[[tf.Tensor], tf.data.Dataset]) -> tf.data.Dataset:
    """`make(0)` when the dataset is iterated for the first time, then `make(1)`, and so on.

    An iteration counts from its first element on. The count is a Python object of this process: a
    variable would become one per replica inside the scope of a strategy.
    """
    counter = itertools.count()

    def number(_: tf.Tensor) -> tf.Tensor:
        return _from_python(lambda: np.int64(next(counter)), tf.int64)

    return tf.data.Dataset.range(1).map(number).flat_map(make)


def only_once(dataset: tf.data.Dataset, *, length: int, message: str) -> tf.data.Dataset:
    """The dataset of `length` elements; once its last one was read, another iteration raises
    `tf.errors.InvalidArgumentError` with this message."""
    ended: list[bool] = []

    def begin(_: tf.Tensor) -> tf.Tensor:
        fresh = _from_python(lambda: np.bool_(not ended), tf.bool)
        with tf.control_dependencies([tf.debugging.Assert(fresh, [message])]):
            return tf.identity(fresh)

    def end() -> tf.Tensor:
        def note() -> np.bool_:
            ended.append(True)
            return np.bool_(True)

        return _from_python(note, tf.bool)

    # Keras reads as many elements as there are and does not ask for the end behind them.
    def noticed(i: tf.Tensor, element: Any) -> Any:
        last = tf.cond(tf.equal(i, length - 1), end, lambda: tf.constant(False))
        with tf.control_dependencies([last]):
            return tf.nest.map_structure(tf.identity, element)

    whole = tf.data.Dataset.range(1).map(begin).flat_map(lambda _: dataset)
    return whole.enumerate().map(_as_it_is(noticed))


def _from_python(function: Callable[[], np.generic], dtype: tf.DType) -> tf.Tensor:
    return tf.ensure_shape(tf.numpy_function(function, [], dtype), ())
