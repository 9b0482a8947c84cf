"""Find the images that a table names: many tables were written on another system."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from tfrecords.file_name_escaping import unescaped
from tfrecords.sources.base import is_file

_ENDINGS = ("", ".jpg", ".jpeg", ".png")  # some tables omit the extension


def on_disk(root: Path, name: str) -> str:
    """Returns the name of the file under `root` that is meant; unchanged if there is none.

    That is the name itself, or with `/` for the `\\` of Windows, with accents composed or, as macOS
    stores them, decomposed, with the byte that an escape like `\\xe9` stands for, or with an
    extension. Of `./a.jpg` and `a//b.jpg` the plain form is returned.
    """
    found = next(
        (each for each in _spellings(name) if is_file(root / each)),
        name,
    )
    plain = ".." not in found.split("/") and found != ""
    return os.path.normpath(found) if plain else found


def _spellings(name: str) -> Iterator[str]:
    bases = dict.fromkeys(
        (
            name,
            name.replace("\\", "/"),
            unicodedata.normalize("NFC", name),
            unicodedata.normalize("NFD", name),
            unescaped(name),
        )
    )
    return (base + ending for base in bases for ending in _ENDINGS)
