"""Sort images into a folder per class, as copies or links, never overwriting."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from duet import atomic_files
from pipelines.prediction.answers import Answer
from tfrecords import unescaped

LONGEST = 255  # bytes of a folder's name

UNSURE = "unsure"  # the folder of images without a class


def sort(
    found: Iterable[Answer],
    folder: Path,
    *,
    link: bool,
    advance: Callable[[int], object] = lambda count: None,
) -> int:
    """Put each image into `folder/<class>/`, without a class into `folder/unsure/`; how many.

    A name that is taken by another image gets a number: `a (2).jpg`. What is there already, of
    an earlier try, is left as it is, so that sorting can be gone on with.

    Raises:
        CannotWriteError: no room, or no permission.
        FileNotFoundError: an image that has gone since it was read.
    """
    count, taken = 0, defaultdict[Path, _Taken](_Taken)
    for each in found:
        for name in each.labels or (UNSURE,):
            _put(Path(each.file), folder / folder_name(name), link=link, taken=taken)
        count += 1
        advance(1)
    return count


def check_names(class_names: Iterable[str]) -> None:
    """Raises ValueError if images of two classes would be in one folder, or one has no room for
    the name."""
    owner = {UNSURE: "images without a class"}
    for name in class_names:
        if (size := len(os.fsencode(folder_name(name)))) > LONGEST:
            raise ValueError(
                f"--sort-into: expected class names of at most {LONGEST} bytes, as folders are "
                f"called by them; {name[:40]!r}... has {size}"
            )
        other = owner.setdefault(folder_name(name), f"class {name!r}")
        if other != f"class {name!r}":
            raise ValueError(
                f"--sort-into: class {name!r} and {other} would be in one folder, "
                f"{folder_name(name)}"
            )


def folder_name(class_name: str) -> str:
    """A class name as that of a folder: without slashes, and not hidden."""
    plain = "".join("_" if c in '/\\:*?"<>|' or ord(c) < 32 else c for c in class_name).strip()
    return plain.lstrip(".") or "_"


@dataclass
class _Taken:
    """What has a name in a folder, with a number behind it or none.

    Attributes:
        marks: of the images there, see `_mark`.
        number: the first that was free.
    """

    marks: set[Path | bytes | None] = field(default_factory=set)
    number: int = 1


def _put(image: Path, folder: Path, *, link: bool, taken: dict[Path, _Taken]) -> None:
    """Make the copy or link, unless it is there. Each file is read once, however many share a name:
    `taken` knows what this sorting has met so far."""
    if not image.is_file():
        image = Path(unescaped(str(image)))  # a name that is not UTF-8
    if not image.is_file():
        raise FileNotFoundError(f"--sort-into: {image} is no longer there")
    target = folder / image.name
    known = taken[target]
    while os.path.lexists(target := _numbered(folder, image, known.number)):
        known.marks.add(_mark(target, link=link) if target.is_symlink() == link else None)
        known.number += 1
    mark = _mark(image, link=link)
    if mark in known.marks:
        return
    with atomic_files.atomic(target) as unfinished:
        if link:
            unfinished.symlink_to(image.resolve())
        else:
            unfinished.write_bytes(image.read_bytes())
    known.marks.add(mark)
    known.number += 1


def _numbered(folder: Path, image: Path, number: int) -> Path:
    return folder / (image.name if number == 1 else f"{image.stem} ({number}){image.suffix}")


def _mark(path: Path, *, link: bool) -> Path | bytes | None:
    """What an image and the link or copy of it have in common; None for what is no file."""
    if link:
        return path.resolve()
    if not path.is_file():
        return None
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
