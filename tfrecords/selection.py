"""Select images of a split, and renumber their classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrecords import schema
from tfrecords.iteration_counting import as_it_is, without_autotuning
from tfrecords.manifest import Manifest, SplitInfo
from tfrecords.verification import verify

_AT_ONCE = 256  # records


def labels(directory: str | Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the id and label of every image of a split, in stored order: int64 [n], int32 [n].

    For multi-label data the labels are float32 [n, classes], 1 for each class of an image.

    Reads the whole split once, without decoding images. `tfrecords.splits` uses the labels to draw
    a validation set or few-shot sample, whose ids `load` accepts.

    Raises:
        ValueError: the split has no labels, or a shard is damaged.
        FileNotFoundError: a shard is missing.
    """
    manifest = Manifest.read(directory)
    if not manifest.split(split).labels:
        raise ValueError(f"split {split!r} has no labels")
    everything = Selection.of(None, None, manifest=manifest)
    keys = ("image/class/label", "image/class/labels")
    return _ids_and(directory, manifest.split(split), everything.target, keys=keys)


def image_ids(directory: str | Path, split: str) -> np.ndarray:
    """Returns the id of every image of a split, labelled or not, in stored order: int64 [n]."""
    info = Manifest.read(directory).split(split)
    return _ids_and(directory, info, lambda features: features["image/id"])[0]


def _ids_and(
    directory: str | Path, info: SplitInfo, target: Callable, *, keys: Sequence[str] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the ids of a split, and what `target` makes of its features `keys`."""
    verify(directory, info)
    spec = {key: schema.features()[key] for key in ("image/id", *keys)}

    @as_it_is
    def read(batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        features = tf.io.parse_example(batch, spec)
        return features["image/id"], target(features)

    records = tf.data.TFRecordDataset([str(Path(directory) / shard.name) for shard in info.shards])
    results = without_autotuning(records.batch(_AT_ONCE).map(read)).as_numpy_iterator()
    ids, targets = (np.concatenate(parts) for parts in zip(*results, strict=True))
    return ids, targets


@dataclass(frozen=True)
class Selection:
    """Selected images of a split; all of them by default.

    Attributes:
        ids: of the images, each once.
        classes: labels in a new order: y is the index of the image's label in it. Without `ids`,
            only images of these classes are selected.
        multi_label: whether images have several labels each. Then `classes` are the columns of
            y and do not select images.
        all_classes: number of classes of the data set.
    """

    ids: tuple[int, ...] | None
    classes: tuple[int, ...] | None
    multi_label: bool
    all_classes: int

    @classmethod
    def of(
        cls, ids: Sequence[int] | None, classes: Sequence[int] | None, *, manifest: Manifest
    ) -> Selection:
        """Builds a selection of integer sequences; ValueError if one is empty, has duplicates or
        other numbers."""
        which = _each_once("ids", ids), _each_once("classes", classes)
        return cls(*which, bool(manifest.multi_label), len(manifest.class_names))

    @property
    def class_count(self) -> int:
        """Number of classes of y."""
        return self.all_classes if self.classes is None else len(self.classes)

    def count(self, info: SplitInfo) -> int:
        """Returns the number of selected images of a split.

        Raises ValueError for a class or an id that does not exist in the split, and if none of its
        images is of the classes. An id that was rejected is noticed as the images are read.
        """
        known = range(len(info.class_counts))
        unknown = [number for number in self.classes or () if number not in known]
        if unknown:
            raise ValueError(f"classes: expected labels 0 to {len(known) - 1}; got {unknown[0]}")
        if self.ids is not None:
            last = info.count + info.rejected - 1
            beyond = [number for number in self.ids if not 0 <= number <= last]
            if beyond:
                raise ValueError(f"ids: expected those of the split, 0 to {last}; got {beyond[0]}")
            return len(self.ids)
        if self.classes is not None and not self.multi_label:
            count = sum(info.class_counts[number] for number in self.classes)
            if not count:
                raise ValueError(f"classes: the split has no image of {list(self.classes)}")
            return count
        return info.count

    def kept(self, records: tf.data.Dataset) -> tf.data.Dataset:
        """Filters serialised records to the selected ones."""
        if self.ids is None and (self.classes is None or self.multi_label):
            return records
        key = "image/id" if self.ids is not None else "image/class/label"
        chosen = np.array(self.ids if self.ids is not None else self.classes)
        selected = np.isin(np.arange(chosen.max() + 1), chosen)
        feature = {key: schema.features()[key]}

        @as_it_is
        def is_wanted(record: tf.Tensor) -> tf.Tensor:
            number = tf.io.parse_single_example(record, feature)[key]
            inside = tf.logical_and(number >= 0, number < len(selected))
            return tf.logical_and(inside, tf.gather(selected, tf.where(inside, number, 0)))

        return records.filter(is_wanted)

    def target(self, features: dict[str, tf.Tensor]) -> tf.Tensor:
        """Returns y of a parsed batch (`schema.features`): the label int32 [b], or for
        multi-label data float32 [b, classes], 1 for each class of an image."""
        if not self.multi_label:
            return tf.cast(self._renamed(features["image/class/label"]), tf.int32)
        numbers = features["image/class/labels"].to_tensor(default_value=-1)  # -1 matches no column
        shown = tf.reduce_any(tf.one_hot(numbers, self.all_classes, True, False), axis=1)
        if self.classes is not None:
            shown = tf.gather(shown, self.classes, axis=1)
        return tf.cast(shown, tf.float32)

    def _renamed(self, label: tf.Tensor) -> tf.Tensor:
        """Maps labels [b] to their index in `classes`; a graph error if one is missing."""
        if self.classes is None:
            return label
        places = np.full(max(self.classes) + 2, -1, np.int64)  # last entry: all other labels
        places[list(self.classes)] = np.arange(len(self.classes))
        place = tf.gather(places, tf.minimum(label, len(places) - 1))
        expected = "an image of none of the classes that were asked for"
        with tf.control_dependencies([tf.debugging.assert_non_negative(place, expected)]):
            return tf.identity(place)


def _is_whole(number: Any) -> bool:
    if isinstance(number, str | bytes | bool | np.bool_):
        return False
    try:
        return int(number) == number
    except (TypeError, ValueError, OverflowError):  # None, NaN, infinity
        return False


def _each_once(name: str, numbers: Sequence[int] | None) -> tuple[int, ...] | None:
    if numbers is None:
        return None
    given = [numbers] if isinstance(numbers, str) else list(numbers)
    for number in given:
        if not _is_whole(number):
            raise ValueError(f"{name}: expected whole numbers; got {number!r} among them")
    whole = tuple(int(number) for number in given)
    if not 0 < len(set(whole)) == len(whole):
        raise ValueError(f"{name}: expected one or more numbers, each once; got {given}")
    return whole
