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

import tensorflow as tf

from tfrecords import draws

_STATES = ("seed_generator_state", "StateVar")  # of keras.random and of tf.random.Generator


def augmented(augment: Callable, shape: tuple[int, ...]) -> Callable:
    """Make a function (images, key) -> images, uint8 to uint8, of an augmentation.

    Args:
        augment: a callable or Keras layer, from float32 `shape` in 0-255 to the same shape.
            One that takes `training` is called with True.
        shape: [b, h, w, 3] of the batches.

    Raises:
        ValueError: `augment` returns something else than pictures of that shape.
    """
    call = getattr(augment, "call", augment)
    takes_training = "training" in inspect.signature(call).parameters
    options = {"training": True} if takes_training else {}

    @tf.function
    def apply(images: tf.Tensor) -> tf.Tensor:
        return augment(images, **options)

    traced = apply.get_concrete_function(tf.TensorSpec(shape, tf.float32))
    result = traced.structured_outputs
    if not isinstance(result, tf.Tensor) or tuple(result.shape) != tuple(shape):
        raise ValueError(f"augment: expected pictures of shape {tuple(shape)} back; got {result}")
    states = [v for v in traced.graph.variables if v.name.split(":")[0].endswith(_STATES)]

    def call_with_key(images: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        for index, state in enumerate(states):
            numbers = draws.uniform(draws.key(key, index), tuple(state.shape))
            state.assign(tf.cast(numbers * 2.0**24, state.dtype))
        images = tf.round(tf.cast(traced(tf.cast(images, tf.float32)), tf.float32))
        return tf.cast(tf.clip_by_value(images, 0.0, 255.0), tf.uint8)

    return call_with_key
