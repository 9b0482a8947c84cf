"""Infer classes and splits from a folder tree, or explain why that is impossible."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from duet import name_list
from tfrecords.sources.base import SPLIT_NAMES, SPLITS, few
from tfrecords.sources.walk import Walked

# Ignored words in the name of a split folder: training_set, train_images, seg_train.
_FILLERS = frozenset(
    ("data", "dataset", "folder", "image", "images", "img", "imgs", "photos", "seg", "set")
)

_NO_CLASSES = frozenset(("pred", "predict", "prediction", "unlabeled", "unlabelled", "unknown"))

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


@dataclass(frozen=True)
class Layout:
    """The folders of each split and class.

    Attributes:
        splits: split ("" for images without given splits) -> class -> folders of its images.
        notes: messages about skipped folders and choices made.
    """

    splits: dict[str, dict[str, str]]
    notes: list[str] = field(default_factory=list)


class Tree:
    """The folders and images of a walk, by parent folder."""

    def __init__(self, walked: Walked):
        self.folders: dict[str, list[str]] = {}
        self.images: dict[str, list[str]] = {}
        self._below: dict[str, int] = {}
        for folder in walked.folders:
            self.folders.setdefault(_parent(folder), []).append(folder)
        for name in walked.files:
            folder = _parent(name)
            self.images.setdefault(folder, []).append(name)
            for above in (folder, *_parents(folder)):
                self._below[above] = self._below.get(above, 0) + 1

    def below(self, folder: str) -> int:
        """Returns the number of images in a folder, recursively."""
        return self._below.get(folder, 0)

    def holding(self, folder: str) -> list[str]:
        """Returns the subfolders that contain images at any depth."""
        return [name for name in self.folders.get(folder, []) if self.below(name)]

    def of(self, folder: str) -> list[str]:
        """Returns all images of a folder, recursively."""
        images, waiting = [], [folder]
        while waiting:
            here = waiting.pop()
            images += self.images.get(here, [])
            waiting += reversed(self.folders.get(here, []))
        return images


def layout(root: Path, tree: Tree, *, flatten: bool) -> Layout:
    """Infers `{train,test[,validation]}/<class>/*`, `<class>/{train,test}/*`, or `<class>/*`.

    Args:
        root: the folder, for messages.
        tree: its content.
        flatten: include images in subfolders of a class folder.

    Raises:
        ValueError: another nesting; the message describes it.
    """
    tops = tree.folders.get("", [])
    splits = {f: split for f in tops if (split := _split_of(f)) and tree.holding(f)}
    with_images = [folder for folder in tops if tree.below(folder)]
    if not splits and all(map(tree.holding, with_images)):
        splits = _named_alike(with_images)
    if splits:
        result = _splits_outside(root, tree, splits)
    elif len(with_images) > 1 and all(map(_split_of, with_images)):
        raise ValueError(
            f"{root}: {few(with_images)} are named like splits, and hold images but no class "
            f"folders; expected SPLIT/CLASS/IMAGE, or a table of the images' labels (--labels)"
        )
    else:
        _refuse_split_classes(root, [f for f in with_images if tree.images.get(f)])
        result = _splits_inside(tree, tops) or Layout({"": {_base(f): f for f in tops}})
    strays = tree.images.get("", [])
    if strays:
        result.notes.append(f"passed over: {_stray(strays)} beside the folders")
    if flatten:
        _refuse_mixed_splits(root, tree, result)
    else:
        _refuse_deeper(root, tree, result, lone=len(with_images) == 1)
    return result


def split_word(name: str) -> str | None:
    """Returns the split in a folder name such as `seg_train` or `TestSet`, or None."""
    word, others = split_among(name)
    return SPLIT_NAMES[word] if word and not others else None


def split_among(name: str) -> tuple[str, tuple[str, ...]]:
    """Returns the one word for a split in a name such as `coco-val-0001`, or "", and the others."""
    words = [word.lower() for word in _WORDS.findall(name)]
    named = [word for word in words if _bare(word) in SPLIT_NAMES]
    others = tuple(word for word in words if word not in named and word not in _FILLERS)
    return (_bare(named[0]) if len(named) == 1 else ""), others


def _named_alike(folders: list[str]) -> dict[str, str]:
    """Returns folder -> split of `cars_train` and `cars_test`, whose names differ in it alone."""
    found = {folder: split_among(_base(folder)) for folder in folders}
    splits = {folder: SPLIT_NAMES[word] for folder, (word, _) in found.items() if word}
    alike = len({others for _, others in found.values()}) == 1
    return splits if alike and 1 < len(folders) == len(set(splits.values())) else {}


def _refuse_split_classes(root: Path, folders: list[str]) -> None:
    """Raises ValueError for `cats_train` and `cats_test`: one class in two splits, not two."""
    first: dict[tuple[str, ...], tuple[str, str]] = {}
    for folder in folders:
        word, others = split_among(_base(folder))
        if not word or not others:
            continue
        other, of = first.setdefault(others, (SPLIT_NAMES[word], folder))
        if other != SPLIT_NAMES[word]:
            raise ValueError(
                f"{root}: {of} and {folder} are one class in two splits; expected "
                f"SPLIT/CLASS/IMAGE or CLASS/SPLIT/IMAGE"
            )


def _bare(word: str) -> str:
    """Strips a suffix: `trainset` -> `train`."""
    ends = (word.removesuffix(filler) for filler in _FILLERS if word.endswith(filler))
    return next((end for end in ends if end in SPLIT_NAMES), word)


def _split_of(folder: str) -> str | None:
    return split_word(_base(folder))


def _splits_outside(root: Path, tree: Tree, splits: dict[str, str]) -> Layout:
    tops, notes = tree.folders[""], []
    for folder in [f for f in tops if f not in splits]:
        flat = not tree.holding(_undoubled(tree, folder))
        words = {word.lower() for word in _WORDS.findall(folder)}
        if not tree.below(folder):
            notes.append(f"passed over: folder {folder}, which holds no images")
        elif flat and (_split_of(folder) or words & _NO_CLASSES):
            notes.append(
                f"passed over: {name_list.counted(tree.below(folder), 'image')} in {folder}, "
                f"which has no class folders"
            )
        else:
            _strangers(root, tops)
    if len(set(splits.values())) < len(splits):
        _strangers(root, tops)
    by_split: dict[str, dict[str, str]] = {}
    for split in (name for name in SPLITS if name in splits.values()):
        folder = next(f for f, name in splits.items() if name == split)
        base = _undoubled(tree, folder)
        if tree.images.get(base):
            strays = _stray(tree.images[base])
            notes.append(f"passed over: {strays} beside the class folders of {base}")
        by_split[split] = {_base(f): f for f in tree.folders.get(base, [])}
    return Layout(by_split, notes)


def _undoubled(tree: Tree, folder: str) -> str:
    """Returns `seg_train/seg_train`, a doubling common in archives, for `seg_train`."""
    while not tree.images.get(folder) and len(tree.folders.get(folder, [])) == 1:
        (inner,) = tree.folders[folder]
        if _base(inner) != _base(folder) and (
            _split_of(inner) != _split_of(folder) or not tree.holding(inner)
        ):
            break
        folder = inner
    return folder


def _splits_inside(tree: Tree, tops: list[str]) -> Layout | None:
    """Infers `<class>/{train,test}`; None unless all classes have splits inside."""
    by_split: dict[str, dict[str, str]] = {}
    for folder in tops:
        inner = tree.folders.get(folder, [])
        splits = [_split_of(name) for name in inner]
        if (
            not inner
            or tree.images.get(folder)
            or not all(splits)
            or len(set(splits)) < len(splits)
        ):
            return None
        for split, name in zip(splits, inner, strict=True):
            by_split.setdefault(str(split), {})[_base(folder)] = name
    return (
        Layout({name: by_split[name] for name in SPLITS if name in by_split}) if by_split else None
    )


def _refuse_mixed_splits(root: Path, tree: Tree, found: Layout) -> None:
    """Raises ValueError if folders below a class folder are called like two splits or more."""
    for classes in found.splits.values():
        for folder in classes.values():
            words: dict[str, str] = {}
            waiting = [folder]
            while waiting:
                inner = tree.holding(waiting.pop())
                words |= {split: name for name in inner if (split := _split_of(name))}
                waiting += inner
            if len(words) > 1:
                names = " and ".join(sorted(words.values())[:2])
                raise ValueError(f"{root}: --flatten would mix the splits {names}")


def _refuse_deeper(root: Path, tree: Tree, found: Layout, *, lone: bool) -> None:
    """Raises ValueError if a class folder has subfolders with images."""
    for classes in found.splits.values():
        for folder in classes.values():
            inner = tree.holding(folder)
            if inner:
                if lone and "" in found.splits:
                    hint = f"did you mean {root / folder}?"
                elif _hold_alike(tree, classes.values()):
                    hint = "all hold folders of the same names, which may be the classes"
                else:
                    hint = "--flatten takes all images below a class folder as that class's"
                seen = few(
                    [f"{name} ({name_list.counted(tree.below(name), 'image')})" for name in inner]
                )
                raise ValueError(
                    f"{root}: folder {folder} holds {len(tree.images.get(folder, [])):,} images "
                    f"and folders of its own: {seen}; expected SPLIT/CLASS/IMAGE, "
                    f"CLASS/SPLIT/IMAGE or CLASS/IMAGE; {hint}"
                )


def _hold_alike(tree: Tree, folders: Collection[str]) -> bool:
    """Whether all hold several folders, of the same names: folds, or places and their classes."""
    inner = {frozenset(map(_base, tree.holding(folder))) for folder in folders}
    return len(folders) > 1 and len(inner) == 1 and len(next(iter(inner))) > 1


def _strangers(root: Path, tops: list[str]) -> None:
    raise ValueError(
        f"{root} holds {', '.join(tops)}; expected at most one folder for each of "
        f"{', '.join(SPLITS)} and nothing else, or class folders alone"
    )


def _stray(names: list[str]) -> str:
    return (
        f"{name_list.counted(len(names), 'image')} ({few([_base(name) for name in sorted(names)])})"
    )


def _base(name: str) -> str:
    return name.rpartition("/")[2]


def _parent(name: str) -> str:
    return name.rpartition("/")[0]


def _parents(folder: str) -> list[str]:
    """Returns all parent folders, including "" (unless the folder is "")."""
    parents = []
    while folder:
        folder = _parent(folder)
        parents.append(folder)
    return parents
