"""Gradients of the global batch, clipped as those of one device would be."""

from typing import Any

import keras


def global_gradients(gradients: list, optimizer: keras.Optimizer) -> list:
    """Returns dense gradients, clipped by the norm of the global batch's gradients."""
    import tensorflow as tf

    # Keras' optimizers do not sum entries of IndexedSlices with the same row: the first Adam step
    # of a token that occurs k times in a batch would be sqrt(k) times too large.
    gradients = [None if g is None else tf.convert_to_tensor(g) for g in gradients]
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    if replicas == 1:
        return gradients  # Keras clips and sums
    present = [g for g in gradients if g is not None]
    clip = _clipping(optimizer)
    if clip is None and isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        present[0] = _overflown_on_all(present, context)
    elif clip is not None:
        # Keras clips each replica's gradients before summing. So: sum, clip, and give every replica
        # an equal share, whose norm is below the limit, so that Keras' clipping does not change it.
        clipped = clip(context.all_reduce(tf.distribute.ReduceOp.SUM, present))
        present = [g / replicas for g in clipped]
    left = iter(present)
    return [None if g is None else next(left) for g in gradients]


def _overflown_on_all(gradients: list, context: Any) -> Any:
    """Returns the first gradient, NaN where any gradient of any replica is not finite.

    Keras' `LossScaleOptimizer` looks at those of the first replica alone.
    """
    import tensorflow as tf

    finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(g)) for g in gradients])
    overflown = tf.where(finite, 0.0, 1.0)
    overflown = context.all_reduce(tf.distribute.ReduceOp.SUM, overflown)
    return tf.where(overflown > 0, tf.cast(float("nan"), gradients[0].dtype), gradients[0])


def _clipping(optimizer: keras.Optimizer) -> Any | None:
    """Returns the optimizer's clipping function, or None. Keras allows one of the three kinds.

    Of gradients under a loss scale the limit is as many times as large: they are clipped as if they
    were unscaled first. What is not finite stays so.
    """
    import tensorflow as tf

    inner = getattr(optimizer, "inner_optimizer", optimizer)
    scale = getattr(optimizer, "dynamic_scale", 1.0)
    scale = tf.convert_to_tensor(getattr(scale, "value", scale))

    def by_value(gradient: Any, limit: Any) -> Any:
        clipped = tf.clip_by_value(gradient, -limit, limit)
        return tf.where(tf.math.is_finite(gradient), clipped, gradient)

    if limit := inner.clipnorm:
        return lambda gradients: [tf.clip_by_norm(g, limit * scale) for g in gradients]
    if limit := inner.global_clipnorm:
        return lambda gradients: tf.clip_by_global_norm(gradients, limit * scale)[0]
    if limit := inner.clipvalue:
        return lambda gradients: [by_value(g, limit * scale) for g in gradients]
    return None
