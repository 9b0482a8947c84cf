"""Sort images into a folder per class, as copies or links, never overwriting."""

import filecmp
import os
from collections.abc import Callable, Iterable
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
    count = 0
    for each in found:
        for name in each.labels or (UNSURE,):
            _put(Path(each.file), folder / folder_name(name), link=link)
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


def _put(image: Path, folder: Path, *, link: bool) -> None:
    if not image.is_file():
        image = Path(unescaped(str(image)))  # a name that is not UTF-8
    if not image.is_file():
        raise FileNotFoundError(f"--sort-into: {image} is no longer there")
    number, target = 1, folder / image.name
    while os.path.lexists(target):
        if _is_same(image, target, link=link):
            return
        number += 1
        target = folder / f"{image.stem} ({number}){image.suffix}"
    with atomic_files.atomic(target) as unfinished:
        if link:
            unfinished.symlink_to(image.resolve())
        else:
            unfinished.write_bytes(image.read_bytes())


def _is_same(image: Path, target: Path, *, link: bool) -> bool:
    """Whether an earlier attempt made `target` of the image."""
    if link or target.is_symlink():
        return link and target.is_symlink() and target.resolve() == image.resolve()
    return target.is_file() and filecmp.cmp(image, target, shallow=False)
