"""The eleven data sets of few-shot papers: CoOp's folders, splits, class names and prompts.

Zhou et al., "Learning to Prompt for Vision-Language Models", 2022 (github.com/KaiyangZhou/CoOp,
DATASETS.md): `DATA/caltech-101/101_ObjectCategories` with `split_zhou_Caltech101.json`, and so on.
Published tables of CoOp and later methods use these splits and names.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfrecords.class_name_keys import said_twice
from tfrecords.sources.base import (
    File,
    FileSource,
    few,
    mixed,
    prompt_names,
    read_layout,
    refuse_unknown,
    require_files,
    split_name,
)
from tfrecords.sources.catalog import Dataset
from tfrecords.sources.walk import walk
from tfrecords.text_files import parse_json

VALIDATION_SHOTS = 4  # most validation images per class in CoOp's few-shot setting


@dataclass(frozen=True)
class CoopSet:
    """CoOp's layout of a data set.

    Attributes:
        folder: under `DATA`.
        images: image folder under `folder`, to which names in the split file are relative.
        split: the split file; "" for the two data sets with another format.
        template: the prompt template of CoOp's zero-shot results.
    """

    folder: str
    images: str
    split: str
    template: str


COOP_SETS = {
    "imagenet": CoopSet("imagenet", "images", "", "a photo of a {}."),
    "caltech101": CoopSet(
        "caltech-101", "101_ObjectCategories", "split_zhou_Caltech101.json", "a photo of a {}."
    ),
    "oxford_iiit_pet": CoopSet(
        "oxford_pets", "images", "split_zhou_OxfordPets.json", "a photo of a {}, a type of pet."
    ),
    "stanford_cars": CoopSet(
        "stanford_cars", "", "split_zhou_StanfordCars.json", "a photo of a {}."
    ),
    "oxford_flowers102": CoopSet(
        "oxford_flowers",
        "jpg",
        "split_zhou_OxfordFlowers.json",
        "a photo of a {}, a type of flower.",
    ),
    "food101": CoopSet(
        "food-101", "images", "split_zhou_Food101.json", "a photo of {}, a type of food."
    ),
    "fgvc_aircraft": CoopSet("fgvc_aircraft", "images", "", "a photo of a {}, a type of aircraft."),
    "sun397": CoopSet("sun397", "SUN397", "split_zhou_SUN397.json", "a photo of a {}."),
    "dtd": CoopSet("dtd", "images", "split_zhou_DescribableTextures.json", "{} texture."),
    "eurosat": CoopSet(
        "eurosat", "2750", "split_zhou_EuroSAT.json", "a centered satellite photo of {}."
    ),
    "ucf101": CoopSet(
        "ucf101",
        "UCF-101-midframes",
        "split_zhou_UCF101.json",
        "a photo of a person doing {}.",
    ),
}

_WHAT = "a data set laid out as CoOp's DATASETS.md says"


def coop_root(entry: Dataset, data: Path) -> Path | None:
    """Returns the data set's folder under `DATA`, or `DATA` if it is that folder, or None."""
    known = COOP_SETS.get(entry.name)
    if known is None:
        return None
    marks = {"imagenet": ("classnames.txt",), "fgvc_aircraft": ("variants.txt", "images")}
    needed = marks.get(entry.name, (known.split,))
    for root in (data, data / known.folder):
        if all((root / mark).exists() for mark in needed):
            return root
    return None


def coop(entry: Dataset, root: Path, *, seed: int, shots: int | None = None) -> FileSource:
    """Read a data set of `COOP_SETS` from its folder.

    Args:
        entry: of the catalogue.
        root: the folder, from `coop_root`.
        seed: of shuffling, and with `shots` of CoOp's sampling.
        shots: images per class of train, and at most `VALIDATION_SHOTS` of validation, the same
            as CoOp's code samples with this seed; None for all.

    Raises:
        FileNotFoundError: files are missing.
        ValueError: the split file is not CoOp's.
    """
    known = COOP_SETS[entry.name]
    read = {"imagenet": _imagenet, "fgvc_aircraft": _aircraft}.get(entry.name, _split_file)
    files, names = read(root, known)
    if shots is not None:
        files = _few_shot(files, shots, seed)
    for split, listed in files.items():
        require_files(root, (file.name for file in listed), listed_in=f"split {split}")
    return FileSource(
        name=entry.name,
        kind="coop",
        root=root,
        seed=seed,
        files={split: mixed(listed, seed=seed) for split, listed in files.items()},
        class_names=prompt_names(names),
        templates=(known.template,),
        lossless=entry.lossless,
        extra={} if shots is None else {"shots": shots},
        notes=(
            "read as CoOp's splits, names and prompt; judged by top-1 accuracy",
            *said_twice(names),
        ),
    )


Read = tuple[dict[str, list[File]], tuple[str, ...]]


def _split_file(root: Path, known: CoopSet) -> Read:
    """Reads `{"train": [[image, label, class name], ...], "val": ..., "test": ...}`."""
    path = root / known.split
    document = parse_json(read_layout(root, known.split, what=_WHAT), name=str(path))
    names: dict[int, str] = {}
    prefix = f"{known.images}/" if known.images else ""
    try:
        files = {
            split_name(split): [_file(prefix, *row, names=names) for row in document[split]]
            for split in ("train", "val", "test")
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is not a split file of CoOp (train, val and test, each of image, label and "
            f"class name): {error}"
        ) from None
    if sorted(names) != list(range(len(names))) or len(names) < 2:
        raise ValueError(f"{path}: expected labels from 0 on; got {few(sorted(map(str, names)))}")
    return files, tuple(names[label] for label in sorted(names))


def _file(prefix: str, image: Any, label: Any, name: Any, *, names: dict[int, str]) -> File:
    if names.setdefault(int(label), str(name)) != name:
        raise ValueError(f"label {label} is both {names[int(label)]!r} and {name!r}")
    return File(prefix + str(image), int(label))


def _aircraft(root: Path, known: CoopSet) -> Read:
    """Reads the archive's renamed `data/`."""
    splits = {split: split_name(split) for split in ("train", "val", "test")}
    return variants(root, folder="", splits=splits, what=_WHAT)


def variants(root: Path, *, folder: str, splits: Mapping[str, str], what: str) -> Read:
    """Reads a folder of FGVC Aircraft: `variants.txt`, `images_variant_<split>.txt`, `images/`.

    splits: published name -> Duet's; what: the layout, for errors.
    """
    lines = read_layout(root, f"{folder}variants.txt", what=what).splitlines()
    labels = {name: label for label, name in enumerate(filter(None, map(str.strip, lines)))}
    files: dict[str, list[File]] = {}
    for published, split in splits.items():
        listing = f"{folder}images_variant_{published}.txt"
        lines = read_layout(root, listing, what=what).splitlines()
        pairs = [line.strip().split(" ", 1) for line in lines if line.strip()]
        refuse_unknown((pair[-1] for pair in pairs), labels, listed_in=root / listing)
        files[split] = [File(f"{folder}images/{id_}.jpg", labels[name]) for id_, name in pairs]
    return files, tuple(labels)


def _imagenet(root: Path, known: CoopSet) -> Read:
    """Reads `images/{train,val}/n01440764/*` and `classnames.txt`; val is the test split."""
    spoken = dict(
        line.strip().split(" ", 1)
        for line in read_layout(root, "classnames.txt", what=_WHAT).splitlines()
        if " " in line.strip()
    )
    files: dict[str, list[File]] = {}
    folders: list[str] = []
    for published, split in (("train", "train"), ("val", "test")):
        top = root / "images" / published
        if not top.is_dir():
            raise FileNotFoundError(f"{root} is not {_WHAT}: images/{published} is missing")
        found = sorted(walk(top).files)
        here = sorted({name.split("/", 1)[0] for name in found if "/" in name})
        folders = folders or here
        missing = [name for name in here if name not in spoken]
        if missing or here != folders:
            raise ValueError(
                f"{top}: expected the folders that classnames.txt names, the same in train and "
                f"val; got {few(missing or here)}"
            )
        number = {name: label for label, name in enumerate(folders)}
        files[split] = [
            File(f"images/{published}/{name}", number[name.split("/", 1)[0]])
            for name in found
            if "/" in name
        ]
    return files, tuple(spoken[folder] for folder in folders)


def _few_shot(files: dict[str, list[File]], shots: int, seed: int) -> dict[str, list[File]]:
    """Samples as CoOp does: Python's `random`, classes in order of first appearance."""
    if shots < 1:
        raise ValueError(f"shots: expected 1 or more; got {shots}")
    draws = random.Random(seed)
    chosen = {"train": _drawn(files["train"], shots, draws)}
    if "validation" in files:
        chosen["validation"] = _drawn(files["validation"], min(shots, VALIDATION_SHOTS), draws)
    return {**files, **chosen}


def _drawn(files: Iterable[File], shots: int, draws: random.Random) -> list[File]:
    by_label: dict[Any, list[File]] = {}
    for file in files:
        by_label.setdefault(file.label, []).append(file)
    return [
        file
        for group in by_label.values()
        for file in (draws.sample(group, shots) if len(group) >= shots else group)
    ]
