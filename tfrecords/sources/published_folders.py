"""Flowers, Pets, textures, EuroSAT and Caltech-101 as their archives unpack, and as torchvision
has them."""

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

# Folders that hold them, as unpacked, as torchvision's and as CoOp's; and what must be in there.
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
    """The folder with a set of `MARKS`; None if it is not there."""
    folders, marks = MARKS.get(entry.name, ((), ()))
    for folder in folders:
        if all((data / folder / mark).exists() for mark in marks):
            return data / folder
    return None


def folders(entry: Dataset, root: Path, *, seed: int) -> FileSource:
    """Read a set of `MARKS`.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is not as published.
    """
    read = {"oxford_flowers102": _flowers, "oxford_iiit_pet": _pets, "dtd": _textures}
    if entry.name in read:
        files, names = read[entry.name](root)
        for split, listed in files.items():
            require_files(root, (file.name for file in listed), listed_in=f"split {split}")
        return FileSource(
            name=entry.name,
            kind="published",
            root=root,
            seed=seed,
            files={split: mixed(listed, seed=seed) for split, listed in files.items()},
            class_names=prompt_names(names, renames=entry.renames),
            templates=entry.templates,
            metric=entry.metric,
            lossless=entry.lossless,
        )
    return _unsplit(entry, root, seed)


Read = tuple[dict[str, list[File]], list[str]]


def _flowers(root: Path) -> Read:
    """`jpg/image_00001.jpg`, `imagelabels.mat`, `setid.mat`; names of a JSON there or of TFDS."""
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
    """A row of whole numbers of a MATLAB file."""
    import scipy.io

    try:
        found: Any = scipy.io.loadmat(path)[key]
    except Exception as error:  # of a damaged file SciPy raises almost anything
        raise ValueError(f"{path} is not the published file with {key}: {error}") from None
    return [int(value) for value in found.ravel()]


def _pets(root: Path) -> Read:
    """`annotations/{trainval,test}.txt` of `Abyssinian_100 1 1 1`: image, class, species, breed."""
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
    """`images/banded/*`, `labels/{train,val,test}1.txt` of `banded/banded_0002.jpg`: split 1."""
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
    """Class folders, of which no split was published: split by seed."""
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
    said = ("left out: BACKGROUND_Google, which is no class",) if background else ()
    notes = ("published without splits: split here by seed", *said, *source.notes)
    return FileSource(**{**vars(source), "metric": entry.metric, "notes": notes})


def _in_any_case(renames: Mapping[str, str]) -> dict[str, str]:
    """TFDS writes names in small letters, the folders of Caltech-101 begin some with capitals."""
    return {**renames, **{name.capitalize(): spoken for name, spoken in renames.items()}}


def _in_order(names: Mapping[int, str], root: Path) -> list[str]:
    if sorted(names) != list(range(len(names))) or len(names) < 2:
        raise ValueError(f"{root}: expected classes from 1 on; got {few(sorted(map(str, names)))}")
    return [names[label] for label in sorted(names)]
