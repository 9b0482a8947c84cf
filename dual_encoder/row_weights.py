"""Rows that count: padding fills up a batch with weight 0, and is no part of any mean."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops


def of_real_rows(batch: Any, sample_weight: Any) -> tuple[Any, Any]:
    """Weights with which Keras' mean over rows is one over the rows that count; TensorFlow only.

    Args:
        batch: of this replica; the first array of it has as many rows as all.
        sample_weight: [b] or None; other structures are left as they are.

    Returns:
        The weights times rows / rows that count, over all replicas, and this replica's share of the
        rows that count.
    """
    import tensorflow as tf

    rows = ops.cast(ops.shape(keras.tree.flatten(batch)[0])[0], "float32")
    if sample_weight is None or len(getattr(sample_weight, "shape", ())) != 1:
        return sample_weight, rows
    sample_weight = ops.cast(sample_weight, "float32")
    real = ops.sum(ops.cast(ops.not_equal(sample_weight, 0), "float32"))
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    if replicas > 1:
        real = context.all_reduce(tf.distribute.ReduceOp.SUM, real) / replicas
    real = ops.maximum(real, 1 / replicas)
    return sample_weight * (rows / real), real


def row_mean() -> str:
    """The reduction of a loss that is a mean over the rows that count.

    On TensorFlow Keras' mean over rows, which `ExactTraining` weighs as `of_real_rows` says, over
    all replicas; elsewhere Keras' own, over the weights of a batch.
    """
    tensorflow = keras.backend.backend() == "tensorflow"
    return "sum_over_batch_size" if tensorflow else "mean_with_sample_weight"


def is_weighted(data: Any) -> bool:
    """Whether it is a `tf.data.Dataset` of (x, y, weight [b])."""
    spec = getattr(data, "element_spec", None)
    if not isinstance(spec, tuple) or len(spec) != 3 or not hasattr(data, "map"):
        return False
    shape = getattr(spec[2], "shape", None)
    return shape is not None and len(shape) == 1


def without_padding(data: Any) -> Any:
    """The x of a weighted dataset without the rows of weight 0; anything else as it is."""
    if not is_weighted(data):
        return data
    import tensorflow as tf

    def real(x: Any, _: Any, weight: Any) -> Any:
        return tf.nest.map_structure(lambda each: tf.boolean_mask(each, weight != 0), x)

    return data.map(real)


def weighted_by_class(data: Any, class_weight: Mapping[int, float]) -> Any:
    """A weighted dataset whose weights are multiplied by that of each row's class, 1 without one.

    y is the label [b], or has a column per class, of which the largest counts.
    """
    import tensorflow as tf

    table = [float(class_weight.get(label, 1)) for label in range(max(class_weight) + 1)] + [1.0]

    def weighted(x: Any, y: Any, weight: Any) -> tuple:
        label = tf.argmax(y, axis=-1) if len(y.shape) > 1 else tf.cast(y, tf.int64)
        label = tf.minimum(label, len(table) - 1)
        return x, y, weight * tf.gather(tf.constant(table, weight.dtype), label)

    return data.map(weighted)
