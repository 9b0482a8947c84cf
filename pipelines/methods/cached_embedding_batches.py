"""Cached embeddings of the few-shot sample as batches for `fit`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Embedded:
    """Embeddings of one sample, in one or several views of each image.

    Attributes:
        values: float32 [v, m, e]; pass number i reads view i modulo v.
        labels: int32 [m], places in the classes that are learnt.
        batch_size: rows of a step; those left over at the end of a pass are dropped, as in CoOp.
        seed: of the order.
    """

    values: np.ndarray
    labels: np.ndarray
    batch_size: int
    seed: int

    @property
    def steps(self) -> int:
        """Steps of one pass."""
        return self.values.shape[1] // self.batch_size

    def batches(self, *, epochs: int, start_step: int = 0, worker: tuple[int, int] = (0, 1)) -> Any:
        """Batches (embeddings [b, e], labels [b]) of the run from `start_step` on."""
        import tensorflow as tf

        import tfrecords

        b, e = self.batch_size, self.values.shape[2]
        index, count = worker
        rows = slice(index * b // count, (index + 1) * b // count)

        def generate() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for step in range(start_step, epochs * self.steps):
                epoch, inside = divmod(step, self.steps)
                order = np.random.default_rng((self.seed, epoch)).permutation(self.values.shape[1])
                chosen, view = order[inside * b : (inside + 1) * b][rows], epoch % len(self.values)
                yield self.values[view, chosen], self.labels[chosen]

        size = rows.stop - rows.start
        signature = (tf.TensorSpec((size, e), tf.float32), tf.TensorSpec((size,), tf.int32))
        found = tf.data.Dataset.from_generator(generate, output_signature=signature)
        length = epochs * self.steps - start_step
        return tfrecords.without_autotuning(
            found.apply(tf.data.experimental.assert_cardinality(length))
        )
