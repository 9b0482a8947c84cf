"""Class folders: one folder of images per class, split already or not yet."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tfrecords.class_prompts import TEMPLATES
from tfrecords.sources.base import (
    SPLIT_NAMES,
    SPLITS,
    File,
    FileSource,
    few,
    mixed,
    prompt_names,
    split_by_seed,
)


def class_folder(
    root: str | Path,
    *,
    seed: int,
    name: str = "",
    templates: tuple[str, ...] = TEMPLATES["any"],
    renames: Mapping[str, str] | None = None,
) -> FileSource:
    """Read `{train,test[,validation]}/<class>/*`, or `<class>/*` that is then split by seed.

    Labels follow the sorted folder names. Hidden files are passed over; anything else in a class
    folder, also deeper down, counts as an image, and is rejected when written if it is none.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no class folders, only one, an empty one, classes that differ between
            splits, or a mixture of both layouts.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder; expected one folder per class in it")
    folders = _folders(root)
    split_folders = {f: SPLIT_NAMES[f.lower()] for f in folders if _is_split(root / f)}
    if split_folders:
        strangers = [folder for folder in folders if folder not in split_folders]
        if strangers or len(set(split_folders.values())) < len(split_folders):
            raise ValueError(
                f"{root} holds {', '.join(folders)}; expected at most one folder for each of "
                f"{', '.join(SPLITS)} and nothing else, or class folders alone"
            )
        labels = _labels({folder: _folders(root / folder) for folder in split_folders}, root)
        by_split = {split: folder for folder, split in split_folders.items()}
        files = {
            split: mixed(_images(root, by_split[split], labels), seed=seed)
            for split in SPLITS
            if split in by_split
        }
    else:
        labels = _labels({".": folders}, root)
        files = split_by_seed(_images(root, "", labels), seed=seed)
    return FileSource(
        name=name or root.resolve().name,
        kind="folder",
        root=root,
        seed=seed,
        files=files,
        class_names=prompt_names(labels, renames=renames),
        templates=templates,
    )


def _folders(root: Path) -> list[str]:
    return sorted(entry.name for entry in root.iterdir() if entry.is_dir() and _shown(entry.name))


def _shown(name: str) -> bool:
    return not name.startswith((".", "__MACOSX"))


def _is_split(folder: Path) -> bool:
    """A folder called "train" that holds folders; one that holds images is a class of trains."""
    return folder.name.lower() in SPLIT_NAMES and bool(_folders(folder))


def _labels(classes: Mapping[str, list[str]], root: Path) -> dict[str, int]:
    """Class folder -> label, once it is sure that every split has the same ones.

    Args:
        classes: split folder -> class folders in it.
    """
    first, expected = next(iter(classes.items()))
    for folder, names in classes.items():
        missing, strange = set(expected) - set(names), set(names) - set(expected)
        if missing or strange:
            parts = [f"{folder} lacks {few(sorted(missing))}"] if missing else []
            parts += [f"{first} lacks {few(sorted(strange))}"] if strange else []
            raise ValueError(f"{root}: class folders differ between splits: {'; '.join(parts)}")
    if len(expected) < 2:
        found = f"only {expected[0]}" if expected else "none"
        raise ValueError(f"{root}: expected a folder for each of two or more classes, got {found}")
    spoken = prompt_names(expected)
    twice = sorted({name for name in spoken if spoken.count(name) > 1})
    if twice:
        raise ValueError(f"{root}: several class folders mean the same name: {few(twice)}")
    return {name: label for label, name in enumerate(expected)}


def _images(root: Path, split_folder: str, labels: Mapping[str, int]) -> list[File]:
    files = []
    for class_folder, label in labels.items():
        top = root / split_folder / class_folder
        found = [
            File((Path(folder) / name).relative_to(root).as_posix(), label)
            for folder, _, names in os.walk(top)
            for name in names
            if _shown(name)
        ]
        if not found:
            raise ValueError(f"{top} is empty; expected the images of class {class_folder!r}")
        files += found
    return files
