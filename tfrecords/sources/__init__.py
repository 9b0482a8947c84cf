"""Sources of pictures: what exists on disk, in TFDS or in the miniature world, by one interface."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tfrecords.catalog import dataset
from tfrecords.schema import RawExample
from tfrecords.sources.captions import captions
from tfrecords.sources.files import File, FileSource, Source
from tfrecords.sources.folder import class_folder
from tfrecords.sources.labels import labels
from tfrecords.sources.published import is_published_layout, published
from tfrecords.sources.tfds import TfdsSource, tfds_source

__all__ = [
    "File",
    "FileSource",
    "Limited",
    "Source",
    "TfdsSource",
    "captions",
    "class_folder",
    "labels",
    "named",
]


def named(
    name: str, *, seed: int = 0, data_dir: str | Path | None = None, download: bool = False
) -> Source:
    """The source of a catalogue entry.

    Args:
        name: what the catalogue calls it.
        seed: draws `shapes`; mixes sets read from their published layout.
        data_dir: where it is: the folder of TFDS, or the published layout unpacked.
        download: let TFDS fetch what is not there.

    Raises:
        ValueError: no such set, or it needs `data_dir`.
        FileNotFoundError: it is not there; the message says what to do.
        ConnectionError: see `tfds_source`.
    """
    entry = dataset(name)
    if entry.name == "shapes-multi":
        from tfrecords.shapes_multi import ShapesMultiSource

        return ShapesMultiSource(seed=seed)
    if entry.name.startswith("shapes"):
        from tfrecords.shapes import ShapesSource

        return ShapesSource(style=entry.name, seed=seed)
    if entry.layout and (not entry.tfds or (data_dir and is_published_layout(entry, data_dir))):
        if data_dir is None:
            raise ValueError(
                f"{name} is read as published ({entry.home}): "
                f"unpack it and name the folder with --data-dir DIR"
            )
        return published(entry, data_dir, seed=seed)
    return tfds_source(entry, data_dir=str(data_dir) if data_dir else None, download=download)


@dataclass(frozen=True)
class Limited:
    """The first `limit` pictures of every split of another source."""

    source: Source
    limit: int

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise ValueError(f"limit: expected at least 1 picture per split, got {self.limit}")

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
    def splits(self) -> dict[str, int]:
        return {split: min(n, self.limit) for split, n in self.source.splits.items()}

    def describe(self) -> dict:
        return {**self.source.describe(), "limit": self.limit}

    def read(self, split: str, start: int, stop: int) -> Iterator[RawExample]:
        return self.source.read(split, start, min(stop, self.limit))
