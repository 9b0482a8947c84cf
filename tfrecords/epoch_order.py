"""The order of records in batches: a pure function of (seed, epoch), resumable at any step.

Only encoded images are moved, so resuming at step n of an epoch costs no more than reading the
bytes before it, and earlier epochs cost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from tfrecords import stateless_random
from tfrecords.iteration_counting import as_it_is, each_time
from tfrecords.selection import Selection

_OPEN_SHARDS = 8  # interleaved

_RECORDS_PER_TURN = 16

_BLOCK_BYTES = 48 << 20  # shuffled in memory; two or three such blocks exist at a time

_BLOCK_RECORDS = 16_384


@dataclass(frozen=True)
class Order:
    """The records to read, and in which order.

    Attributes:
        paths: the shards in stored order.
        count: number of selected records.
        record_bytes: average size of a record.
        batch_size: rows of the global batch.
        selection: the records to read.
        passes: passes over the split per epoch, each in another order.
        seed: of the shuffling; None reads in stored order.
    """

    paths: tuple[str, ...]
    count: int
    record_bytes: float
    batch_size: int
    selection: Selection
    passes: int = 1
    seed: int | None = None

    @property
    def rows(self) -> int:
        """Rows per epoch, without padding."""
        return self.count * self.passes

    @property
    def steps(self) -> int:
        """Batches per epoch; the last one is padded."""
        return -(-self.rows // self.batch_size)

    def epoch_each_time(self, start_step: int = 0) -> tf.data.Dataset:
        """Returns the batches of `batches`, `steps` per iteration; iteration n, from 0, begins
        at step `start_step + n * steps`."""
        first, inside = divmod(start_step, self.steps)

        def epoch(number: tf.Tensor) -> tf.data.Dataset:
            if not inside:
                return _epoch(self, first + number)
            begun = _epoch(self, first + number).skip(inside)
            return begun.concatenate(_epoch(self, first + number + 1).take(inside))

        return each_time(epoch)


def batches(order: Order, *, epochs: int = 1, start_step: int = 0) -> tf.data.Dataset:
    """Yields global batches of serialized records, from `start_step` to the end of the last epoch.

    Each element has `record` (string [b]), `number` of the pass each row belongs to (int64 [b]),
    `weight` (float32 [b], 0 on padding, which repeats the first records of the split), and the
    scalars `epoch` and `step` within it (int64).
    """
    first_epoch = start_step // order.steps
    return (
        tf.data.Dataset.range(first_epoch, epochs)
        .flat_map(as_it_is(lambda epoch: _epoch(order, epoch)))
        .skip(start_step - first_epoch * order.steps)
    )


def _epoch(order: Order, epoch: tf.Tensor) -> tf.data.Dataset:
    if order.passes == 1:  # a dataset inside of another takes a twentieth of a second to begin
        rows = _pass(order, epoch, 0)
    else:
        numbers = tf.data.Dataset.range(order.passes)
        rows = numbers.flat_map(as_it_is(lambda number: _pass(order, epoch, number)))
    padding = order.steps * order.batch_size - order.rows
    if padding:
        stored = _stored(order).repeat().take(padding)
        rows = rows.concatenate(_numbered(stored.batch(padding), 0))

    @as_it_is
    def described(step: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        row = step * order.batch_size + tf.range(order.batch_size, dtype=tf.int64)
        weight = tf.cast(row < order.rows, tf.float32)
        return {
            "record": batch[0],
            "number": batch[1],
            "weight": weight,
            "epoch": epoch,
            "step": step,
        }

    return rows.rebatch(order.batch_size, drop_remainder=True).enumerate().map(described)


def _pass(order: Order, epoch: tf.Tensor, number: tf.Tensor | int) -> tf.data.Dataset:
    """One pass over the split, shuffled in blocks."""
    if order.seed is None:
        return _numbered(_stored(order).batch(order.batch_size), number)
    # Shards in random order, several interleaved, then each block shuffled. Records are written
    # in shuffled order, so a block is a fair sample of the split.
    key = stateless_random.key(order.seed, epoch, number)
    shards = tf.data.Dataset.from_tensor_slices(
        stateless_random.shuffle(tf.constant(order.paths), key)
    )
    records = shards.interleave(
        tf.data.TFRecordDataset,
        cycle_length=min(_OPEN_SHARDS, len(order.paths)),
        block_length=_RECORDS_PER_TURN,
    )
    blocks = order.selection.kept(records).batch(_block_size(order)).enumerate()

    @as_it_is
    def shuffled(i: tf.Tensor, block: tf.Tensor) -> tf.Tensor:
        return stateless_random.shuffle(block, stateless_random.key(order.seed, epoch, number, i))

    blocks = blocks.map(shuffled)
    return _numbered(blocks, number)


def _stored(order: Order) -> tf.data.Dataset:
    """Returns the selected records in stored order."""
    return order.selection.kept(tf.data.TFRecordDataset(list(order.paths)))


def _numbered(blocks: tf.data.Dataset, number: tf.Tensor | int) -> tf.data.Dataset:
    number = tf.cast(number, tf.int64)
    return blocks.map(as_it_is(lambda block: (block, tf.fill(tf.shape(block), number))))


def _block_size(order: Order) -> int:
    fitting = _BLOCK_BYTES / max(order.record_bytes, 1)
    return max(order.batch_size, min(int(fitting), _BLOCK_RECORDS))
