"""Stratified cross-validation for small test sets: every image is tested once.

The first division is that of the records. The others (stratified cross-validation, Kohavi 1995,
"A Study of Cross-Validation and Bootstrap for Accuracy Estimation and Model Selection") test on a
part of split train, and train on all else, the test images of the first among them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np

import tfrecords
from pipelines.comparison.options import Options
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
        train: images of each class in split train.
        test: images of each class that are tested.
        tested: images that are tested; fewer than in `test` where they have several classes.
    """

    number: int
    options: Options
    out: Path
    train: tuple[int, ...]
    test: tuple[int, ...]
    tested: int


def tested(divisions: Sequence[Fold]) -> list[int]:
    """Images of each class that are tested, of all folds."""
    return [sum(counts) for counts in zip(*(fold.test for fold in divisions), strict=True)]


def settled(options: Options, manifest: Manifest, held_out: tuple[int, ...]) -> Options:
    """The options with how many folds there are, and which seeds.

    Raises ValueError for more folds than there are images for, or folds of images with several
    classes each.
    """
    count = _count(options, manifest, held_out) if options.folds is None else options.folds
    if count > 1 and manifest.multi_label:
        raise ValueError(
            f"--folds divides the images of each class; those of {manifest.dataset} have several "
            f"classes each: expected 1; got {count:,}"
        )
    least = manifest.split("train").count
    if count > 1 and count - 1 > least:
        raise ValueError(
            f"--folds: expected at most {least + 1:,}, so that there is a training image of "
            f"{manifest.dataset} for each to test; got {count:,}"
        )
    seeds = options.seeds or list(SEEDS[:1] if count > 1 else SEEDS)
    return replace(options, folds=count, seeds=seeds)


def _count(options: Options, manifest: Manifest, held_out: tuple[int, ...]) -> int:
    train, test = manifest.split("train"), manifest.split(options.test)
    if options.test == "train" or manifest.multi_label:
        return 1
    arms = [
        sum(count for label, count in enumerate(test.class_counts) if (label in held_out) == away)
        for away in (False, True)
    ]
    if train.count + test.count > LARGEST or not any(0 < arm < FEW for arm in arms):
        return 1
    return min(MOST, 1 + max(1, round(train.count / test.count)))


def of(options: Options, manifest: Manifest, out: Path) -> list[Fold]:
    """The divisions, of settled options; nothing is written."""
    train = tuple(manifest.split("train").class_counts)
    test = tuple(manifest.split(options.test).class_counts)
    found = [Fold(1, options, out, train, test, manifest.split(options.test).count)]
    for number in range(2, (options.folds or 1) + 1):
        folder = out / FOLDER / str(number)
        moved = replace(options, data=str(folder / "records"), out=str(folder))
        tested = _dealt(train, number, parts=(options.folds or 1) - 1)
        kept = tuple(a + b - c for a, b, c in zip(train, test, tested, strict=True))
        found.append(Fold(number, moved, folder, kept, tested, sum(tested)))
    return found


def _dealt(counts: Sequence[int], number: int, *, parts: int) -> tuple[int, ...]:
    """How many images of each class a division tests."""
    labels = np.repeat(np.arange(len(counts)), counts)
    tested = splits.parts(labels, parts, seed=0) == number - 2  # how many is the same of any seed
    return tuple(np.bincount(labels[tested], minlength=len(counts)).tolist())


def write(folds: Sequence[Fold]) -> None:
    """Write the records of all divisions but the first, those that are not there yet."""
    first, *others = folds
    for fold in others:
        source = Division(
            first.options.data,
            first.options.test,
            part=fold.number - 2,
            parts=len(others),
            seed=(first.options.seeds or [0])[0],
        )
        tfrecords.write(source, fold.options.data, workers=1, progress=False)


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
    lossless = property(lambda self: self._manifest.lossless)

    @cached_property
    def _places(self) -> dict[str, list[tuple[str, int]]]:
        """Split -> its images, each by its split in the records and its place there."""
        train = self._manifest.split("train").count
        labels = [each.label for _, each in self._examples("train", range(train))]
        away = splits.parts(np.array(labels), self.parts, seed=self.seed) == self.part
        kept = [("train", int(place)) for place in np.flatnonzero(~away)]
        kept += [(self.test, place) for place in range(self._manifest.split(self.test).count)]
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
