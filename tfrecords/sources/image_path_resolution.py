"""Find the images that a table names: many tables were written on another system."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from tfrecords.images.formats import IMAGE_SUFFIXES
from tfrecords.non_utf8_names import unescaped
from tfrecords.sources.base import few, is_file
from tfrecords.sources.walk import walk

# Endings that some tables omit.
_ENDINGS = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif", "heic", "jfif")


def on_disk(root: Path, name: str) -> str:
    """Returns the name of the file under `root` that is meant; unchanged if there is none.

    That is the name itself, or with `/` for the `\\` of Windows, with accents composed or, as macOS
    stores them, decomposed, with the byte that an escape like `\\xe9` stands for, with what an
    address writes as `%20`, with the other case of its extension, or with one that it lacks. Of
    `./a.jpg` and `a//b.jpg` the plain form
    is returned.

    Raises ValueError if the name lacks an extension and there are files with several.
    """
    folder = str(root)
    found = next((each for each in _spellings(name) if is_file(folder, each)), None)
    found = found or _with_ending(root, name)
    if found is None:
        return name
    plain = ".." not in found.split("/") and found != ""
    return os.path.normpath(found) if plain else found


def beside(path: Path) -> Path:
    """Returns the folder of a table (or itself), or the parent of COCO's folder `annotations`."""
    folder = path if path.is_dir() else path.parent
    return folder.parent if folder.name == "annotations" else folder


def elsewhere(root: Path, names: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Returns name -> path under `root` where all images lie elsewhere than a table says.

    That is where the first is found only without the folders (or the address) that it begins with,
    and all begin so and are found without; or where all are names without a folder, each of one
    image in the folders below. Otherwise {}. With a note of what was done.
    """
    if not names or _is_there(root, names[0]):
        return {}, []
    begin = _begin(root, _slashed(names[0]))
    plain = {name: _slashed(name).removeprefix(begin) for name in names}
    alike = begin and all(_slashed(name).startswith(begin) for name in names)
    apart = len({*plain.values()}) == len(plain)
    if alike and apart and all(_is_there(root, path) for path in plain.values()):
        return plain, [f"images' names are read without {begin}, which is not here"]
    below = _below(root, names)
    folders = sorted({os.path.dirname(path) for path in below.values()})
    return below, [f"images are found by their names in folders: {few(folders)}"] * bool(below)


def _begin(root: Path, name: str) -> str:
    """Returns what a name begins with that has to go for its image to be found; "" if nothing."""
    parts = name.split("/")
    ends = ("/".join(parts[at:]) for at in range(1, len(parts)))
    end = next((end for end in ends if end and _is_there(root, end)), "")
    return name.removesuffix(end) if end else ""


def _below(root: Path, names: Sequence[str]) -> dict[str, str]:
    """Returns name -> path of images in folders below; {} unless each is of one image."""
    if any("/" in _slashed(name) for name in names):
        return {}
    places: dict[str, set[str]] = {}
    for path in walk(root).files:
        base = os.path.basename(path)
        for name in (base, os.path.splitext(base)[0]):
            places.setdefault(name, set()).add(path)
    found = {name: places.get(name, set()) for name in names}
    if not all(len(paths) == 1 for paths in found.values()):
        return {}
    return {name: paths.pop() for name, paths in found.items()}


def _slashed(name: str) -> str:
    return name.replace("\\", "/")


def _is_there(root: Path, name: str) -> bool:
    return is_file(root, on_disk(root, name))


def unnamed(root: Path, names: Iterable[str], *, what: str) -> list[str]:
    """Returns a note that counts the images beside those named, in their folders; `what` they are.

    Hidden files do not count.
    """
    known: dict[str, set[str]] = {}
    for name in names:
        folder, base = os.path.split(os.path.join(root, name))
        known.setdefault(folder, set()).add(base)
    found = sorted(
        base
        for folder, own in known.items()
        for base in os.listdir(folder)
        if base not in own
        and not base.startswith(".")
        and os.path.splitext(base)[1].lower() in IMAGE_SUFFIXES
    )
    return [f"images {what}: {len(found):,} ({few(found)})"] if found else []


def _spellings(name: str) -> Iterator[str]:
    for base in _bases(name):
        yield base
        stem, ending = os.path.splitext(base)
        yield from dict.fromkeys((stem + ending.lower(), stem + ending.upper()))


def _bases(name: str) -> list[str]:
    forms = (unicodedata.normalize(form, name) for form in ("NFC", "NFD"))
    bases = (name, _slashed(name), *forms, unescaped(name), unquote(name))
    return list(dict.fromkeys(bases))


def _with_ending(root: Path, name: str) -> str | None:
    if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES:
        return None
    found = [
        f"{base}.{ending}"
        for base in _bases(name)
        for both in _ENDINGS
        for ending in (both, both.upper())
        if is_file(root, f"{base}.{ending}")
    ]
    others = [each for each in found[1:] if not os.path.samefile(root / found[0], root / each)]
    if others:
        raise ValueError(
            f"{root}: image {name} may be {found[0]} or {others[0]}; expected its extension"
        )
    return found[0] if found else None
