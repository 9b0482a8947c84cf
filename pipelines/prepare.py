"""Write images with labels or captions into TFRecords.

The images come from a data set of the catalogue (`python -m pipelines datasets`), a folder with
one folder per class, a CSV of labels, a caption file, or shards with many images each. They are
proved readable on the way; those that are not are listed in `rejected.csv`. Stopped at any point,
the same command goes on where it stopped.
"""

from __future__ import annotations

import csv
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from duet import name_list
from pipelines.runs.rerun_command import flag
from pipelines.runs.text_table import aligned

if TYPE_CHECKING:
    from tfrecords import Manifest
    from tfrecords.sources import Source

_SHOWN = 3  # reasons for rejection, the most frequent first

_NEEDS = "which needs "  # of a reason: a package is missing, the image may be whole


class _Classes(NamedTuple):
    dataset: str
    class_names: tuple[str, ...]
    spoken_names: tuple[str, ...]


@dataclass
class Options:
    """Images to TFRecords: give --dataset, --folder, --labels, --captions, --webdataset or
    --parquet.

    Args:
        out: folder to write to; it is made, and nothing in it is ever overwritten
        dry_run: print what would be read (splits, classes, counts, what is passed over), write
            nothing; goes without --out
        dataset: name of a data set; see `python -m pipelines datasets`
        folder: class folders, {train,test[,validation]}/CLASS/IMAGE, CLASS/{train,test}/IMAGE or
            CLASS/IMAGE
        flatten: with --folder, take images deeper in a class folder as that class's
        labels: table (CSV, TSV, JSON, JSON Lines) with columns file and label, several labels as
            a|b, or with a 0/1 column for every class; a column split says which split an image
            belongs to; COCO's JSON of objects; or a folder with metadata.csv, metadata.jsonl,
            _classes.csv or _annotations.coco.json
        captions: table with columns file and caption, COCO caption JSON, or a folder of such files
        webdataset: tar shards with captions or labels, 'shards/{0000..0099}.tar'
        parquet: Parquet or Arrow files with images and labels or captions in them, as Hugging Face
            has data sets: a folder, or 'data/train-*.parquet'
        images: with --labels or --captions, where the images are if not beside that file
        image_column: with --labels, --captions or --parquet, the column of the image or its name,
            if it is called otherwise than usual
        label_column: with --labels or --parquet, that of the label
        caption_column: with --captions or --parquet, that of the caption
        class_names: names in the order of the labels, in place of those that folders or a table
            have; or one file: a name per line, JSON (a list), or a CSV with columns class and name
        multi_label: with --labels, also if no image happens to have two labels, or where each of an
            image's labels has a row
        label_separator: with --labels, what divides several labels in a cell, such as "," or " ";
            without it |
        ignore_columns: with --labels, columns that are neither classes nor anything else
        data_dir: with --dataset, the TFDS folder, or the folder with the set as it is published
        shots: with --dataset in CoOp's layout, so many images per class, those that CoOp draws with
            this --seed
        download: with --dataset, let TFDS download what is not there
        short_side: shrink images to this many pixels on the shorter side; never enlarges
        first_frame: take the first frame or page of animated images and files of several pages,
            in place of rejecting them
        max_pixels: reject images of more pixels; without it 89,478,485
        limit: take at most this many images of each split
        exclude: table of images to leave out, with columns file and perhaps split, such as the
            suspects.csv of inspect
        validation_share: make split validation of images of split train, so many for each that
            is left there, in place of the one that the data set has
        test_share: of images without splits, share of every class to test on; without it 0.2, and
            0.1 of captions or several labels, with as many in a split validation
        all_as: write the images of all splits as one, called so: test, to measure without
            training
        seed: draws `shapes`, mixes images, and splits those that come without splits
        max_rejected: exit with status 1 if more images than this cannot be read; those of a kind
            that needs another package are left out and said, and do not count
        shard_size: images per file
        workers: processes that read and write, or of a single shard threads; the result does not
            depend on it
        runner: "beam" for Apache Beam (extra `beam`)
        beam_options: with --runner beam, its options, e.g. "--runner=FlinkRunner"
    """

    out: str = ""
    dry_run: bool = False
    dataset: str | None = None
    folder: str | None = None
    flatten: bool = False
    labels: str | None = None
    captions: str | None = None
    webdataset: str | None = None
    parquet: str | None = None
    images: str | None = None
    image_column: str | None = None
    label_column: str | None = None
    caption_column: str | None = None
    class_names: list[str] | None = None
    multi_label: bool = False
    label_separator: str | None = None
    ignore_columns: list[str] = field(default_factory=list)
    data_dir: str | None = None
    shots: int | None = None
    download: bool = False
    short_side: int | None = None
    first_frame: bool = False
    max_pixels: int | None = None
    limit: int | None = None
    exclude: str | None = None
    validation_share: float | None = None
    test_share: float | None = None
    all_as: str | None = None
    seed: int = 0
    max_rejected: int = 0
    shard_size: int = 500
    workers: int = 2
    runner: Literal["local", "beam"] = "local"
    beam_options: str = ""


# What makes each source, of `tfrecords.sources`, and the options that mean something with it.
_SOURCES = {
    "dataset": ("named", ("data_dir", "shots", "download")),
    "folder": ("class_folder", ("flatten", "test_share")),
    "labels": (
        "labels",
        (
            *("images", "image_column", "label_column", "multi_label", "label_separator"),
            *("ignore_columns", "test_share"),
        ),
    ),
    "captions": ("captions", ("images", "image_column", "caption_column", "test_share")),
    "webdataset": ("webdataset", ("test_share",)),
    "parquet": ("parquet", ("image_column", "label_column", "caption_column", "test_share")),
}


def run(options: Options) -> int:
    """Prepare records; 0 if all is well, 1 if more images were rejected than allowed.

    Raises ValueError or OSError, in words for the user, for what he got wrong.
    """
    from tfrecords import REJECTED, write

    for name in ("max_rejected", "seed"):
        if getattr(options, name) < 0:
            raise ValueError(f"{name}: expected 0 or more, got {getattr(options, name)}")
    if not options.out and not options.dry_run:
        raise ValueError("--out: expected a folder to write to; got none")
    started = time.perf_counter()
    found = source(options)
    if options.dry_run:
        print(outline(found))
        return 0
    for note in getattr(found, "notes", ()):
        print(note)
    manifest = write(
        found,
        options.out,
        short_side=options.short_side,
        first_frame=options.first_frame,
        max_pixels=options.max_pixels,
        shard_size=options.shard_size,
        workers=options.workers,
        runner=options.runner,
        beam_options=options.beam_options,
    )
    print(summary(manifest))
    print(f"written to {options.out} in {time.perf_counter() - started:.1f} s")
    reasons = _rejected(Path(options.out) / REJECTED)
    for reason, count in reasons.most_common(_SHOWN):
        print(f"rejected: {count:,} ({reason})")
    if reasons:
        print(f"images rejected: {reasons.total():,}, listed in {options.out}/{REJECTED}")
    unreadable = sum(count for reason, count in reasons.items() if _NEEDS not in reason)
    if unreadable > options.max_rejected:
        raise RuntimeError(
            f"{unreadable} images rejected, more than --max-rejected {options.max_rejected}; "
            f"the records of all others are complete"
        )
    return 0


def _rejected(path: Path) -> Counter[str]:
    """How many images were rejected for each reason."""
    with open(path, encoding="utf-8", newline="") as file:
        return Counter(row["reason"] for row in csv.DictReader(file))


def source(options: Options) -> Source:
    """The source that the options name; ValueError unless they name exactly one."""
    from tfrecords import sources

    given = {name: getattr(options, name) for name in _SOURCES}
    chosen = [name for name, value in given.items() if value is not None]
    if len(chosen) != 1:
        got = " and ".join(f"--{name}" for name in chosen) or "none"
        choices = ", ".join(f"--{name}" for name in _SOURCES)
        raise ValueError(f"expected one of {choices}; got {got}")
    if not given[chosen[0]]:
        raise ValueError(f"--{chosen[0]}: expected a name; got ''")
    maker, taken = _SOURCES[chosen[0]]
    for name in dict.fromkeys(name for _, names in _SOURCES.values() for name in names):
        if getattr(options, name) and name not in taken:
            wanted = " or ".join(f"--{each}" for each, (_, its) in _SOURCES.items() if name in its)
            raise ValueError(f"{flag(name)} goes with {wanted}, not with --{chosen[0]}")
    more = {name.removesuffix("_columns"): getattr(options, name) for name in taken}
    found: Source = getattr(sources, maker)(given[chosen[0]], seed=options.seed, **more)
    return _some(found, options)


def _some(source: Source, options: Options) -> Source:
    """The images and splits of it that the options ask for."""
    from tfrecords import sources

    if options.all_as is not None and options.test_share is not None:
        raise ValueError("--all-as makes one split; --test-share goes without it")
    if options.all_as is not None and options.validation_share is not None:
        raise ValueError("--all-as makes one split; --validation-share goes without it")
    if options.all_as is not None:
        source = sources.Merged(source, options.all_as)
    elif source.class_names:
        source = sources.tested(source)
    if options.class_names is not None:
        source = sources.Renamed(source, _names(source, options.class_names))
    if options.validation_share is not None:
        source = sources.WithValidation(source, options.validation_share, options.limit)
    if options.limit is not None:
        source = sources.Limited(source, options.limit)
    return source if options.exclude is None else sources.excluded(source, options.exclude)


def _names(source: Source, given: list[str]) -> tuple[str, ...]:
    """The names given, or of a file, for the classes of a source."""
    from pipelines.runs import class_name_options

    if not source.class_names:
        raise ValueError(f"--class-names goes with labels; {source.name} has captions")
    own = _Classes(source.name, source.class_names, source.class_names)
    return tuple(class_name_options.class_names(given, own))


def outline(source: Source) -> str:
    """What would be read of a source, nothing of which is opened: splits, classes, notes."""
    counted = ", ".join(f"{count:,} images in {name}" for name, count in source.splits.items())
    lines = [f"{source.name}: {len(source.class_names)} classes, {counted}"]
    if source.class_names:
        lines.append(f"classes: {', '.join(source.class_names)}")
        lines += _without(source)
    return "\n".join([*lines, *getattr(source, "notes", ()), "nothing was written"])


def _without(source: Source) -> list[str]:
    """A line for each split of image files that lacks classes."""
    lines = []
    for split, files in getattr(source, "files", {}).items():
        labels = (file.label for file in files)
        found = {n for label in labels for n in (label if isinstance(label, tuple) else [label])}
        absent = [name for n, name in enumerate(source.class_names) if n not in found]
        if absent:
            lines.append(f"classes without an image in {split}: {name_list.first_of(absent)}")
    return lines


def summary(manifest: Manifest) -> str:
    """The counts of a manifest as a small table."""
    head = ("split", "images", "rejected", "classes", "captions", "shards", "MB")
    rows = [head]
    for name, split in manifest.splits.items():
        size = sum(shard.bytes for shard in split.shards) / 1e6
        rows.append(
            (
                name,
                f"{split.count:,}",
                f"{split.rejected:,}",
                str(sum(count > 0 for count in split.class_counts)) if split.labels else "-",
                "yes" if split.captions else "-",
                str(len(split.shards)),
                f"{size:,.1f}",
            )
        )
    lines = aligned(rows, right=range(1, len(head)))
    for name, split in manifest.splits.items():
        counts = zip(manifest.spoken_names, split.class_counts, strict=False)
        if without := [each for each, count in counts if not count]:
            lines.append(f"classes without an image in {name}: {name_list.first_of(without)}")
    return "\n".join(lines)
