"""Augmentation of batches by other people's layers, made resumable.

Keras, KerasHub and KerasCV layers keep the state of their random numbers in variables. Before
each batch those are set from (seed, epoch, step), so what a batch looks like does not depend on
the batches before it, and a resumed run augments as an uninterrupted one would have. What a
layer draws with TensorFlow's stateful operations instead (`tf.random.uniform`, as KerasCV does in
RandAugment, MixUp and others) is beyond reach: it differs after an interruption.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfrecords import stateless_random

_STATES = ("seed_generator_state", "StateVar")  # of keras.random and of tf.random.Generator


def augmented(augment: Callable, shape: tuple[int, ...]) -> Callable:
    """Make a function (images, key) -> images, uint8 to uint8, of an augmentation.

    Args:
        augment: a callable or Keras layer, from float32 `shape` in 0-255 to the same shape.
            One that takes `training` is called with True.
        shape: [b, h, w, 3] of the batches.

    Raises:
        ValueError: `augment` returns something else than images of that shape.
    """
    call = _drawing_from_key(augment, tf.TensorSpec(shape, tf.float32))

    def call_with_key(images: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        result = call(tf.cast(images, tf.float32), key)
        if not isinstance(result, tf.Tensor) or tuple(result.shape) != tuple(shape):
            raise ValueError(f"augment: expected images of shape {tuple(shape)} back; got {result}")
        return _pixels(result)

    return call_with_key


def mixed(mix: Callable, shape: tuple[int, ...], classes: int) -> Callable:
    """Make a function (images, labels, key) -> (images, labels) of MixUp, CutMix and the like.

    Args:
        mix: a callable or Keras layer on `{"images": ..., "labels": ...}`, float32 both.
        shape: [b, h, w, 3] of the images, uint8 in and out.
        classes: c of the labels, in int32 [b] or float32 [b, c], out float32 [b, c].
    """
    images_spec, labels_spec = tf.TensorSpec(shape), tf.TensorSpec((shape[0], classes))
    call = _drawing_from_key(mix, {"images": images_spec, "labels": labels_spec})

    def call_with_key(images: tf.Tensor, labels: tf.Tensor, key: tf.Tensor) -> tuple:
        if labels.shape.rank == 1:
            labels = tf.one_hot(labels, classes)
        result = call({"images": tf.cast(images, tf.float32), "labels": labels}, key)
        return _pixels(result["images"]), result["labels"]

    return call_with_key


def _drawing_from_key(function: Callable, spec: Any) -> Callable:
    """`function` traced for `spec`, as a function of its argument and the key it draws from."""
    call = getattr(function, "call", function)
    takes_training = "training" in inspect.signature(call).parameters
    options = {"training": True} if takes_training else {}
    traced = tf.function(lambda value: function(value, **options)).get_concrete_function(spec)
    states = [v for v in traced.graph.variables if v.name.split(":")[0].endswith(_STATES)]

    def call_with_key(value: Any, key: tf.Tensor) -> Any:
        for index, state in enumerate(states):
            numbers = stateless_random.uniform(stateless_random.key(key, index), tuple(state.shape))
            state.assign(tf.cast(numbers * 2.0**24, state.dtype))
        return traced(value)

    return call_with_key


def _pixels(images: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.clip_by_value(tf.round(tf.cast(images, tf.float32)), 0.0, 255.0), tf.uint8)
