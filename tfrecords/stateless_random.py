"""Random numbers as pure functions of a key, without state or a global seed.

A key is a uint64 tensor mixed from integers, such as (seed, epoch, image). The same key gives
the same numbers on any machine, in any batch, at any step, so a resumed run continues exactly.
SplitMix64 (Steele, Lea and Flood 2014) needs a few operations for a whole batch of keys;
TensorFlow's stateless generators take one key per call.
"""

from __future__ import annotations

import tensorflow as tf

_GOLDEN = 0x9E3779B97F4A7C15  # 2**64 / golden ratio, odd
_STEPS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_LAST = 31


def key(*parts: tf.Tensor | int) -> tf.Tensor:
    """Mixes integers or integer tensors, with broadcasting, to uint64 keys."""
    known = 0
    while parts and isinstance(parts[0], int):
        known, parts = _mix_known(known + parts[0] + _GOLDEN), parts[1:]
    mixed = _constant(known)
    for part in parts:
        mixed = _mix(mixed + tf.cast(part, tf.uint64) + _constant(_GOLDEN))
    return mixed


def uniform(keys: tf.Tensor, shape: tuple[int, ...] = ()) -> tf.Tensor:
    """Returns random numbers in [0, 1): float32 [*keys.shape, *shape]."""
    counter = tf.range(1, tf.reduce_prod(shape) + 1, dtype=tf.int64)
    counter = tf.reshape(tf.cast(counter, tf.uint64) * _constant(_GOLDEN), shape)
    keys = tf.reshape(keys, tf.concat([tf.shape(keys), tf.ones(len(shape), tf.int32)], axis=0))
    bits = tf.bitwise.right_shift(_mix(keys + counter), _constant(40))
    return tf.cast(bits, tf.float32) * 2.0**-24  # a float32 holds 24 bits exactly


def shuffle(values: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """Returns the rows of `values`, shuffled by a scalar key."""
    seed = tf.stack([tf.bitcast(key, tf.int64), 0])
    return tf.random.experimental.stateless_shuffle(values, seed, alg="philox")


def _mix(bits: tf.Tensor) -> tf.Tensor:
    for shift, factor in _STEPS:
        bits = _fold(bits, shift) * _constant(factor)
    return _fold(bits, _LAST)


def _mix_known(bits: int) -> int:
    """`_mix` of a number that is known before there is a graph, which then is the smaller."""
    bits %= 1 << 64
    for shift, factor in _STEPS:
        bits = (bits ^ bits >> shift) * factor % (1 << 64)
    return bits ^ bits >> _LAST


def _fold(bits: tf.Tensor, shift: int) -> tf.Tensor:
    return tf.bitwise.bitwise_xor(bits, tf.bitwise.right_shift(bits, _constant(shift)))


def _constant(value: int) -> tf.Tensor:
    return tf.constant(value, tf.uint64)
