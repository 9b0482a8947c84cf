"""Read Flowers, Pets, DTD, EuroSAT and Caltech-101, as unpacked or as stored by torchvision."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfrecords.sources.base import (
    File,
    FileSource,
    few,
    mixed,
    prompt_names,
    read_layout,
    require_files,
    split_name,
)
from tfrecords.sources.catalog import Dataset
from tfrecords.sources.class_folders import class_folder
from tfrecords.text_files import parse_json

# Folder names (unpacked, torchvision's, CoOp's), and a file that each must contain.
MARKS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "oxford_flowers102": (
        ("", "flowers-102", "oxford_flowers"),
        ("imagelabels.mat", "setid.mat", "jpg"),
    ),
    "oxford_iiit_pet": (
        ("", "oxford-iiit-pet", "oxford_pets"),
        ("annotations/trainval.txt", "images"),
    ),
    "dtd": (("", "dtd", "dtd/dtd"), ("labels/train1.txt", "images")),
    "eurosat": (("", "eurosat"), ("2750",)),
    "caltech101": (("", "caltech101", "caltech-101"), ("101_ObjectCategories",)),
}


def folders_root(entry: Dataset, data: Path) -> Path | None:
    """Returns the folder of a data set of `MARKS`; None if missing."""
    folders, marks = MARKS.get(entry.name, ((), ()))
    for folder in folders:
        if all((data / folder / mark).exists() for mark in marks):
            return data / folder
    return None


def folders(entry: Dataset, root: Path, *, seed: int) -> FileSource:
    """Read a data set of `MARKS`.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file differs from the published format.
    """
    read = {"oxford_flowers102": _flowers, "oxford_iiit_pet": _pets, "dtd": _textures}
    if entry.name in read:
        files, names = read[entry.name](root)
        class_names = prompt_names(names, renames=entry.renames)
        return source_of(entry, root, files, seed=seed, class_names=class_names)
    return _unsplit(entry, root, seed)


def source_of(
    entry: Dataset,
    root: Path,
    files: dict[str, list[File]],
    *,
    seed: int,
    class_names: tuple[str, ...],
) -> FileSource:
    """The source of a catalogue entry from its published files; they have to be there."""
    for split, listed in files.items():
        if not listed:
            raise ValueError(f"{root}: split {split} of {entry.name} is empty")
        require_files(root, (file.name for file in listed), listed_in=f"split {split}")
    return FileSource(
        name=entry.name,
        kind=entry.layout or "published",
        root=root,
        seed=seed,
        files={split: mixed(listed, seed=seed) for split, listed in files.items()},
        class_names=class_names,
        templates=entry.templates,
        metric=entry.metric,
        lossless=entry.lossless,
    )


Read = tuple[dict[str, list[File]], list[str]]


def _flowers(root: Path) -> Read:
    """Reads `jpg/image_00001.jpg`, `imagelabels.mat`, `setid.mat`; names from JSON or TFDS."""
    labels = _matrix(root / "imagelabels.mat", "labels")
    names = _flower_names(root)
    files: dict[str, list[File]] = {}
    for key, split in (("trnid", "train"), ("valid", "validation"), ("tstid", "test")):
        ids = _matrix(root / "setid.mat", key)
        if min(ids) < 1 or max(ids) > len(labels):
            raise ValueError(f"{root / 'setid.mat'}: {key} has images that have no label")
        files[split] = [File(f"jpg/image_{i:05d}.jpg", labels[i - 1] - 1) for i in ids]
    if min(labels) < 1 or max(labels) > len(names):
        raise ValueError(f"{root / 'imagelabels.mat'}: expected labels 1 to {len(names)}")
    return files, names


def _flower_names(root: Path) -> list[str]:
    if (root / "cat_to_name.json").is_file():
        text = read_layout(root, "cat_to_name.json", what="Flowers102")
        named = parse_json(text, name=str(root / "cat_to_name.json"))
        return [str(named[key]) for key in sorted(named, key=int)]
    import tensorflow_datasets as tfds

    return list(tfds.builder("oxford_flowers102", try_gcs=False).info.features["label"].names)


def _matrix(path: Path, key: str) -> list[int]:
    """Reads a row of integers from a MATLAB file."""
    import scipy.io

    try:
        values: Any = scipy.io.loadmat(path)[key]
    except Exception as error:  # SciPy raises almost anything for a damaged file
        raise ValueError(f"{path} is not the published file with {key}: {error}") from None
    return [int(value) for value in values.ravel()]


def _pets(root: Path) -> Read:
    """Reads `annotations/{trainval,test}.txt`: image, class, species, breed per line."""
    names: dict[int, str] = {}
    files: dict[str, list[File]] = {}
    for listing, split in (("trainval", "train"), ("test", "test")):
        files[split] = []
        text = read_layout(root, f"annotations/{listing}.txt", what="Oxford-IIIT Pet")
        for line in text.splitlines():
            if not line.strip() or line.startswith("#"):
                continue
            image, number, *_ = [*line.split(), ""]
            if not number.isdecimal():
                raise ValueError(f"annotations/{listing}.txt: expected image, class; got {line!r}")
            names.setdefault(int(number) - 1, image.rpartition("_")[0])
            files[split].append(File(f"images/{image}.jpg", int(number) - 1))
    return files, _in_order(names, root)


def _textures(root: Path) -> Read:
    """Reads `images/banded/*` and split 1, `labels/{train,val,test}1.txt`."""
    listed = {
        split_name(split): read_layout(root, f"labels/{split}1.txt", what="DTD").split()
        for split in ("train", "val", "test")
    }
    names = sorted({image.split("/")[0] for images in listed.values() for image in images})
    number = {name: label for label, name in enumerate(names)}
    files = {
        split: [File(f"images/{image}", number[image.split("/")[0]]) for image in images]
        for split, images in listed.items()
    }
    return files, names


def _unsplit(entry: Dataset, root: Path, seed: int) -> FileSource:
    """Reads class folders without published splits; splits by seed."""
    folder = {"eurosat": "2750", "caltech101": "101_ObjectCategories"}[entry.name]
    source = class_folder(
        root / folder,
        seed=seed,
        name=entry.name,
        templates=entry.templates,
        renames=_in_any_case(entry.renames),
        left_out=lambda name: name == "BACKGROUND_Google",
    )
    background = (root / folder / "BACKGROUND_Google").is_dir()
    skipped = ("left out: BACKGROUND_Google, which is no class",) if background else ()
    notes = ("published without splits: split here by seed", *skipped, *source.notes)
    return FileSource(**{**vars(source), "metric": entry.metric, "notes": notes})


def _in_any_case(renames: Mapping[str, str]) -> dict[str, str]:
    """Adds capitalised spellings: TFDS uses lower case, some Caltech-101 folders do not."""
    return {**renames, **{name.capitalize(): spoken for name, spoken in renames.items()}}


def _in_order(names: Mapping[int, str], root: Path) -> list[str]:
    if sorted(names) != list(range(len(names))) or len(names) < 2:
        raise ValueError(f"{root}: expected classes from 1 on; got {few(sorted(map(str, names)))}")
    return [names[label] for label in sorted(names)]
