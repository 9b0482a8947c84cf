"""Class folders: one folder of images per class, split already or not yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tfrecords.class_name_keys import by_number, merged
from tfrecords.class_prompts import TEMPLATES
from tfrecords.escaped_names import escaped
from tfrecords.sources.base import (
    File,
    FileSource,
    divided,
    few,
    prompt_names,
)
from tfrecords.sources.folder_layout import Tree, layout
from tfrecords.sources.walk import said, walk


def class_folder(
    root: str | Path,
    *,
    seed: int,
    name: str = "",
    templates: tuple[str, ...] = TEMPLATES["any"],
    renames: Mapping[str, str] | None = None,
    flatten: bool = False,
    test_share: float | None = None,
    left_out: Callable[[str], bool] = lambda folder: False,
) -> FileSource:
    """Read `SPLIT/<class>/*`, `<class>/SPLIT/*`, or `<class>/*` that is then split by seed.

    Splits may be called what people call them (`training_set`, `seg_test`, `valid`, `dev`). Labels
    follow the sorted folder names; names that differ in a number alone are sorted by it. Hidden
    files, those of other programs and those that are no images are passed over; `notes` of the
    source counts them by kind.

    Args:
        root: the folder.
        seed: mixes, and splits what comes unsplit.
        name, templates: see `Source`.
        renames: class names as folders spell them -> as prompts have them.
        flatten: take images deeper in a class folder as that class's.
        test_share: of images that come unsplit, in place of 20 %.
        left_out: for names of class folders that are no classes.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no class folders, only one, an empty one, classes that differ between
            splits or have the same name, or folders that are nested in another way.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder; expected one folder per class in it")
    walked = walk(root)
    tree = Tree(walked)
    found = layout(root, tree, flatten=flatten)
    splits = {
        split: {name: folder for name, folder in classes.items() if not left_out(name)}
        for split, classes in found.splits.items()
    }
    labels = _labels({split: list(classes) for split, classes in splits.items()}, root)
    class_names = prompt_names(map(escaped, labels), renames=renames)
    _refuse_merged(root, labels, class_names)
    files = {
        split: _images(root, tree, classes, labels=labels) for split, classes in splits.items()
    }
    return FileSource(
        name=name or escaped(root.resolve().name),
        kind="folder",
        root=root,
        seed=seed,
        files=divided(files, seed=seed, test_share=test_share, where=root),
        class_names=class_names,
        templates=templates,
        notes=(*found.notes, *_order(labels), *said(walked.passed)),
    )


def _labels(classes: Mapping[str, list[str]], root: Path) -> dict[str, int]:
    """Class folder -> label, once it is sure that every split has the same ones.

    Args:
        classes: split -> class folders of it.
    """
    first, expected = next(iter(classes.items()))
    for split, names in classes.items():
        missing, strange = set(expected) - set(names), set(names) - set(expected)
        if missing or strange:
            parts = [f"{split} lacks {few(sorted(missing))}"] if missing else []
            parts += [f"{first} lacks {few(sorted(strange))}"] if strange else []
            raise ValueError(f"{root}: class folders differ between splits: {'; '.join(parts)}")
    if len(expected) < 2:
        found = f"only {expected[0]}" if expected else "none"
        raise ValueError(f"{root}: expected a folder for each of two or more classes, got {found}")
    return {name: label for label, name in enumerate(by_number(expected))}


def _refuse_merged(root: Path, folders: Mapping[str, int], names: tuple[str, ...]) -> None:
    """ValueError for folders whose names are one class to everything that follows."""
    for group in merged(names):
        same = [folder for folder, label in folders.items() if names[label] in group]
        raise ValueError(
            f"{root}: several class folders mean the same name: {group[0]} ({', '.join(same)})"
        )


def _order(labels: Mapping[str, int]) -> list[str]:
    """A note where classes are not in the order of their names as text."""
    if list(labels) == sorted(labels):
        return []
    return [f"class folders are numbered, and in the order of their numbers: {few(list(labels))}"]


def _images(
    root: Path, tree: Tree, classes: Mapping[str, str], *, labels: Mapping[str, int]
) -> list[File]:
    files = []
    for name, folder in classes.items():
        found = tree.of(folder)
        if not found:
            raise ValueError(
                f"{root / folder} is empty; expected the images of class {escaped(name)!r}"
            )
        files += [File(image, labels[name]) for image in found]
    return files
