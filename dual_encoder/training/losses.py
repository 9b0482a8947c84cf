"""Contrastive and sigmoid losses over the global batch.

Pure functions of embeddings. Under `tf.distribute` every replica compares its rows with the
columns of all replicas and divides by the rows of the global batch, so the values (and the
gradients, which Keras sums) of all replicas add up to those of one device.

The similarities of a large batch are computed for a few rows at a time, and again for the gradient,
so that their memory is linear in the batch.
"""

from collections.abc import Callable
from numbers import Integral
from typing import Any

import keras
from keras import ops

Tensor = Any

SIMILARITIES = 1 << 22  # held at a time: 16 MiB in float32, and some ten arrays like it


def contrastive_loss(
    image: Tensor,
    text: Tensor,
    *,
    scale: Tensor,
    ids: Tensor | None = None,
    sample_weight: Tensor | None = None,
    chunk: int | None = None,
) -> Tensor:
    """Returns CLIP's symmetric softmax cross-entropy, with several positives per row.

    Every image is classified among all texts of the global batch and every text among all
    images. If several columns have the id of a row, the target is shared equally among them:
    the "out" form of Khosla et al., "Supervised Contrastive Learning", 2020, eq. 2, applied in both
    directions as in Yang et al., "Unified Contrastive Learning", 2022. With distinct ids this is
    Radford et al., "Learning Transferable Visual Models", 2021, fig. 3.

    Args:
        image: `[b, e]` embeddings of unit length, this replica's rows.
        text: `[b, e]` embeddings of unit length; row i belongs to image i.
        scale: scalar inverse temperature that multiplies the cosines.
        ids: `[b]` integers; pairs with equal ids are positives. Without ids, only row i of both.
        sample_weight: `[b]`; a row of weight 0 (padding) is neither row nor column.
        chunk: rows that are compared with all columns at a time. Default: all that have no more
            than `SIMILARITIES` with them.

    Returns:
        Scalar: this replica's share of the mean over all rows of the global batch, averaged over
        both directions. On one device: that mean.

    Raises:
        ValueError: the shapes do not fit together, or `chunk` is below 1.
    """
    rows = _local_rows(image, text, ids, sample_weight)
    columns = {name: _gather(value) for name, value in rows.items()}
    present = columns["weight"][None, :] > 0

    def losses(own: dict[str, Tensor], image: Tensor, text: Tensor, scale: Tensor) -> Tensor:
        positive = ops.logical_and(own["id"][:, None] == columns["id"][None, :], present)
        positive = ops.cast(positive, image.dtype)
        target = positive / ops.maximum(ops.sum(positive, axis=1, keepdims=True), 1)

        def cross_entropy(queries: Tensor, keys: Tensor) -> Tensor:
            logits = scale * ops.matmul(queries, ops.transpose(keys))
            # Finite, so that its product with a target of 0 is 0, not NaN.
            logits = ops.where(present, logits, -1e9)
            return -ops.sum(target * ops.log_softmax(logits, axis=1), axis=1)

        return (cross_entropy(own["image"], text) + cross_entropy(own["text"], image)) / 2

    summed = _summed(losses, rows, columns["image"], columns["text"], scale, chunk=chunk)
    return summed / _total(columns["weight"])


def sigmoid_loss(
    image: Tensor,
    text: Tensor,
    *,
    scale: Tensor,
    bias: Tensor,
    ids: Tensor | None = None,
    sample_weight: Tensor | None = None,
    chunk: int | None = None,
) -> Tensor:
    """Returns SigLIP's loss: a binary classification of every image-text pair.

    Zhai et al., "Sigmoid Loss for Language Image Pre-Training", 2023, eq. 1: the sum over all
    pairs of `-log sigmoid(z (scale * cosine + bias))`, z = +1 for positives and -1 otherwise,
    divided by the number of rows. Every pair with equal ids is a positive.

    Args:
        image: `[b, e]` embeddings of unit length, this replica's rows.
        text: `[b, e]` embeddings of unit length; row i belongs to image i.
        scale: scalar inverse temperature that multiplies the cosines.
        bias: scalar added to the logits (initially negative, as most pairs are negatives).
        ids: `[b]` integers; pairs with equal ids are positives. Without ids, only row i of both.
        sample_weight: `[b]`; a row of weight 0 (padding) is neither row nor column.
        chunk: rows that are compared with all columns at a time. Default: all that have no more
            than `SIMILARITIES` with them.

    Returns:
        Scalar: this replica's share of the loss of the global batch; on one device, that loss.

    Raises:
        ValueError: the shapes do not fit together, or `chunk` is below 1.
    """
    rows = _local_rows(image, text, ids, sample_weight)
    columns = {name: _gather(value) for name, value in rows.items() if name != "image"}
    present = ops.cast(columns["weight"] > 0, rows["image"].dtype)

    def losses(own: dict[str, Tensor], text: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
        logits = scale * ops.matmul(own["image"], ops.transpose(text)) + bias
        positive = own["id"][:, None] == columns["id"][None, :]
        loss = ops.softplus(ops.where(positive, -logits, logits))  # -log sigmoid(z * logit)
        return ops.sum(loss * present, axis=1)

    summed = _summed(losses, rows, columns["text"], scale, bias, chunk=chunk)
    return summed / _total(columns["weight"])


def _summed(
    losses: Callable[..., Tensor], rows: dict[str, Tensor], *given: Tensor, chunk: int | None
) -> Tensor:
    """Returns the weighted sum of `losses(rows, *given)` [b], computed `chunk` rows at a time.

    Each chunk is computed again for its gradient (gradient checkpointing, Chen et al., "Training
    Deep Nets with Sublinear Memory Cost", 2016), so no two are in memory together.
    """

    def summed(own: dict[str, Tensor], *given: Tensor) -> Tensor:
        return ops.sum(losses(own, *given) * own["weight"])

    if chunk is not None and not (isinstance(chunk, Integral) and chunk >= 1):
        raise ValueError(f"chunk: expected a whole number of at least 1; got {chunk!r}")
    count = rows["image"].shape[0]
    if chunk is None and count is not None:
        chunk = max(SIMILARITIES // max(count * _replicas(), 1), 1)
    if count is None or chunk is None or count <= chunk:
        return summed(rows, *given)
    missing = -count % chunk  # rows of weight 0
    cut = {
        name: ops.reshape(
            ops.pad(value, [[0, missing], *[[0, 0]] * (len(value.shape) - 1)]),
            (-1, chunk, *value.shape[1:]),
        )
        for name, value in rows.items()
    }
    given = tuple(map(ops.convert_to_tensor, given))

    def part(own: dict[str, Tensor]) -> Tensor:
        own, ids = dict(own), own["id"]  # integers have no gradient: TensorFlow would warn
        del own["id"]
        again = keras.remat(lambda own, *given: summed({**own, "id": ids}, *given))
        return again(own, *given)

    return ops.sum(_in_turn(part, cut))


def _in_turn(function: Callable[[Any], Tensor], parts: dict[str, Tensor]) -> Tensor:
    """Returns what `function` makes of every part, [parts]; strictly one after the other."""
    if keras.backend.backend() != "tensorflow":
        return ops.map(function, parts)
    import tensorflow as tf

    dtype = parts["weight"].dtype
    return tf.map_fn(function, parts, parallel_iterations=1, fn_output_signature=dtype)


def _local_rows(
    image: Tensor, text: Tensor, ids: Tensor | None, sample_weight: Tensor | None
) -> dict[str, Tensor]:
    """Checks shapes, fills in defaults, and converts to at least float32."""
    image, text = map(ops.convert_to_tensor, (image, text))
    dtype = keras.backend.result_type(image.dtype, text.dtype, "float32")
    image, text = ops.cast(image, dtype), ops.cast(text, dtype)
    if len(image.shape) != 2 or tuple(image.shape) != tuple(text.shape):
        raise ValueError(
            "image and text embeddings must have the same shape [b, e], "
            f"received {tuple(image.shape)} and {tuple(text.shape)}"
        )
    batch = ops.shape(image)[0]
    own = _first_id(batch) + ops.arange(batch, dtype="int32")
    ids = own if ids is None else ops.convert_to_tensor(ids)
    weight = ops.ones([batch]) if sample_weight is None else sample_weight
    weight = ops.cast(weight, dtype)
    for name, value in (("ids", ids), ("sample_weight", weight)):
        if len(value.shape) != 1 or value.shape[0] not in (None, image.shape[0]):
            raise ValueError(
                f"{name} must have one entry for each of the {image.shape[0]} rows, "
                f"received shape {tuple(value.shape)}"
            )
    return {"image": image, "text": text, "id": ids, "weight": weight}


def _total(weight: Tensor) -> Tensor:
    """Returns the sum of weights of the global batch; 1 if all rows are padding."""
    total = ops.sum(weight)
    return ops.where(total > 0, total, ops.ones_like(total))


def _replica_context() -> Any | None:
    """Returns TensorFlow's replica context, or None if there are no other replicas."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    context = tf.distribute.get_replica_context()  # None while Keras builds the model
    return context if context is not None and context.num_replicas_in_sync > 1 else None


def _replicas() -> int:
    context = _replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def _first_id(batch: int) -> Tensor:
    """Returns the index of this replica's first row in the global batch."""
    context = _replica_context()
    return 0 if context is None else context.replica_id_in_sync_group * batch


def _gather(rows: Tensor) -> Tensor:
    """Gathers the rows of all replicas, in order; differentiable; identity on one replica."""
    context = _replica_context()
    if context is None:
        return rows
    import tensorflow as tf

    # A sum in which every replica fills its slot. `context.all_gather` would be simpler, but fails
    # in MultiWorkerMirroredStrategy inside tf.function ("destinations can not be empty").
    slot = tf.one_hot(context.replica_id_in_sync_group, context.num_replicas_in_sync)
    slots = tf.tensordot(tf.cast(slot, rows.dtype), rows, axes=0)  # [replicas, b, ...]
    filled = context.all_reduce(tf.distribute.ReduceOp.SUM, slots)
    return tf.reshape(filled, [-1, *rows.shape[1:]])
