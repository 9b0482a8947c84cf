"""Stratified cross-validation for small test sets: every image is tested once.

The first division is that of the records. The others (stratified cross-validation, Kohavi 1995,
"A Study of Cross-Validation and Bootstrap for Accuracy Estimation and Model Selection") test on a
part of split train, and train on all else, the test images of the first among them.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

import tfrecords
from pipelines.comparison.options import Options
from pipelines.runs.folder import RECORDS
from tfrecords import Manifest, RawExample, splits

FEW = 50  # test images of classes trained on, or of held-out ones, below which there are folds

MOST = 5  # folds, where their number is not given

LARGEST = 2_000  # images beyond which nothing is tested several times without being asked to

SEEDS = (1, 2, 3)  # of training, where none are given; the first alone where there are folds

FOLDER = "folds"  # of the comparison


@dataclass(frozen=True)
class Fold:
    """One of the divisions.

    Attributes:
        number: from 1, which is that of the records.
        options: of the comparison, of this division's records.
        out: folder of its runs.
        test: images of each class that are tested.
        tested: images that are tested; fewer than in `test` where they have several classes.
        labels: of the images in split train, [n] in any order, or 0/1 [n, classes].
    """

    number: int
    options: Options
    out: Path
    test: tuple[int, ...]
    tested: int
    labels: np.ndarray

    @staticmethod
    def of(
        number: int,
        options: Options,
        out: Path,
        train: Sequence[Any],
        test: Sequence[Any],
        classes: int,
    ) -> "Fold":
        """Of the class, or the classes, of each image of both sides."""
        return Fold(number, options, out, _counts(test, classes), len(test), _array(train, classes))


def tested(divisions: Sequence[Fold]) -> list[int]:
    """Images of each class that are tested, of all folds."""
    return [sum(counts) for counts in zip(*(fold.test for fold in divisions), strict=True)]


def settled(options: Options, manifest: Manifest, held_out: tuple[int, ...]) -> Options:
    """The options with how many folds there are, and which seeds.

    Raises ValueError for more folds than there are images for.
    """
    count = _count(options, manifest, held_out) if options.folds is None else options.folds
    if count > 1:
        train, test = (_labels(options.data, manifest, each) for each in ("train", options.test))
        most = 2 + int(_parts(train, count - 1, test, seed=_seed(options)).max(initial=-1))
        if options.folds is not None and count > most:
            raise ValueError(
                f"--folds: expected at most {most:,}, so that there is a training image of "
                f"{manifest.dataset} for each to test, and one of each class to train on; "
                f"got {count:,}"
            )
        count = min(count, most)
    seeds = options.seeds or list(SEEDS[:1] if count > 1 else SEEDS)
    return replace(options, folds=count, seeds=seeds)


def _count(options: Options, manifest: Manifest, held_out: tuple[int, ...]) -> int:
    train, test = manifest.split("train"), manifest.split(options.test)
    if options.test == "train":
        return 1
    arms = [
        sum(count for label, count in enumerate(test.class_counts) if (label in held_out) == away)
        for away in (False, True)
    ]
    if manifest.multi_label:  # whose images are in several of these counts
        arms = [test.count]
    if train.count + test.count > LARGEST or not any(0 < arm < FEW for arm in arms):
        return 1
    return min(MOST, 1 + max(1, round(train.count / test.count)))


def of(options: Options, manifest: Manifest, out: Path) -> list[Fold]:
    """The divisions, of settled options; nothing is written."""
    count, classes = options.folds or 1, len(manifest.split("train").class_counts)
    train = _labels(options.data, manifest, "train")
    test = _labels(options.data, manifest, options.test)
    part_of = _parts(train, count - 1, test, seed=_seed(options)) if count > 1 else np.empty(0)
    found = [Fold.of(1, options, out, train, test, classes)]
    for number in range(2, count + 1):
        folder = out / FOLDER / str(number)
        moved = replace(options, data=str(folder / "records"), out=str(folder))
        away = part_of == number - 2
        tested, kept = ([*itertools.compress(train, side)] for side in (away, ~away))
        found.append(Fold.of(number, moved, folder, [*kept, *test], tested, classes))
    return found


def _labels(data: str, manifest: Manifest, split: str) -> list[Any]:
    """The class of each image of a split, or its classes. Of one class each in no order."""
    info = manifest.split(split)
    if manifest.multi_label:
        return [each.label for _, each in tfrecords.examples_at(data, split, range(info.count))]
    return np.repeat(np.arange(len(info.class_counts)), info.class_counts).tolist()


def _array(labels: Sequence[Any], classes: int) -> np.ndarray:
    """The class of each image [n], or 0/1 [n, classes] of images with several."""
    if not any(isinstance(label, tuple) for label in labels):
        return np.array(labels, int)
    return np.stack([np.isin(np.arange(classes), label) for label in labels]).astype(int)


def _counts(labels: Sequence[Any], classes: int) -> tuple[int, ...]:
    flat = [label for several in labels for label in np.atleast_1d(several).tolist()]
    return tuple(np.bincount(np.array(flat, int), minlength=classes).tolist())


def _parts(train: Sequence[Any], count: int, test: Sequence[Any], *, seed: int) -> np.ndarray:
    """The part of each image of split train; those of the test are trained on with each."""
    known = {int(label) for several in test for label in np.atleast_1d(several)}
    return splits.parts(train, count, seed=seed, elsewhere=known)


def _seed(options: Options) -> int:
    return (options.seeds or [0])[0]


def write(folds: Sequence[Fold]) -> None:
    """Write the records of all divisions but the first, those that are not there yet."""
    for fold, source in _divisions(folds):
        tfrecords.write(source, fold.options.data, workers=1, progress=False)


def check_written(folds: Sequence[Fold]) -> None:
    """Raise ValueError where records that are there already are of another division."""
    for fold, source in _divisions(folds):
        path = Path(fold.options.data)
        if (path / RECORDS).is_file() and Manifest.read(path).source != source.describe():
            raise ValueError(
                f"{fold.out} holds another division of the images, of another --folds or first "
                f"seed; give those again, delete {fold.out.parent}, or give another --out"
            )


def _divisions(folds: Sequence[Fold]) -> Iterator[tuple[Fold, "Division"]]:
    """All folds but the first, each with the source of its records."""
    first, *others = folds
    for fold in others:
        seed, place = _seed(first.options), fold.number - 2
        own = {"part": place, "parts": len(others), "seed": seed}
        yield fold, Division(first.options.data, first.options.test, **own)


@dataclass(frozen=True)
class Division:
    """A source: records with one part of split train to be tested, and all else in train.

    Args:
        data: folder of the records; test: their split that is tested otherwise.
        part: from 0, of `parts`.
        seed: of who is in which part.
    """

    data: str
    test: str
    part: int
    parts: int
    seed: int

    @cached_property
    def _manifest(self) -> Manifest:
        return Manifest.read(self.data)

    name = property(lambda self: self._manifest.dataset)
    class_names = property(lambda self: self._manifest.class_names)
    templates = property(lambda self: self._manifest.templates)
    metric = property(lambda self: self._manifest.metric)
    multi_label = property(lambda self: self._manifest.multi_label)
    lossless = property(lambda self: self._manifest.lossless)

    @cached_property
    def _places(self) -> dict[str, list[tuple[str, int]]]:
        """Split -> its images, each by its split in the records and its place there."""
        counts = {split: self._manifest.split(split).count for split in ("train", self.test)}
        labels, known = (
            [each.label for _, each in self._examples(split, range(count))]
            for split, count in counts.items()
        )
        away = _parts(labels, self.parts, known, seed=self.seed) == self.part
        kept = [("train", int(place)) for place in np.flatnonzero(~away)]
        kept += [(self.test, place) for place in range(counts[self.test])]
        order = np.random.default_rng(self.seed).permutation(len(kept))
        tested = [("train", int(place)) for place in np.flatnonzero(away)]
        return {"train": [kept[i] for i in order], self.test: tested}

    def _examples(self, split: str, places: Sequence[int] | range) -> Iterator:
        return tfrecords.examples_at(self.data, split, places)

    @property
    def splits(self) -> dict[str, int]:
        return {split: len(places) for split, places in self._places.items()}

    def describe(self) -> dict[str, object]:
        return {
            "kind": "fold",
            "of": self._manifest.source,
            "part": self.part,
            "parts": self.parts,
            "seed": self.seed,
        }

    def read(self, split: str, start: int, stop: int) -> Iterator[RawExample]:
        wanted = self._places[split][start:stop]
        found = {
            (of, place): example
            for of in {of for of, _ in wanted}
            for place, example in self._examples(of, [p for other, p in wanted if other == of])
        }
        for each in wanted:
            example = found[each]
            yield RawExample(example.filename, partial(getattr, example, "image"), example.label)
