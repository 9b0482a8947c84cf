"""Make third-party augmentation layers reproducible and resumable.

Keras, KerasHub and KerasCV layers keep their random state in variables. These are set from
(seed, epoch, step) before each batch, so a batch does not depend on earlier ones and a resumed
run augments like an uninterrupted one. Layers that use TensorFlow's stateful operations
(`tf.random.uniform`, as in KerasCV's RandAugment, MixUp and others) cannot be controlled: their
results differ after an interruption.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfrecords import stateless_random

_STATES = ("seed_generator_state", "StateVar")  # keras.random and tf.random.Generator


def augmented(augment: Callable, shape: tuple[int, ...]) -> Callable:
    """Wrap an augmentation as a function (images, key) -> images, uint8 to uint8.

    Args:
        augment: a callable or Keras layer, from float32 `shape` in 0-255 to the same shape.
            Called with `training=True` if it accepts that.
        shape: [b, h, w, 3] of the batches.

    Raises:
        ValueError: `augment` does not return images of that shape.

    A batch of fractions of 1, which would be black, raises `tf.errors.InvalidArgumentError`.
    """
    call = _drawing_from_key(augment, tf.TensorSpec(shape, tf.float32))

    def call_with_key(images: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        result = call(tf.cast(images, tf.float32), key)
        if not isinstance(result, tf.Tensor) or tuple(result.shape) != tuple(shape):
            raise ValueError(f"augment: expected images of shape {tuple(shape)} back; got {result}")
        return _checked_pixels("augment", result, images)

    return call_with_key


def mixed(mix: Callable, shape: tuple[int, ...], classes: int) -> Callable:
    """Wrap MixUp, CutMix or the like as a function (images, labels, key) -> (images, labels).

    Args:
        mix: a callable or Keras layer on `{"images": ..., "labels": ...}`, float32 both.
        shape: [b, h, w, 3] of the images, uint8 in and out.
        classes: number of classes c; labels are int32 [b] or float32 [b, c] in, float32 [b, c] out.
    """
    images_spec, labels_spec = tf.TensorSpec(shape), tf.TensorSpec((shape[0], classes))
    call = _drawing_from_key(mix, {"images": images_spec, "labels": labels_spec})

    def call_with_key(images: tf.Tensor, labels: tf.Tensor, key: tf.Tensor) -> tuple:
        if labels.shape.rank == 1:
            labels = tf.one_hot(labels, classes)
        result = call({"images": tf.cast(images, tf.float32), "labels": labels}, key)
        return _checked_pixels("mix", result["images"], images), result["labels"]

    return call_with_key


def _drawing_from_key(function: Callable, spec: Any) -> Callable:
    """Traces `function` for `spec`; returns a function of its argument and a random key."""
    call = getattr(function, "call", function)
    takes_training = "training" in inspect.signature(call).parameters
    options = {"training": True} if takes_training else {}
    traced = tf.function(lambda value: function(value, **options)).get_concrete_function(spec)
    states = [v for v in traced.graph.variables if v.name.split(":")[0].endswith(_STATES)]
    # A graph's variables are in no order, and differ so from process to process; its inputs are
    # in that of the layers.
    inputs = {id(value): place for place, value in enumerate(traced.captured_inputs)}
    states.sort(key=lambda state: inputs[id(state.handle)])

    def call_with_key(value: Any, key: tf.Tensor) -> Any:
        for index, state in enumerate(states):
            numbers = stateless_random.uniform(stateless_random.key(key, index), tuple(state.shape))
            state.assign(tf.cast(numbers * 2.0**24, state.dtype))
        return traced(value)

    return call_with_key


def _checked_pixels(name: str, images: tf.Tensor, before: tf.Tensor) -> tf.Tensor:
    """Converts images to uint8; a graph error if all are fractions of 1 that were not before."""
    were_dark = tf.reduce_max(before) <= 1
    most = tf.reduce_max(tf.cast(images, tf.float32))
    is_right = tf.logical_or(were_dark, tf.logical_or(most > 1, most <= 0))
    expected = f"{name}: expected images in 0-255 back; got fractions of 1; leave out the division"
    with tf.control_dependencies([tf.debugging.Assert(is_right, [expected])]):
        return _pixels(images)


def _pixels(images: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.clip_by_value(tf.round(tf.cast(images, tf.float32)), 0.0, 255.0), tf.uint8)
