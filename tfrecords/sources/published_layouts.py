"""Read public data sets from their unpacked archives."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from tfrecords.sources import binary_sets, coop, torchvision_layouts
from tfrecords.sources.base import (
    File,
    FileSource,
    few,
    prompt_names,
    read_layout,
    refuse_unknown,
)
from tfrecords.sources.captions import captions
from tfrecords.sources.catalog import Dataset
from tfrecords.sources.class_folders import class_folder
from tfrecords.sources.torchvision_layouts import source_of

# The WILDS splits of FMoW depend on an image's year and its published split.
_FMOW_VALIDATION_YEAR = 2013

_FMOW_TEST_YEAR = 2016

# Usual places of Karpathy's COCO splits, relative to the images.
_KARPATHY = tuple(f"{folder}dataset_coco.json" for folder in ("", "annotations/", "karpathy/"))


def published(entry: Dataset, root: str | Path, *, seed: int) -> FileSource:
    """Read a catalogue entry from its published layout under `root`.

    Raises FileNotFoundError, naming the file, if the layout is missing or incomplete.
    """
    return _LAYOUTS[entry.layout](entry, Path(root), seed)


def other_layout(
    entry: Dataset, data: str | Path, *, seed: int, shots: int | None = None
) -> FileSource | None:
    """Reads a data set in a layout other than `entry.layout`; None if `data` has none.

    CoOp's layout takes precedence, as its split file was added on purpose; `shots` requires it.
    """
    data = Path(data)
    if root := coop.coop_root(entry, data):
        return coop.coop(entry, root, seed=seed, shots=shots)
    if shots is not None:
        raise ValueError(f"--shots goes with CoOp's layout, which {data} has none of {entry.name}")
    if root := binary_sets.binary_root(entry, data):
        return binary_sets.binary(entry, root, seed=seed)
    if root := torchvision_layouts.folders_root(entry, data):
        return torchvision_layouts.folders(entry, root, seed=seed)
    return None


def is_published_layout(entry: Dataset, root: str | Path) -> bool:
    """Returns whether `root` is the published layout, not a TFDS folder."""
    marks = {"food101": ("meta/train.txt",), "coco": ("annotations", *_KARPATHY)}
    return any((Path(root) / mark).exists() for mark in marks.get(entry.layout, ()))


def _food101(entry: Dataset, root: Path, seed: int) -> FileSource:
    """Reads `images/<class>/<id>.jpg`, `meta/classes.txt`, `meta/{train,test}.txt`."""
    what = "the Food-101 archive as published"
    names = read_layout(root, "meta/classes.txt", what=what).split()
    labels = {name: label for label, name in enumerate(names)}
    files = {}
    for split in ("train", "test"):
        listing = f"meta/{split}.txt"
        lines = read_layout(root, listing, what=what).split()
        refuse_unknown((line.split("/")[0] for line in lines), labels, listed_in=root / listing)
        files[split] = [File(f"images/{line}.jpg", labels[line.split("/")[0]]) for line in lines]
    return source_of(entry, root, files, seed=seed, class_names=prompt_names(names))


def _fgvc_aircraft(entry: Dataset, root: Path, seed: int) -> FileSource:
    """Reads `data/images/<id>.jpg`, `data/variants.txt`, `data/images_variant_<split>.txt`."""
    what = "the FGVC Aircraft archive as published"
    files, names = coop.variants(root, folder="data/", splits=entry.splits, what=what)
    return source_of(entry, root, files, seed=seed, class_names=names)


def _fmow(entry: Dataset, root: Path, seed: int) -> FileSource:
    """Reads `rgb_metadata.csv`, `images/rgb_img_<row>.png`; WILDS's "official" splits."""
    names = [name.replace(" ", "_") for name in entry.class_names]
    labels = {name: label for label, name in enumerate(names)}
    files: dict[str, list[File]] = {split: [] for split in entry.splits.values()}
    table = _table(root / "rgb_metadata.csv", split=".+", category=".+", timestamp=r"\d{4}.*")
    for row, record in enumerate(table):
        split = _fmow_split(record["split"], int(record["timestamp"][:4]))
        if split is not None:
            refuse_unknown([record["category"]], labels, listed_in=root / "rgb_metadata.csv")
            file = File(f"images/rgb_img_{row}.png", labels[record["category"]])
            files[entry.splits[split]].append(file)
    return source_of(entry, root, files, seed=seed, class_names=entry.class_names)


def _fmow_split(split: str, year: int) -> str | None:
    """Returns the WILDS split: train before 2013, validation and test on later years."""
    if split == "test" and year >= _FMOW_TEST_YEAR:
        return "test"
    if split == "val" and _FMOW_VALIDATION_YEAR <= year < _FMOW_TEST_YEAR:
        return "val"
    if year < _FMOW_VALIDATION_YEAR:
        return {"train": "train", "val": "id_val", "test": "id_test"}.get(split)
    return None


def _iwildcam(entry: Dataset, root: Path, seed: int) -> FileSource:
    """Reads `metadata.csv` (split, filename, y), `train/<filename>` for all splits."""
    files: dict[str, list[File]] = {split: [] for split in entry.splits.values()}
    for record in _table(root / "metadata.csv", split=".+", filename=".+", y=r"-?\d+"):
        split, label = record["split"], int(record["y"])
        if split not in entry.splits or not 0 <= label < len(entry.class_names):
            raise ValueError(
                f"{root / 'metadata.csv'}: unexpected split {split!r} or class {label}"
            )
        files[entry.splits[split]].append(File(f"train/{record['filename']}", label))
    return source_of(entry, root, files, seed=seed, class_names=entry.class_names)


def _animals10(entry: Dataset, root: Path, seed: int) -> FileSource:
    """Reads `raw-img/<Italian name>/*`, split by seed."""
    folder = root / "raw-img" if (root / "raw-img").is_dir() else root
    return _class_folders(entry, folder, seed)


def _class_folders(entry: Dataset, root: Path, seed: int) -> FileSource:
    """Reads `<name>/*` or `{train,test[,validation]}/<name>/*` with the entry's class names."""
    source = class_folder(
        root, seed=seed, name=entry.name, templates=entry.templates, renames=entry.renames
    )
    missing = sorted(set(entry.class_names) - set(source.class_names))
    strange = sorted(set(source.class_names) - set(entry.class_names))
    if missing or strange:
        raise ValueError(
            f"{root} is not {entry.name}: expected a folder for each of "
            f"{', '.join(entry.class_names)}; missing: {few(missing) or 'none'}; "
            f"not known: {few(strange) or 'none'}"
        )
    return source


def _coco(entry: Dataset, root: Path, seed: int) -> FileSource:
    """Reads Karpathy's `dataset_coco.json` if present; else
    `annotations/captions_<split><year>.json`, and a folder of images per split."""
    karpathy = [root / path for path in _KARPATHY if (root / path).is_file()]
    path = karpathy[0] if karpathy else root / "annotations"
    return captions(path, images=root, seed=seed, name=entry.name)


_LAYOUTS: dict[str, Callable[[Dataset, Path, int], FileSource]] = {
    "food101": _food101,
    "coco": _coco,
    "fgvc_aircraft": _fgvc_aircraft,
    "fmow": _fmow,
    "iwildcam": _iwildcam,
    "animals10": _animals10,
    "class_folders": _class_folders,
}


def _table(path: Path, **columns: str) -> Iterator[dict[str, str]]:
    """Yields the rows of a table of WILDS; ValueError unless its columns match these patterns."""
    text = read_layout(path.parent, path.name, what="a data set as WILDS publishes it")
    for number, row in enumerate(csv.DictReader(io.StringIO(text)), 1):
        for column, form in columns.items():
            if not re.fullmatch(form, row.get(column) or "", re.ASCII):
                raise ValueError(
                    f"{path} is not WILDS's: row {number} has {column} {row.get(column)!r}"
                )
        yield row
