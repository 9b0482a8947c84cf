"""Weights of rows: padding has weight 0 and is excluded from every mean."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops


def of_real_rows(batch: Any, sample_weight: Any) -> tuple[Any, Any]:
    """Returns weights with which Keras' mean over rows excludes padding; TensorFlow only.

    Args:
        batch: of this replica; all its arrays have the same number of rows.
        sample_weight: [b] or None; other structures are returned unchanged.

    Returns:
        The weights times rows / real rows, over all replicas, and this replica's share of the
        real rows.
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
    """Returns the loss reduction that gives the mean over real rows.

    On TensorFlow, Keras' mean over rows, which `ExactTraining` weights with `of_real_rows` over all
    replicas; on other backends, Keras' mean over the weights of a batch.
    """
    tensorflow = keras.backend.backend() == "tensorflow"
    return "sum_over_batch_size" if tensorflow else "mean_with_sample_weight"


def is_weighted(data: Any) -> bool:
    """Returns whether it is a `tf.data.Dataset` of (x, y, weight [b])."""
    spec = getattr(data, "element_spec", None)
    if not isinstance(spec, tuple) or len(spec) != 3 or not hasattr(data, "map"):
        return False
    shape = getattr(spec[2], "shape", None)
    return shape is not None and len(shape) == 1


def without_padding(data: Any) -> Any:
    """Returns the x of a weighted dataset without rows of weight 0; other data unchanged."""
    if not is_weighted(data):
        return data
    import tensorflow as tf

    def real(x: Any, _: Any, weight: Any) -> Any:
        return tf.nest.map_structure(lambda each: tf.boolean_mask(each, weight != 0), x)

    return data.map(real)


def weighted_by_class(data: Any, class_weight: Mapping[int, float]) -> Any:
    """Multiplies a dataset's weights by the weight of each row's class (default 1).

    y is the label [b], or has a column per class, of which the largest is used.
    """
    import tensorflow as tf

    table = [
        float(class_weight.get(label, 1)) for label in range(max(class_weight, default=-1) + 1)
    ] + [1.0]

    def weighted(x: Any, y: Any, weight: Any) -> tuple:
        label = tf.argmax(y, axis=-1) if len(y.shape) > 1 else tf.cast(y, tf.int64)
        label = tf.minimum(label, len(table) - 1)
        return x, y, weight * tf.gather(tf.constant(table, weight.dtype), label)

    return data.map(weighted)
