"""What a tree of folders says about classes and splits, or why it cannot be told."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from tfrecords.sources.base import SPLIT_NAMES, SPLITS, few
from tfrecords.sources.walk import Walked

# Words that say nothing in the name of a split's folder: training_set, train_images, seg_train.
_FILLERS = frozenset(
    ("data", "dataset", "folder", "image", "images", "img", "imgs", "photos", "seg", "set")
)

_NO_CLASSES = frozenset(("pred", "predict", "prediction", "unlabeled", "unlabelled", "unknown"))

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


@dataclass(frozen=True)
class Layout:
    """Where the images of each class are.

    Attributes:
        splits: split ("" for images that come unsplit) -> class -> folders of its images.
        notes: what is to be said of what was left out or chosen.
    """

    splits: dict[str, dict[str, str]]
    notes: list[str] = field(default_factory=list)


class Tree:
    """The folders and images of a walk, by the folder they are in."""

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
        """How many images are in a folder and in those below it."""
        return self._below.get(folder, 0)

    def holding(self, folder: str) -> list[str]:
        """The folders in a folder that hold images, at whatever depth."""
        return [name for name in self.folders.get(folder, []) if self.below(name)]

    def of(self, folder: str) -> list[str]:
        """All images of a folder and of those below it."""
        found = list(self.images.get(folder, []))
        for inner in self.folders.get(folder, []):
            found += self.of(inner)
        return found


def layout(root: Path, tree: Tree, *, flatten: bool) -> Layout:
    """`{train,test[,validation]}/<class>/*`, `<class>/{train,test}/*`, or `<class>/*`.

    Args:
        root: for messages.
        tree: what is below it.
        flatten: also take images deeper in a class folder.

    Raises:
        ValueError: another nesting; the message says what was seen.
    """
    tops = tree.folders.get("", [])
    splits = {f: split for f in tops if (split := _split_of(f)) and tree.holding(f)}
    if splits:
        found = _splits_outside(root, tree, splits)
    else:
        found = _splits_inside(tree, tops) or Layout({"": {_base(f): f for f in tops}})
    strays = tree.images.get("", [])
    if strays:
        found.notes.append(f"passed over: {_stray(strays)} beside the folders")
    if not flatten:
        _refuse_deeper(root, tree, found, lone=len(tops) == 1)
    return found


def split_word(name: str) -> str | None:
    """The split that a folder's name says, like `seg_train` or `TestSet`; None for other names."""
    words = [word.lower() for word in _WORDS.findall(name)]
    said = [SPLIT_NAMES.get(_bare(word)) for word in words if word not in _FILLERS]
    return said[0] if len(said) == 1 else None


def _bare(word: str) -> str:
    """`trainset` -> `train`."""
    ends = (word.removesuffix(filler) for filler in _FILLERS if word.endswith(filler))
    return next((end for end in ends if end in SPLIT_NAMES), word)


def _split_of(folder: str) -> str | None:
    return split_word(_base(folder))


def _splits_outside(root: Path, tree: Tree, splits: dict[str, str]) -> Layout:
    tops, notes = tree.folders[""], []
    for folder in [f for f in tops if f not in splits]:
        flat = not tree.holding(folder)
        words = {word.lower() for word in _WORDS.findall(folder)}
        if not tree.below(folder):
            notes.append(f"passed over: folder {folder}, which holds no images")
        elif flat and (_split_of(folder) or words & _NO_CLASSES):
            notes.append(
                f"passed over: {tree.below(folder):,} images in {folder}, "
                f"which has no class folders"
            )
        else:
            _strangers(root, tops)
    if len(set(splits.values())) < len(splits):
        _strangers(root, tops)
    found: dict[str, dict[str, str]] = {}
    for split in (name for name in SPLITS if name in splits.values()):
        folder = next(f for f, name in splits.items() if name == split)
        base = _undoubled(tree, folder)
        if tree.images.get(base):
            strays = _stray(tree.images[base])
            notes.append(f"passed over: {strays} beside the class folders of {base}")
        found[split] = {_base(f): f for f in tree.folders.get(base, [])}
    return Layout(found, notes)


def _undoubled(tree: Tree, folder: str) -> str:
    """`seg_train/seg_train`, as archives unpack, for `seg_train`."""
    while not tree.images.get(folder) and len(tree.folders.get(folder, [])) == 1:
        (inner,) = tree.folders[folder]
        if _split_of(inner) != _split_of(folder) or not tree.holding(inner):
            break
        folder = inner
    return folder


def _splits_inside(tree: Tree, tops: list[str]) -> Layout | None:
    """`<class>/{train,test}`, if all classes are like that."""
    found: dict[str, dict[str, str]] = {}
    for folder in tops:
        inner = tree.folders.get(folder, [])
        said = [_split_of(name) for name in inner]
        if not inner or tree.images.get(folder) or not all(said) or len(set(said)) < len(said):
            return None
        for split, name in zip(said, inner, strict=True):
            found.setdefault(str(split), {})[_base(folder)] = name
    return Layout({name: found[name] for name in SPLITS if name in found}) if found else None


def _refuse_deeper(root: Path, tree: Tree, found: Layout, *, lone: bool) -> None:
    """ValueError for a class folder that has folders with images in it."""
    for classes in found.splits.values():
        for folder in classes.values():
            inner = tree.holding(folder)
            if inner:
                if lone and "" in found.splits:
                    hint = f"did you mean {root / folder}?"
                else:
                    hint = "--flatten takes all images below a class folder as that class's"
                seen = few([f"{name} ({tree.below(name):,} images)" for name in inner])
                raise ValueError(
                    f"{root}: folder {folder} holds {len(tree.images.get(folder, [])):,} images "
                    f"and folders of its own: {seen}; expected SPLIT/CLASS/IMAGE, "
                    f"CLASS/SPLIT/IMAGE or CLASS/IMAGE; {hint}"
                )


def _strangers(root: Path, tops: list[str]) -> None:
    raise ValueError(
        f"{root} holds {', '.join(tops)}; expected at most one folder for each of "
        f"{', '.join(SPLITS)} and nothing else, or class folders alone"
    )


def _stray(names: list[str]) -> str:
    count = "1 image" if len(names) == 1 else f"{len(names):,} images"
    return f"{count} ({few([_base(name) for name in sorted(names)])})"


def _base(name: str) -> str:
    return name.rpartition("/")[2]


def _parent(name: str) -> str:
    return name.rpartition("/")[0]


def _parents(folder: str) -> list[str]:
    """All folders above one, "" included for a folder that is not "" itself."""
    found = []
    while folder:
        folder = _parent(folder)
        found.append(folder)
    return found
