"""A few pictures of each class: which they are, and their embeddings as batches for `fit`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_VALIDATION = 4  # pictures per class, as in CoOp
EPOCHS = {1: 50, 4: 100}  # up to so many shots; CoOp's README
MOST_EPOCHS = 200


@dataclass(frozen=True)
class Sample:
    """Places in the split: pictures to learn from [c * shots], and to choose by.

    A class with fewer pictures than shots gives each of them several times; one without another
    picture for validation gives those it learns from.
    """

    train: np.ndarray
    validation: np.ndarray


def epochs_of(shots: int) -> int:
    """CoOp's: 50 for one shot, 100 for 2 and 4, 200 for 8 and 16."""
    return next((epochs for most, epochs in EPOCHS.items() if shots <= most), MOST_EPOCHS)


def sample(labels: np.ndarray, *, classes: Sequence[int], shots: int, seed: int) -> Sample:
    """Draw `shots` pictures of every class, and 1 to 4 others of each, at most `shots`.

    Args:
        labels: int [n], of the split.
        classes: those that are learnt.

    Raises:
        ValueError: a class without a picture.
    """
    from tfrecords import splits

    of_classes = np.flatnonzero(np.isin(labels, classes))
    missing = sorted(set(classes) - set(labels[of_classes].tolist()))
    if missing:
        raise ValueError(f"class number {missing[0]} has no pictures to learn from")
    train = of_classes[splits.few_shot(labels[of_classes], shots, seed=seed)]
    others = np.setdiff1d(of_classes, train)
    alone = np.isin(labels[train], np.setdiff1d(labels[train], labels[others]))
    pool = np.union1d(others, train[alone])
    count = min(shots, MOST_VALIDATION)
    return Sample(train, pool[splits.few_shot(labels[pool], count, seed=seed)])


def short_of(labels: np.ndarray, *, classes: Sequence[int], shots: int) -> dict[int, int]:
    """Classes with fewer pictures than shots, and how many they have."""
    counts = {label: int((labels == label).sum()) for label in classes}
    return {label: count for label, count in counts.items() if count < shots}


@dataclass(frozen=True)
class Embedded:
    """Embeddings of one sample, in one or several views of each picture.

    Attributes:
        values: float32 [v, m, e]; pass number i reads view i modulo v.
        labels: int32 [v, m], places in the classes that are learnt.
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

        b, e = self.batch_size, self.values.shape[2]
        index, count = worker
        rows = slice(index * b // count, (index + 1) * b // count)

        def generate() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for step in range(start_step, epochs * self.steps):
                epoch, inside = divmod(step, self.steps)
                order = np.random.default_rng((self.seed, epoch)).permutation(self.values.shape[1])
                chosen, view = order[inside * b : (inside + 1) * b][rows], epoch % len(self.values)
                yield self.values[view, chosen], self.labels[view, chosen]

        size = rows.stop - rows.start
        signature = (tf.TensorSpec((size, e), tf.float32), tf.TensorSpec((size,), tf.int32))
        found = tf.data.Dataset.from_generator(generate, output_signature=signature)
        return found.apply(
            tf.data.experimental.assert_cardinality(epochs * self.steps - start_step)
        )


def batch_of(rows: int, *, most: int, devices: int) -> int:
    """Rows of a step: `most`, or all there are, in equal parts for every device.

    Raises:
        ValueError: fewer rows than devices.
    """
    size = min(rows, most) // devices * devices
    if not size:
        raise ValueError(f"--strategy: expected at most {rows} devices for {rows} pictures")
    return size


def resampled(
    values: np.ndarray, labels: np.ndarray, *, classes: int, shots: int
) -> tuple[np.ndarray, np.ndarray]:
    """`shots` rows of each class, [v, c * shots, ...], where a view may have fewer of some."""
    rows = [
        np.concatenate([np.resize(np.flatnonzero(view == c), shots) for c in range(classes)])
        for view in labels
    ]
    chosen = np.stack(rows)
    return np.take_along_axis(values, chosen[..., None], 1), np.take_along_axis(labels, chosen, 1)
