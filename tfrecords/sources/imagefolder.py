"""Tables beside the images: Hugging Face's `imagefolder`, and those of Roboflow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from tfrecords.sources.base import few, refuse_same_split
from tfrecords.sources.folder_layout import split_word

NAMES = ("metadata.csv", "metadata.jsonl", "_classes.csv", "_annotations.coco.json")

FOLDERS = "splits are those of the images' folders"  # a note, where nothing else says splits

Value = TypeVar("Value")


def files(folder: Path) -> list[tuple[Path, str]]:
    """Returns the metadata files of a folder or its split folders, with split ("" for none).

    Raises ValueError if one folder has two of them.
    """
    own = _in(folder)
    if own:
        return [(own, "")]
    found = [(file, split) for path, split in _splits(folder) if (file := _in(path))]
    refuse_same_split({file.parent.name: split for file, split in found}, where=folder)
    return found


def lacking(folder: Path) -> list[str]:
    """Returns a note on the split folders that have no metadata file where others have, or none."""
    if not folder.is_dir() or _in(folder):
        return []
    names = [path.name for path, _ in _splits(folder) if not _in(path)]
    any_of = f"{', '.join(NAMES[:-1])} or {NAMES[-1]}"
    return [f"passed over: split folders without {any_of}: {few(names)}"] * bool(names)


def by_folder(
    images: Mapping[str, Value], *, several: bool = False, where: str = "the images' folders"
) -> dict[str, dict[str, Value]] | None:
    """Groups images by the split named by their first folder; None if any has none.

    With `several`, also None if it is one and the same split. `where` is for errors.
    """
    tops = {name.split("/", 1)[0] if "/" in name else "" for name in images}
    split_of = {top: split for top in tops if (split := split_word(top))}
    if len(split_of) < len(tops) or (several and len(tops) < 2):
        return None
    refuse_same_split(split_of, where=where)
    by_split: dict[str, dict[str, Value]] = {}
    for name, value in images.items():
        by_split.setdefault(split_of[name.split("/", 1)[0]], {})[name] = value
    return by_split


def _splits(folder: Path) -> list[tuple[Path, str]]:
    """Returns the folders in a folder that are called like splits, each with its split."""
    inner = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return [(path, split) for path in inner if (split := split_word(path.name))]


def _in(folder: Path) -> Path | None:
    there = [folder / name for name in NAMES if (folder / name).is_file()]
    if len(there) > 1:
        both = " and ".join(path.name for path in there)
        raise ValueError(f"{folder} has {both}; expected one of them")
    return there[0] if there else None
