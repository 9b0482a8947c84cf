"""Tables beside the images: Hugging Face's `imagefolder`, and those of Roboflow."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from tfrecords.sources.base import few, refuse_same_split
from tfrecords.sources.folder_layout import split_word

CAPTIONS = ("metadata.csv", "metadata.jsonl")  # which may have labels, too

LABELS = (*CAPTIONS, "_classes.csv", "_annotations.coco.json")

FOLDERS = "splits are those of the images' folders"  # a note, where nothing else says splits

Value = TypeVar("Value")


def files(folder: Path, names: Sequence[str]) -> list[tuple[Path, str]]:
    """Returns the tables called so in a folder ("" for split) and in its folders of splits.

    Raises ValueError if one folder has two of them.
    """
    own = _in(folder, names)
    found = [(file, split) for path, split in _splits(folder) if (file := _in(path, names))]
    refuse_same_split({file.parent.name: split for file, split in found}, where=folder)
    return [(own, ""), *found] if own else found


def lacking(folder: Path, images: Iterable[str], names: Sequence[str]) -> list[str]:
    """Returns a note on the folders of splits in which are none of the images that tables name."""
    plain = (os.path.relpath(name, folder) if os.path.isabs(name) else name for name in images)
    named = {name.partition("/")[0] for name in plain}
    left = [path.name for path, _ in _splits(folder) if path.name not in named]
    if not left:
        return []
    return [f"passed over: split folders without {any_of(names)}: {few(left)}"]


def any_of(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


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


def _in(folder: Path, names: Sequence[str]) -> Path | None:
    there = [folder / name for name in names if (folder / name).is_file()]
    if len(there) > 1:
        both = " and ".join(path.name for path in there)
        raise ValueError(f"{folder} has {both}; expected one of them")
    return there[0] if there else None
