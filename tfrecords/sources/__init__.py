"""Image sources with one interface: files on disk, TFDS, and the built-in `shapes`."""

from __future__ import annotations

from pathlib import Path

from tfrecords.sources.base import File, FileSource, Source
from tfrecords.sources.captions import captions
from tfrecords.sources.catalog import dataset
from tfrecords.sources.class_folders import class_folder
from tfrecords.sources.exclusion_filter import excluded
from tfrecords.sources.labels_table import labels
from tfrecords.sources.published_layouts import (
    is_published_layout,
    other_layout,
    published,
)
from tfrecords.sources.shards.parquet import parquet
from tfrecords.sources.shards.webdataset import webdataset
from tfrecords.sources.tfds import TfdsSource, tfds_source
from tfrecords.sources.wrappers import (
    Limited,
    Merged,
    Renamed,
    ValidationAsTest,
    WithValidation,
    at_hand,
    tested,
)

__all__ = [
    "File",
    "FileSource",
    "Limited",
    "Merged",
    "Renamed",
    "Source",
    "TfdsSource",
    "ValidationAsTest",
    "WithValidation",
    "at_hand",
    "captions",
    "class_folder",
    "excluded",
    "labels",
    "named",
    "parquet",
    "tested",
    "webdataset",
]


def named(
    name: str,
    *,
    seed: int = 0,
    data_dir: str | Path | None = None,
    download: bool = False,
    shots: int | None = None,
) -> Source:
    """Returns the source of a catalogue entry.

    Args:
        name: name in the catalogue.
        seed: of the images of `shapes`, or of the shuffling of a published layout.
        data_dir: the TFDS folder, or the unpacked published data set.
        download: let TFDS download a missing data set.
        shots: images per class, sampled as CoOp does; only for CoOp's layout.

    Raises:
        ValueError: unknown data set, or it needs `data_dir`.
        FileNotFoundError: it is missing; the message says what to do.
        ConnectionError: see `tfds_source`.
    """
    entry = dataset(name)
    if entry.name == "shapes-multi":
        from tfrecords.sources.shapes.multi_label import ShapesMultiSource

        return ShapesMultiSource(seed=seed)
    if entry.name.startswith("shapes"):
        from tfrecords.sources.shapes.source import ShapesSource

        return ShapesSource(style=entry.name, seed=seed)
    if data_dir is not None:
        source = other_layout(entry, data_dir, seed=seed, shots=shots)
        if source is not None:
            return source
    elif shots is not None:
        raise ValueError("--shots goes with CoOp's layout: name its folder with --data-dir DIR")
    if not entry.tfds and not entry.layout:
        there = f"expected {' or '.join(entry.layouts)} ({entry.archives})"
        if data_dir is None:
            raise ValueError(f"{name} is read as published: {there} in --data-dir DIR")
        raise FileNotFoundError(f"{data_dir} holds no {name}: {there}, of which a file is missing")
    if entry.layout and (not entry.tfds or (data_dir and is_published_layout(entry, data_dir))):
        if data_dir is None:
            raise ValueError(
                f"{name} is read as published ({entry.home}): unpack "
                f"{entry.archives or 'it'} and name the folder with --data-dir DIR"
            )
        return published(entry, data_dir, seed=seed)
    return tfds_source(entry, data_dir=str(data_dir) if data_dir else None, download=download)
