"""Read class folders: one folder of images per class, with or without split folders."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Set
from pathlib import Path

from duet import name_list
from tfrecords.class_name_keys import by_number, merged, say_little, told_apart
from tfrecords.images.formats import IMAGE_SUFFIXES
from tfrecords.non_utf8_names import escaped
from tfrecords.published_names_and_templates import TEMPLATES
from tfrecords.sources.base import (
    File,
    FileSource,
    divided,
    few,
    order,
    prompt_names,
)
from tfrecords.sources.copies_across_splits import versions
from tfrecords.sources.folder_layout import Tree, layout
from tfrecords.sources.linked_files import linked
from tfrecords.sources.shards import arrow_files
from tfrecords.sources.walk import passed_over, walk

# Folders of images, and of what is drawn or written about each of them, as sets for detection and
# segmentation have them side by side.
_IMAGES = frozenset(["image", "images", "img", "imgs", "jpegimages"])
_ABOUT_IMAGES = frozenset(
    (
        *("annotation", "annotations", "gt", "label", "labels", "mask", "masks"),
        *("segmentationclass", "segmentationobject"),
    )
)

_MASK = re.compile(
    r"(.+?)[ _-]+(?:mask|segmentation|annotation|groundtruth|gt)(?:[ _-]*\d+)?", re.IGNORECASE
)

_TABLES = frozenset((".csv", ".tsv", ".json", ".jsonl"))


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
    """Read `SPLIT/<class>/*`, `<class>/SPLIT/*`, or `<class>/*`, which is split by seed.

    Accepts the usual split names (`training_set`, `seg_test`, `valid`, `dev`). Labels follow the
    sorted folder names, sorted numerically if they differ only in a number. Hidden files, files of
    other programs and non-images are skipped; the source's `notes` count them by kind.

    Args:
        root: the folder.
        seed: of shuffling, and of splitting images without given splits.
        name, templates: see `Source`.
        renames: folder name -> class name for prompts.
        flatten: include images in subfolders of a class folder.
        test_share: of images without given splits, in place of 20 %.
        left_out: whether a folder of this name is not a class.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no class folders, only one, an empty one, classes that train lacks or that
            have the same name, or another nesting of folders.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder; expected one folder per class in it")
    walked = walk(root)
    if not walked.files and walked.passed:
        raise ValueError(
            f"{root}: expected a folder of images for each class; there is no image in it, "
            f"{'; '.join(passed_over(walked.passed))}{_shards(walked.passed)}"
        )
    tree = Tree(walked)
    tree_layout = layout(root, tree, flatten=flatten)
    splits = {
        split: {name: folder for name, folder in _composed(classes).items() if not left_out(name)}
        for split, classes in tree_layout.splits.items()
    }
    _refuse_parts({name for classes in splits.values() for name in classes}, root)
    labels = _labels({split: list(classes) for split, classes in splits.items()}, root)
    class_names = prompt_names(map(escaped, labels), renames=renames)
    _refuse_merged(root, labels, class_names)
    files = {
        split: _images(root, tree, classes, labels=labels, lacking=split != next(iter(splits)))
        for split, classes in splits.items()
    }
    by_split = divided(files, seed=seed, test_share=test_share, where=root)
    return FileSource(
        name=name or escaped(root.resolve().name),
        kind="folder",
        root=root,
        seed=seed,
        files=by_split,
        class_names=class_names,
        templates=templates,
        notes=(
            *tree_layout.notes,
            *order(list(labels), what="class folders"),
            *say_little(list(labels)),
            *_masks(walked.files),
            *linked(root, by_split),
            *versions(by_split),
            *passed_over(walked.passed),
        ),
    )


def _shards(passed: Mapping[str, int]) -> str:
    """Returns how files are read that may hold the images, if some are such."""
    options = {**dict.fromkeys(arrow_files.ENDINGS, "--parquet"), ".tar": "--webdataset"}
    for ending, option in options.items():
        if any(f"({ending})" in kind for kind in passed):
            return f"; {option} reads images inside of {ending} files"
    return ""


def _composed(classes: Mapping[str, str]) -> dict[str, str]:
    """Returns class name -> folder, accents composed: macOS stores them decomposed."""
    composed = {unicodedata.normalize("NFC", name): folder for name, folder in classes.items()}
    return composed if len(composed) == len(classes) else dict(classes)


def _refuse_parts(folders: Set[str], root: Path) -> None:
    """Raises ValueError where folders are the images and their masks or boxes, not classes."""
    small = {name.lower().replace("_", "") for name in folders}
    if small <= _IMAGES | _ABOUT_IMAGES and small & _IMAGES and small & _ABOUT_IMAGES:
        raise ValueError(
            f"{root}: folders {few(sorted(folders))} are no classes but images and what is marked "
            "in them, for detection or segmentation; expected a folder of images for each class, "
            "or a table of the images' labels (--labels)"
        )


def _labels(classes: Mapping[str, list[str]], root: Path) -> dict[str, int]:
    """Returns class folder -> label; ValueError for classes that the first split, train, lacks.

    Others may lack some of its classes.

    Args:
        classes: split -> its class folders.
    """
    first, expected = next(iter(classes.items()))
    for split, names in classes.items():
        missing, strange = (sorted(set(expected) - set(names)), sorted(set(names) - set(expected)))
        if strange:
            shown = told_apart([*missing, *strange])
            parts = [f"{split} lacks {few(shown[: len(missing)])}"] if missing else []
            parts += [f"{first} lacks {few(shown[len(missing) :])}"]
            raise ValueError(f"{root}: class folders differ between splits: {'; '.join(parts)}")
    if len(expected) < 2:
        got = f"only {expected[0]}" if expected else "none"
        inside, hint = sorted(root.iterdir()), ""
        if tables := [path.name for path in inside if path.suffix.lower() in _TABLES]:
            hint = f"; are the labels in {few(tables)} (--labels)?"
        elif loose := sum(path.suffix.lower() in IMAGE_SUFFIXES for path in inside):
            said = name_list.counted(loose, "image")
            hint = f"; {said} in no such folder: labels in a table are read by --labels"
        raise ValueError(
            f"{root}: expected a folder for each of two or more classes, got {got}{hint}"
        )
    return {name: label for label, name in enumerate(by_number(expected))}


def _refuse_merged(root: Path, folders: Mapping[str, int], names: tuple[str, ...]) -> None:
    """Raises ValueError if different folders have equivalent class names."""
    for group in merged(names):
        same = told_apart([f for f, label in folders.items() if names[label] in group])
        raise ValueError(
            f"{root}: several class folders mean the same name: {group[0]} ({', '.join(same)})"
        )


def _images(
    root: Path,
    tree: Tree,
    classes: Mapping[str, str],
    *,
    labels: Mapping[str, int],
    lacking: bool,
) -> list[File]:
    """Returns the images of a split; ValueError for an empty folder, unless it may be `lacking`."""
    files = []
    for name, folder in classes.items():
        images = tree.of(folder)
        if not images and not lacking:
            raise ValueError(
                f"{root / folder} has no image in it; expected those of class {escaped(name)!r}"
            )
        files += [File(image, labels[name]) for image in images]
    return files


def _masks(names: Iterable[str]) -> list[str]:
    """Returns a note on images called like masks of others: `1_mask.png` beside `1.png`."""
    stems = {name: os.path.splitext(name)[0] for name in names}
    known = set(stems.values())
    found = [
        name for name, stem in stems.items() if (mask := _MASK.fullmatch(stem)) and mask[1] in known
    ]
    if not found:
        return []
    return [f"images called like masks of others: {len(found):,} ({few(found)}); are they images?"]
