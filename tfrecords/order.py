"""In which order records reach the batches: a pure function of (seed, epoch), known at any step.

Everything here moves encoded images; nothing is decoded, so going to step n of an epoch costs
no more than reading the bytes before it, and epochs before it cost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from tfrecords import stateless_random
from tfrecords.iterations import each_time
from tfrecords.selection import Selection

# AutoGraph takes a second and finds nothing to convert here.
_as_it_is = tf.autograph.experimental.do_not_convert

_OPEN_SHARDS = 8  # read in turns

_RECORDS_PER_TURN = 16

_BLOCK_BYTES = 48 << 20  # held in memory to be shuffled; two or three such blocks are alive

_BLOCK_RECORDS = 16_384


@dataclass(frozen=True)
class Order:
    """What is read, and how often.

    Attributes:
        paths: the shards in stored order.
        count: records that are read of them.
        record_bytes: size of a record, on average.
        batch_size: rows of the global batch.
        selection: which of the records.
        passes: how often an epoch goes over the split, each time in another order.
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
        """Rows of an epoch without padding."""
        return self.count * self.passes

    @property
    def steps(self) -> int:
        """Batches of an epoch; the last one is padded."""
        return -(-self.rows // self.batch_size)

    def epoch_each_time(self, start_step: int = 0) -> tf.data.Dataset:
        """Batches as `batches` gives them, `steps` at each iteration: at the n-th, from 0, those
        from `start_step + n * steps` on."""
        first, inside = divmod(start_step, self.steps)

        @_as_it_is
        def epoch(number: tf.Tensor) -> tf.data.Dataset:
            if not inside:
                return _epoch(self, first + number)
            begun = _epoch(self, first + number).skip(inside)
            return begun.concatenate(_epoch(self, first + number + 1).take(inside))

        return each_time(epoch)


@_as_it_is
def batches(order: Order, *, epochs: int = 1, start_step: int = 0) -> tf.data.Dataset:
    """Global batches of serialized records, from `start_step` to the end of the last epoch.

    Each element has `record` (string [b]), `number` of the pass each row belongs to (int64 [b]),
    `weight` (float32 [b], 0 on padding, which repeats the first records of the split), and the
    scalars `epoch` and `step` within it (int64).
    """
    first_epoch = start_step // order.steps
    return (
        tf.data.Dataset.range(first_epoch, epochs)
        .flat_map(lambda epoch: _epoch(order, epoch))
        .skip(start_step - first_epoch * order.steps)
    )


def _epoch(order: Order, epoch: tf.Tensor) -> tf.data.Dataset:
    rows = tf.data.Dataset.range(order.passes).flat_map(lambda n: _pass(order, epoch, n))
    padding = order.steps * order.batch_size - order.rows
    if padding:
        stored = _stored(order).repeat().take(padding)
        rows = rows.concatenate(_numbered(stored.batch(padding), 0))

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


def _pass(order: Order, epoch: tf.Tensor, number: tf.Tensor) -> tf.data.Dataset:
    """Once over the split, in blocks of some size."""
    if order.seed is None:
        return _numbered(_stored(order).batch(order.batch_size), number)
    # Shards in random order, several in turns, then whole blocks shuffled. Records are already
    # mixed when they are written, so a block is a fair sample of the split.
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
    blocks = blocks.map(
        lambda i, block: stateless_random.shuffle(
            block, stateless_random.key(order.seed, epoch, number, i)
        )
    )
    return _numbered(blocks, number)


def _stored(order: Order) -> tf.data.Dataset:
    """The selected records in stored order."""
    return order.selection.kept(tf.data.TFRecordDataset(list(order.paths)))


def _numbered(blocks: tf.data.Dataset, number: tf.Tensor | int) -> tf.data.Dataset:
    number = tf.cast(number, tf.int64)
    return blocks.map(lambda block: (block, tf.fill(tf.shape(block), number)))


def _block_size(order: Order) -> int:
    fitting = _BLOCK_BYTES / max(order.record_bytes, 1)
    return max(order.batch_size, min(int(fitting), _BLOCK_RECORDS))
