"""Which pictures of a split are read, and what their classes are called then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrecords import schema
from tfrecords.manifest import Manifest, SplitInfo

_AT_ONCE = 256  # records
_KEYS = ("image/id", "image/class/label")


def labels(directory: str | Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """The id and the label of every picture of a split, in stored order: int64 [n], int32 [n].

    Reads the whole split once, without decoding a picture. From these, `splits` draws a
    validation set, a few-shot sample and so on, whose ids `load` takes.

    Raises ValueError where the split has no labels.
    """
    info = Manifest.read(directory).split(split)
    if not info.labels:
        raise ValueError(f"split {split!r} has no labels")
    wanted = {key: schema.features()[key] for key in _KEYS}
    records = tf.data.TFRecordDataset([str(Path(directory) / shard.name) for shard in info.shards])
    batches = records.batch(_AT_ONCE).map(lambda batch: tf.io.parse_example(batch, wanted))
    found = [tuple(batch[key].numpy() for key in _KEYS) for batch in batches]
    ids, classes = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return ids, classes.astype(np.int32)


@dataclass(frozen=True)
class Selection:
    """Some of the pictures of a split; all of them if nothing is said.

    Attributes:
        ids: of the pictures, each once.
        classes: labels in a new order: y is then the place of the picture's label in it. Without
            `ids` it also says which pictures: those of these classes.
    """

    ids: tuple[int, ...] | None = None
    classes: tuple[int, ...] | None = None

    @classmethod
    def of(cls, ids: Sequence[int] | None, classes: Sequence[int] | None) -> Selection:
        """Of any sequences of whole numbers; ValueError where one is empty or repeats itself."""
        return cls(_each_once("ids", ids), _each_once("classes", classes))

    def count(self, info: SplitInfo) -> int:
        """How many pictures of a split are selected.

        Raises ValueError for a class that the split does not have.
        """
        known = range(len(info.class_counts))
        unknown = [number for number in self.classes or () if number not in known]
        if unknown:
            raise ValueError(f"classes: expected labels 0 to {len(known) - 1}; got {unknown[0]}")
        if self.ids is not None:
            return len(self.ids)
        if self.classes is not None:
            return sum(info.class_counts[number] for number in self.classes)
        return info.count

    def kept(self, records: tf.data.Dataset) -> tf.data.Dataset:
        """Those of the serialised records that are selected."""
        if self.ids is None and self.classes is None:
            return records
        key = "image/id" if self.ids is not None else "image/class/label"
        chosen = np.array(self.ids if self.ids is not None else self.classes)
        wanted = np.isin(np.arange(chosen.max() + 1), chosen)
        feature = {key: schema.features()[key]}

        def is_wanted(record: tf.Tensor) -> tf.Tensor:
            number = tf.io.parse_single_example(record, feature)[key]
            inside = tf.logical_and(number >= 0, number < len(wanted))
            return tf.logical_and(inside, tf.gather(wanted, tf.where(inside, number, 0)))

        return records.filter(is_wanted)

    def renamed(self, label: tf.Tensor) -> tf.Tensor:
        """Labels [b] as places in `classes`; an error in the graph for one that is not there."""
        if self.classes is None:
            return label
        places = np.full(max(self.classes) + 2, -1, np.int64)  # the last one is for all others
        places[list(self.classes)] = np.arange(len(self.classes))
        place = tf.gather(places, tf.minimum(label, len(places) - 1))
        expected = "a picture of none of the classes that were asked for"
        with tf.control_dependencies([tf.debugging.assert_non_negative(place, expected)]):
            return tf.identity(place)


def _each_once(name: str, numbers: Sequence[int] | None) -> tuple[int, ...] | None:
    if numbers is None:
        return None
    whole = tuple(int(number) for number in numbers)
    if not 0 < len(set(whole)) == len(whole):
        raise ValueError(f"{name}: expected one or more numbers, each once; got {list(numbers)}")
    return whole
