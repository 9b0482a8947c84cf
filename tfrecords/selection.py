"""Which images of a split are read, and what their classes are called then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrecords import schema
from tfrecords.manifest import Manifest, SplitInfo
from tfrecords.verification import verify

_AT_ONCE = 256  # records


def labels(directory: str | Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """The id and the label of every image of a split, in stored order: int64 [n], int32 [n].

    Of a multi-label set the labels are float32 [n, classes], 1 for each class of an image.

    Reads the whole split once, without decoding an image. From these, `splits` draws a
    validation set, a few-shot sample and so on, whose ids `load` takes.

    Raises:
        ValueError: the split has no labels, or a shard is damaged.
        FileNotFoundError: a shard is missing.
    """
    manifest = Manifest.read(directory)
    info = manifest.split(split)
    if not info.labels:
        raise ValueError(f"split {split!r} has no labels")
    verify(directory, info)
    everything = Selection.of(None, None, manifest=manifest)
    keys = ("image/id", "image/class/label", "image/class/labels")
    wanted = {key: schema.features()[key] for key in keys}

    def read(batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        features = tf.io.parse_example(batch, wanted)
        return features["image/id"], everything.target(features)

    records = tf.data.TFRecordDataset([str(Path(directory) / shard.name) for shard in info.shards])
    found = records.batch(_AT_ONCE).map(read).as_numpy_iterator()
    ids, targets = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return ids, targets


@dataclass(frozen=True)
class Selection:
    """Some of the images of a split; all of them if nothing is said.

    Attributes:
        ids: of the images, each once.
        classes: labels in a new order: y is then the place of the image's label in it. Without
            `ids` it also says which images: those of these classes.
        multi_label: whether images have several labels each. There `classes` are the columns
            of y and say nothing about which images.
        all_classes: how many the set has.
    """

    ids: tuple[int, ...] | None
    classes: tuple[int, ...] | None
    multi_label: bool
    all_classes: int

    @classmethod
    def of(
        cls, ids: Sequence[int] | None, classes: Sequence[int] | None, *, manifest: Manifest
    ) -> Selection:
        """Of any sequences of whole numbers; ValueError where one is empty or repeats itself."""
        which = _each_once("ids", ids), _each_once("classes", classes)
        return cls(*which, bool(manifest.multi_label), len(manifest.class_names))

    @property
    def class_count(self) -> int:
        """How many classes y can name."""
        return self.all_classes if self.classes is None else len(self.classes)

    def count(self, info: SplitInfo) -> int:
        """How many images of a split are selected.

        Raises ValueError for a class that the split does not have.
        """
        known = range(len(info.class_counts))
        unknown = [number for number in self.classes or () if number not in known]
        if unknown:
            raise ValueError(f"classes: expected labels 0 to {len(known) - 1}; got {unknown[0]}")
        if self.ids is not None:
            return len(self.ids)
        if self.classes is not None and not self.multi_label:
            return sum(info.class_counts[number] for number in self.classes)
        return info.count

    def kept(self, records: tf.data.Dataset) -> tf.data.Dataset:
        """Those of the serialised records that are selected."""
        if self.ids is None and (self.classes is None or self.multi_label):
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

    def target(self, features: dict[str, tf.Tensor]) -> tf.Tensor:
        """Of a batch as `schema.features` parses it: the label int32 [b], or of a multi-label set
        float32 [b, classes], 1 for each class of an image."""
        if not self.multi_label:
            return tf.cast(self._renamed(features["image/class/label"]), tf.int32)
        numbers = features["image/class/labels"].to_tensor(default_value=-1)  # no column has -1
        shown = tf.reduce_any(tf.one_hot(numbers, self.all_classes, True, False), axis=1)
        if self.classes is not None:
            shown = tf.gather(shown, self.classes, axis=1)
        return tf.cast(shown, tf.float32)

    def _renamed(self, label: tf.Tensor) -> tf.Tensor:
        """Labels [b] as places in `classes`; an error in the graph for one that is not there."""
        if self.classes is None:
            return label
        places = np.full(max(self.classes) + 2, -1, np.int64)  # the last one is for all others
        places[list(self.classes)] = np.arange(len(self.classes))
        place = tf.gather(places, tf.minimum(label, len(places) - 1))
        expected = "an image of none of the classes that were asked for"
        with tf.control_dependencies([tf.debugging.assert_non_negative(place, expected)]):
            return tf.identity(place)


def _each_once(name: str, numbers: Sequence[int] | None) -> tuple[int, ...] | None:
    if numbers is None:
        return None
    whole = tuple(int(number) for number in numbers)
    if not 0 < len(set(whole)) == len(whole):
        raise ValueError(f"{name}: expected one or more numbers, each once; got {list(numbers)}")
    return whole
