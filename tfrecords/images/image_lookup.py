"""Look up images by name in a folder or in records; the input of an index.

Both kinds list their images as ids with stamps of three integers: two that change when the
image does, and its position. Neither decodes images.
"""

from __future__ import annotations

import hashlib
import stat
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol

from duet import name_list, regular_files
from tfrecords import schema
from tfrecords.framing import read_records, records_at
from tfrecords.images.formats import WORDS
from tfrecords.manifest import Manifest
from tfrecords.non_utf8_names import escaped, unescaped
from tfrecords.sources.walk import Walked, passed_over, walk
from tfrecords.verification import verify_splits

Stamp = tuple[int, int, int]

_PER_SHARD = 1 << 32  # above the number of records in any shard


class ImageStore(Protocol):
    """A place that holds images by name."""

    def describe(self) -> dict:
        """Returns kind and path as JSON-able values, from which `images_of` rebuilds the store."""

    def listing(self) -> dict[str, Stamp]:
        """Returns the stamp of each image id, in a fixed order."""

    def has(self, name: str, stamp: Sequence[int]) -> bool:
        """Returns whether the image still exists, without reading it."""

    def load(self, name: str, stamp: Sequence[int]) -> bytes:
        """Returns the bytes of the image file; FileNotFoundError, naming it, if it is gone."""


@dataclass(frozen=True)
class ImageFolder:
    """All images below a folder, as listed by `sources.walk`; ids are relative paths.

    Skips hidden files and those left by other programs. Links that lead out of the folder are not
    followed: only files inside the folder are read.

    Raises:
        FileNotFoundError: no such folder.
    """

    path: Path

    def __post_init__(self) -> None:
        if not self.path.is_dir():
            raise FileNotFoundError(f"{self.path} is not a folder of images")

    def describe(self) -> dict:
        return {"kind": "folder", "path": escaped(str(self.path.resolve()))}

    def listing(self) -> dict[str, Stamp]:
        """Returns the stamps (size, modification time in ns, 0).

        Names that are not UTF-8 are escaped; `load` accepts the escaped name.

        Raises:
            ValueError: there is no image.
        """
        found: dict[str, Stamp] = {}
        for name, status in self._walked.files.items():
            if escaped(name) in found:
                raise ValueError(f"{self.path} has two files that are written {escaped(name)}")
            found[escaped(name)] = (*status, 0)
        if not found:
            raise ValueError(f"{self.path} holds no images; expected files of kinds {WORDS}")
        return found

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines that count the images by file extension, and the skipped files by reason."""
        return (f"{self.path}: {_by_ending(self._walked.files)}", *passed_over(self._walked.passed))

    @property
    def passed_over(self) -> Mapping[str, int]:
        """Reason -> number of skipped files or folders."""
        return self._walked.passed

    @cached_property
    def _walked(self) -> Walked:
        return walk(self.path, follow=False)

    def has(self, name: str, stamp: Sequence[int] = ()) -> bool:
        """Returns whether it is there, and has its stamp's size; a copy may have another time."""
        try:
            status = _existing(self.path, name).stat()
        except OSError:
            return False
        return stat.S_ISREG(status.st_mode) and (not stamp or stamp[0] == status.st_size)

    def load(self, name: str, stamp: Sequence[int] = ()) -> bytes:
        """Returns the file; OSError if unreadable, PermissionError if outside the folder."""
        path = _existing(self.path, name).resolve()
        if not path.is_relative_to(self.path.resolve()):
            raise PermissionError(f"{name} leads out of {self.path}")
        try:
            return regular_files.read_regular(path)
        except FileNotFoundError:
            raise FileNotFoundError(f"{name} is no longer in {self.path}") from None


class _Shard(NamedTuple):
    path: Path
    records: int
    split: str
    first: int  # its first record's position in the split


@dataclass(frozen=True)
class ImageRecords:
    """The images of a folder of records; ids are their file names, as the source had them.

    Args:
        path: folder with `manifest.json`.
        splits: the splits to use; () for all.

    Raises:
        FileNotFoundError: no records there.
        ValueError: no such split.
    """

    path: Path
    splits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        manifest = Manifest.read(self.path)
        for split in self.splits:
            manifest.split(split)

    def describe(self) -> dict:
        path = str(self.path.resolve())
        return {"kind": "records", "path": path, "splits": list(self.splits)}

    def listing(self) -> dict[str, Stamp]:
        """Returns the stamps (hash of the image's bytes, number of bytes, shard and record).

        A repeated name gets the image's position in its split appended.

        Raises:
            FileNotFoundError: a shard is missing.
            ValueError: a shard is damaged (names shard and record).
        """
        manifest = Manifest.read(self.path)
        verify_splits(self.path, manifest, *(self.splits or manifest.splits))
        found: dict[str, Stamp] = {}
        for number, shard in enumerate(self._shards):
            for index, record in enumerate(read_records(shard.path, 0, shard.records)):
                example = schema.deserialize(record)
                place = number * _PER_SHARD + index
                name = example.filename
                while name in found:  # twice, where three splits have it
                    name = f"{name}#{example.id}"
                found[name] = (_hash(example.image), len(example.image), place)
        return found

    def has(self, name: str, stamp: Sequence[int]) -> bool:
        number = int(stamp[2]) // _PER_SHARD
        return number < len(self._shards) and self._shards[number].path.is_file()

    def place(self, stamp: Sequence[int]) -> tuple[str, int]:
        """Returns an image's split, and its position there."""
        number, index = divmod(int(stamp[2]), _PER_SHARD)
        return self._shards[number].split, self._shards[number].first + index

    def load(self, name: str, stamp: Sequence[int]) -> bytes:
        number, index = divmod(int(stamp[2]), _PER_SHARD)
        try:
            (record,) = read_records(self._shards[number].path, index, index + 1)
        except (IndexError, FileNotFoundError):
            raise FileNotFoundError(f"{name} is no longer in {self.path}") from None
        example = schema.deserialize(record)
        if not name.startswith(example.filename) or _hash(example.image) != stamp[0]:
            raise FileNotFoundError(f"{name} is no longer where it was in {self.path}")
        return example.image

    @cached_property
    def _shards(self) -> list[_Shard]:
        manifest = Manifest.read(self.path)
        found: list[_Shard] = []
        for split in self.splits or manifest.splits:
            first = 0
            for shard in manifest.splits[split].shards:
                found.append(_Shard(self.path / shard.name, shard.records, split, first))
                first += shard.records
        return found


def examples_at(
    directory: str | Path, split: str, places: Iterable[int]
) -> Iterator[tuple[int, schema.Example]]:
    """Yields the records at given positions of a split, in stored order; reads no other image.

    Raises:
        ValueError: a shard is damaged, or a position is outside the split.
    """
    positions, first = sorted(set(places)), 0
    info = Manifest.read(directory).split(split)
    if positions and not 0 <= positions[0] <= positions[-1] < info.count:
        raise ValueError(
            f"places: expected 0 to {info.count - 1}; got {positions[0]}, {positions[-1]}"
        )
    for shard in info.shards:
        inside = slice(*(bisect_left(positions, first + end) for end in (0, shard.records)))
        wanted = [position - first for position in positions[inside]]
        if wanted:
            records = records_at(Path(directory) / shard.name, wanted)
            for index, record in zip(wanted, records, strict=True):
                yield first + index, schema.deserialize(record)
        first += shard.records


def images_of(kind: str, path: str | Path, splits: Sequence[str] = ()) -> ImageStore:
    """Returns the store that `describe` described."""
    if kind == "records":
        return ImageRecords(Path(path), tuple(splits))
    return ImageFolder(_existing(Path(), str(path)))


def _by_ending(names: Iterable[str]) -> str:
    """Returns `8 images: 6 .jpg (0.jpg, ...), 1 .heic (IMG_1.HEIC)`, most frequent first."""
    endings: dict[str, list[str]] = {}
    for name in names:
        endings.setdefault(Path(name).suffix.lower() or "without ending", []).append(escaped(name))
    groups = sorted(endings.items(), key=lambda group: -len(group[1]))
    parts = [
        f"{len(files):,} {ending} ({files[0]}{', ...' if len(files) > 1 else ''})"
        for ending, files in groups
    ]
    return f"{name_list.counted(sum(map(len, endings.values())), 'image')}: {', '.join(parts)}"


def _hash(image: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(image, digest_size=7).digest(), "little")


def _existing(folder: Path, name: str) -> Path:
    """Returns the path of this name, or if missing, of the name it was escaped from."""
    path = folder / name
    return path if path.exists() else folder / unescaped(name)
