"""Sources derived from others: limited in size, with other splits, without excluded images."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import Self

import numpy as np

from tfrecords.class_name_keys import refuse_merged, say_little
from tfrecords.schema import RawExample
from tfrecords.sources.base import File, FileSource, Source, split_by_seed

# How notes of `class_name_keys` on class names begin.
_ABOUT_NAMES = ("classes ", "class names ", "several classes are called ")


@dataclass(frozen=True)
class _Of:
    """Attributes taken unchanged from the wrapped source."""

    source: Source

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.source.class_names

    @property
    def templates(self) -> tuple[str, ...]:
        return self.source.templates

    @property
    def metric(self) -> str:
        return self.source.metric

    @property
    def lossless(self) -> bool:
        return self.source.lossless

    @property
    def multi_label(self) -> bool:
        return getattr(self.source, "multi_label", False)

    @property
    def notes(self) -> tuple[str, ...]:
        return getattr(self.source, "notes", ())

    def unpacked(self, folder: Path, names: Callable[[], Collection[str]]) -> Self:
        return replace(self, source=at_hand(self.source, folder, names))


def at_hand(
    source: Source, folder: Path, names: Callable[[], Collection[str]] | None = None
) -> Source:
    """Returns a source whose images can be read in any order, from a copy in a folder if need be.

    names: of those that are read, which a source with a copy asks for; None for all.
    """

    def of_all() -> set[str]:
        counts = source.splits.items()
        return {raw.filename for split, count in counts for raw in source.read(split, 0, count)}

    unpacked = getattr(source, "unpacked", None)
    return source if unpacked is None else unpacked(folder, names or of_all)


@dataclass(frozen=True)
class Limited(_Of):
    """The first `limit` images of every split of another source."""

    limit: int

    def __post_init__(self) -> None:
        if not isinstance(self.limit, Integral) or self.limit < 1:
            raise ValueError(f"limit: expected at least 1 image per split, got {self.limit!r}")

    @property
    def splits(self) -> dict[str, int]:
        return {split: min(n, self.limit) for split, n in self.source.splits.items()}

    def describe(self) -> dict:
        return {**self.source.describe(), "limit": self.limit}

    def read(self, split: str, start: int, stop: int) -> Iterator[RawExample]:
        return self.source.read(split, start, min(stop, self.limit))


@dataclass(frozen=True)
class Renamed(_Of):
    """Another source whose classes have other names.

    Args:
        names: in the order of its labels.

    Raises ValueError for as many others, or names that mean the same.
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.source.class_names):
            raise ValueError(
                f"names: expected {len(self.source.class_names)}, one for each class of "
                f"{self.source.name}; got {len(self.names)}"
            )
        refuse_merged(self.names, where=self.source.name)

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.names

    @property
    def splits(self) -> Mapping[str, int]:
        return self.source.splits

    @property
    def notes(self) -> tuple[str, ...]:
        others = (note for note in super().notes if not note.startswith(_ABOUT_NAMES))
        return (*others, *say_little(self.names))

    def describe(self) -> dict:
        return {**self.source.describe(), "class_names": list(self.names)}

    def read(self, split: str, start: int, stop: int) -> Iterator[RawExample]:
        return self.source.read(split, start, stop)


@dataclass(frozen=True)
class WithValidation(_Of):
    """Another source whose split validation is replaced by a part of its split train.

    Args:
        share: validation images, as a share of the remaining train images.
        limit: most remaining train images.

    Raises ValueError if split train is missing or too small.
    """

    share: float
    limit: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ValueError(f"validation_share: expected a number in (0, 1), got {self.share}")
        if "train" not in self.source.splits:
            raise ValueError("validation_share: expected a split train to take it from")
        if not all(self._parts):
            count = self.source.splits["train"]
            count = count if self.limit is None else min(count, self.limit)
            raise ValueError(
                f"validation_share: {count} images of split train are too few to take a share of "
                f"{self.share} from"
            )

    @property
    def _parts(self) -> tuple[int, int]:
        """Number of images of train, and of validation, which follow them in the source."""
        count = self.source.splits["train"]
        train = int(count / (1 + self.share) + 1e-9)
        train = train if self.limit is None else min(train, self.limit)
        return train, min(round(self.share * train), count - train)

    @property
    def splits(self) -> dict[str, int]:
        train, validation = self._parts
        others = {
            split: count
            for split, count in self.source.splits.items()
            if split not in ("train", "validation")
        }
        return {"train": train, "validation": validation, **others}

    def describe(self) -> dict:
        own = {"validation_share": self.share, "train_limit": self.limit}
        return {**self.source.describe(), **own}

    def read(self, split: str, start: int, stop: int) -> Iterator[RawExample]:
        train, validation = self._parts
        if split == "validation":
            return self.source.read("train", train + start, train + min(stop, validation))
        return self.source.read(split, start, min(stop, train) if split == "train" else stop)


@dataclass(frozen=True)
class ValidationAsTest(_Of):
    """Another source without a split test, whose split validation is called test.

    Methods that learn from labels choose by images of train, and are measured on test.
    """

    @property
    def splits(self) -> dict[str, int]:
        return {_renamed(split): count for split, count in self.source.splits.items()}

    @property
    def files(self) -> dict[str, list[File]]:
        return {_renamed(split): its for split, its in getattr(self.source, "files", {}).items()}

    @property
    def notes(self) -> tuple[str, ...]:
        said = "written as test, as there is no other split to measure on: validation"
        return (*super().notes, said)

    def describe(self) -> dict:
        return {**self.source.describe(), "validation_as": "test"}

    def read(self, split: str, start: int, stop: int) -> Iterator[RawExample]:
        return self.source.read("validation" if split == "test" else split, start, stop)


def tested(source: Source) -> Source:
    """Returns a source with a split test, made of validation or of train if they are all there is.

    Raises ValueError for too few images.
    """
    if set(source.splits) == {"train", "validation"}:
        return ValidationAsTest(source)
    if set(source.splits) == {"train"} and isinstance(source, FileSource):
        return _with_test(source)
    return source


def _with_test(source: FileSource) -> FileSource:
    """Returns a source of split train alone whose images are split by its seed, and which says so.

    Raises ValueError for too few images.
    """
    try:
        files = split_by_seed(source.files["train"], seed=source.seed)
    except ValueError as error:
        raise ValueError(f"{error}; --all-as train writes them as they are") from None
    shares = {split: len(each) / source.splits["train"] for split, each in files.items()}
    made = " and ".join(f"{100 * shares[name]:.0f} % of it {name}" for name in [*files][1:])
    note = f"train is the only split: {made}, by seed (--test-share; --all-as train keeps all)"
    return replace(source, files=files, notes=(*source.notes, note))


def _renamed(split: str) -> str:
    return "test" if split == "validation" else split


@dataclass(frozen=True)
class Merged(_Of):
    """All images of another source as one split.

    Args:
        split: its name.
    """

    split: str

    def __post_init__(self) -> None:
        if not self.split.isidentifier() or not self.split.isascii():
            raise ValueError(f"all_as: expected a name like test, got {self.split!r}")

    @property
    def splits(self) -> dict[str, int]:
        return {self.split: sum(self.source.splits.values())}

    def describe(self) -> dict:
        return {**self.source.describe(), "all_as": self.split}

    def read(self, split: str, start: int, stop: int) -> Iterator[RawExample]:
        first = 0
        for part, count in self.source.splits.items():
            begin, end = max(start - first, 0), min(stop - first, count)
            if begin < end:
                yield from self.source.read(part, begin, end)
            first += count


@dataclass(frozen=True)
class Excluded(_Of):
    """Another source without some of its images.

    Args:
        kept: split name -> places in it of the images that stay, ascending.
        said: a line on how many are left out.
    """

    kept: dict[str, list[int]]
    said: str

    @property
    def splits(self) -> dict[str, int]:
        return {split: len(places) for split, places in self.kept.items()}

    @property
    def notes(self) -> tuple[str, ...]:
        return (*super().notes, self.said)

    def describe(self) -> dict:
        gone = {
            split: sorted(set(range(count)) - set(self.kept[split]))
            for split, count in self.source.splits.items()
        }
        return {**self.source.describe(), "excluded": gone}

    def read(self, split: str, start: int, stop: int) -> Iterator[RawExample]:
        places = np.array(self.kept[split][start:stop], int)
        for run in np.split(places, np.flatnonzero(np.diff(places) != 1) + 1):
            if len(run):
                yield from self.source.read(split, int(run[0]), int(run[-1]) + 1)
