"""The source interface, and sources of image files (all but TFDS and `shapes`)."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from duet import name_list, regular_files
from tfrecords.class_name_keys import by_number
from tfrecords.non_utf8_names import escaped
from tfrecords.schema import Label, RawExample
from tfrecords.splits import rarest_class, train_validation, with_some_left
from tfrecords.text_files import read_text

SPLITS = ("train", "validation", "test")

# Common names of splits in folder and file names.
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}

TEST_SHARE = 0.2  # of images with one label each that come unsplit

_VALIDATION_SHARE = 0.1  # of images with captions or several labels, and as many to test on

_SHOWN = 3  # names in an error message

_LONG = 80  # characters of a name


class Source(Protocol):
    """Images to be written into records. Sources can be pickled.

    Attributes:
        name: of the data set, as written to the manifest.
        class_names: by label; () without labels.
        templates, metric, lossless: see `catalog.Dataset`.
        splits: split name -> number of images, rejected ones included.

    Multi-label sources also have `multi_label = True`; a source that skipped or chose something
    has `notes`, lines that say so.
    """

    @property
    def name(self) -> str: ...
    @property
    def class_names(self) -> tuple[str, ...]: ...
    @property
    def templates(self) -> tuple[str, ...]: ...
    @property
    def metric(self) -> str: ...
    @property
    def lossless(self) -> bool: ...
    @property
    def splits(self) -> Mapping[str, int]: ...

    def describe(self) -> dict[str, object]:
        """Returns JSON-able settings; equal ones guarantee equal images in equal order."""

    def read(self, split: str, start: int, stop: int) -> Iterator[RawExample]:
        """Yields images `start` to `stop` of a split, in a fixed, shuffled order."""


class File(NamedTuple):
    """One image file, named relative to the root of its source, with `/`."""

    name: str
    label: Label | None = None
    captions: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileSource:
    """A source of image files.

    Args:
        files: split name -> files, shuffled.
        kind: the layout it was read from.
        seed: of shuffling and splitting.
        notes: messages about skipped files or choices made; without effect on the images.
        Others: see `Source`.
    """

    name: str
    kind: str
    root: Path
    seed: int
    files: dict[str, list[File]]
    class_names: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    metric: str = "top1"
    lossless: bool = False
    extra: dict = field(default_factory=dict)
    multi_label: bool = False
    notes: tuple[str, ...] = ()

    @property
    def splits(self) -> dict[str, int]:
        return {split: len(files) for split, files in self.files.items()}

    def describe(self) -> dict:
        """Includes a checksum of the file list, so that added or removed files are noticed."""
        digest = hashlib.sha256(repr((self.files, self.class_names)).encode())
        return {
            "kind": self.kind,
            "root": escaped(str(self.root.resolve())),
            "seed": self.seed,
            "listing_sha256": digest.hexdigest(),
            **self.extra,
        }

    def read(self, split: str, start: int, stop: int) -> Iterator[RawExample]:
        for file in self.files[split][start:stop]:
            yield RawExample(file.name, partial(self.load, file.name), file.label, file.captions)

    def load(self, name: str) -> bytes:
        """Returns the bytes of one of its files; OSError if it cannot be read."""
        return regular_files.read_regular(self.root / name)


def mixed(files: Iterable[File], *, seed: int) -> list[File]:
    """Shuffles the files; the order depends only on their names and the seed."""
    ordered = sorted(files, key=lambda file: file.name)
    return [ordered[i] for i in np.random.default_rng(seed).permutation(len(ordered))]


def split_by_seed(
    files: Sequence[File], *, seed: int, test_share: float | None = None
) -> dict[str, list[File]]:
    """80 % train and 20 % test of every class, each mixed.

    A hash of its name and the seed decides where an image goes. So where images join a class, few
    of those that were there change splits, and a model of before is tested on what it never saw.
    Where somebody reads a split validation, that of captions (in training) and of several labels
    (for thresholds), it is 80 % train, 10 % validation, 10 % test. Methods that learn one label
    per image choose by images of train, so that a split validation would be left unused. An image
    of several classes goes by the rarest of them.

    Args:
        seed: decides which images.
        test_share: of every class, in place of 20 or 10 %.

    Raises ValueError for too few images, or a share that leaves nothing to train on.
    """
    ordered = sorted(files, key=lambda file: file.name)
    several = [file.label for file in ordered if isinstance(file.label, tuple)]
    labels = rarest_class(several) if several else np.array([file.label or 0 for file in ordered])
    validates = bool(several) or any(file.captions for file in ordered)
    usual = _VALIDATION_SHARE if validates else TEST_SHARE
    share = usual if test_share is None else test_share
    most = 1 - _VALIDATION_SHARE if validates else 1
    if not 0 < share < most:
        raise ValueError(f"--test-share: expected a number between 0 and {most:g}; got {share:g}")
    names = (escaped(file.name) for file in ordered)
    hashes = [hashlib.sha256(f"{seed} {name}".encode()).digest() for name in names]
    rest, test = _lowest(hashes, labels, several, share=share)
    chosen = {"train": rest, "test": test}
    if validates:
        left = [hashes[place] for place in rest]
        still = [several[place] for place in rest] if several else []
        of_rest = _VALIDATION_SHARE / (1 - share)
        train, validation = _lowest(left, labels[rest], still, share=of_rest)
        chosen = {"train": rest[train], "validation": rest[validation], "test": test}
    if not all(len(positions) for positions in chosen.values()):
        classes = f" (classes: {len(set(labels.tolist()))})" if labels.any() else ""
        raise ValueError(
            f"{len(files)} images are too few to split into {', '.join(chosen)}{classes}"
        )
    return {
        split: mixed((ordered[i] for i in positions), seed=seed)
        for split, positions in chosen.items()
    }


def _lowest(
    hashes: Sequence[bytes],
    labels: np.ndarray,
    several: Sequence[Sequence[int]],
    *,
    share: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the others, and of a share of every class, as many as `train_validation` takes,
    with the lowest hashes; both ascending.

    several: the classes of each image that has several, of which `labels` is the rarest; none is
    left without an image among the others.
    """
    _, drawn = train_validation(labels, fraction=share, seed=0)
    counts = Counter(labels[drawn].tolist())
    taken = []
    for place in sorted(range(len(hashes)), key=hashes.__getitem__):
        if counts[labels[place]]:
            counts[labels[place]] -= 1
            taken.append(place)
    if several:
        taken = with_some_left(several, taken).tolist()
    return np.setdiff1d(np.arange(len(hashes)), taken), np.sort(np.array(taken, np.int64))


def divided(
    files: Mapping[str, Sequence[File]], *, seed: int, test_share: float | None, where: object
) -> dict[str, list[File]]:
    """The files of each split, mixed, train first; those of split "" are split by the seed, and
    those of train, if it is alone, where a share to test on is given.

    Raises ValueError where some have a split and others not, and for a share of images that have
    splits already; `where` names them.
    """
    if "" in files and len(files) > 1:
        named = sum(len(group) for split, group in files.items() if split)
        raise ValueError(
            f"{where}: a split is named for {name_list.counted(named, 'image')} and for "
            f"{len(files['']):,} not ({few([file.name for file in files['']])}); expected one for "
            f"all or none"
        )
    if "" in files:
        return split_by_seed(files[""], seed=seed, test_share=test_share)
    if test_share is not None and set(files) == {"train"}:
        return split_by_seed(files["train"], seed=seed, test_share=test_share)
    if test_share is not None:
        raise ValueError(
            f"--test-share: the images of {where} are in splits already "
            f"({', '.join(files)}); expected images without"
        )
    ordered = dict.fromkeys([*SPLITS, *files])
    return {split: mixed(files[split], seed=seed) for split in ordered if split in files}


def split_name(text: str) -> str:
    """Returns Duet's name of a split in a table; only word characters, as file names use it."""
    if text and (text.isdigit() or not re.fullmatch(r"\w+", text, re.ASCII)):
        raise ValueError(f"expected a split like {', '.join(SPLITS)}, got {text!r}")
    return SPLIT_NAMES.get(text.lower(), text)


def refuse_same_split(split_of: Mapping[str, str], *, where: object) -> None:
    """Raises ValueError if two words, such as val and dev, mean the same split.

    Args:
        split_of: a word or folder -> its split.
        where: what to name in the message.
    """
    first: dict[str, str] = {}
    for word, split in sorted(split_of.items()):
        if first.setdefault(split, word) != word:
            raise ValueError(
                f"{where}: {first[split]} and {word} are both split {split}; expected one of them"
            )


def require_files(root: Path, names: Iterable[str], *, listed_in: str) -> None:
    """Raises FileNotFoundError, with count and first names, unless all exist under `root`.

    Another OSError where the first is in a folder that cannot be read.
    """
    names, folder = list(names), str(root)
    missing = [name for name in names if not is_file(folder, name)]
    if missing:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, ValueError):
            os.stat(root / missing[0])  # what may not be looked at is not missing
        raise FileNotFoundError(
            f"{len(missing)} of {len(names)} images named in {listed_in} are missing under "
            f"{root}: {few(missing)}"
        )


def is_file(root: Path | str, name: str) -> bool:
    """Returns whether the file of that name exists under `root`; False also for an invalid name."""
    path = os.path.join(root, name).rstrip(os.sep)
    return os.path.isfile(path)  # a `Path` takes three times as long


def few(names: Sequence[str]) -> str:
    """Returns the first names of a list, for a message; those that are not UTF-8 escaped."""
    first = [escaped(name) for name in names[:_SHOWN]]
    shown = [name if len(name) <= _LONG else f"{name[:_LONG]}..." for name in first]
    return ", ".join(shown) + (", ..." if len(names) > _SHOWN else "")


def order(names: Sequence[str], *, what: str) -> list[str]:
    """Returns a note if classes are in the order of their numbers, which is not the alphabet's."""
    if list(names) == sorted(names) or by_number(names) != list(names):
        return []
    return [f"{what} are numbered, and in the order of their numbers: {few(names)}"]


def refuse_unknown(names: Iterable[str], labels: Mapping[str, int], *, listed_in: Path) -> None:
    """Raises ValueError for names of classes that have no label."""
    unknown = sorted(set(names) - set(labels))
    if unknown:
        raise ValueError(f"{listed_in} names classes that the set does not have: {few(unknown)}")


def prompt_names(
    names: Iterable[str], *, renames: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Returns class names for prompts: underscores become spaces, then `renames` apply.

    Raises ValueError for a name of which nothing is left.
    """
    listed = list(names)
    spaced = [" ".join(name.replace("_", " ").split()) for name in listed]
    if "" in spaced:
        raise ValueError(f"class {listed[spaced.index('')]!r}: expected a name of letters")
    return tuple((renames or {}).get(name, name) for name in spaced)


def read_layout(root: Path, path: str, *, what: str) -> str:
    """Reads a required text of a published layout; FileNotFoundError names it if missing."""
    try:
        return read_text(root / path)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{root} is not {what}: {path} is missing") from None
