"""Find the requested images: folders, files, patterns, or names on standard input."""

import codecs
import glob
import os
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from duet import path_patterns, regular_files
from pipelines.runs.folder import RECORDS

STDIN = "-"


@dataclass
class Found:
    """Images by the path that opens them, each with what reads its bytes, in a fixed order.

    `passed_over` counts the other files and folders in folders, by the reason.
    """

    loads: dict[str, Callable[[], bytes]] = field(default_factory=dict)
    passed_over: Counter[str] = field(default_factory=Counter)


def find(asked: Sequence[str], *, stdin: Callable[[], str] | None = None) -> Found:
    """The images of `asked`: folders, files, patterns, and "-" for a list of files.

    A file named twice is there once, one whose name is not UTF-8 as `caf\\xe9.jpg`. What is listed
    on standard input is taken as it is: a file that is not there is one that cannot be read.

    Raises:
        FileNotFoundError: no such file or folder, or no file that fits a pattern.
        ValueError: a folder without images, a folder of records, or an empty list.
    """
    from tfrecords import escaped

    found = Found()
    for word in asked:
        if word == STDIN:
            listed = _lines((stdin or _read_stdin)())
            if not listed:
                raise ValueError("--images -: expected a file on each line of standard input")
            for line in listed:
                found.loads[escaped(line)] = partial(regular_files.read_regular, line)
            continue
        for path in _paths(word):
            if path.is_dir():
                _add_folder(found, path)
            else:
                found.loads[escaped(str(path))] = partial(regular_files.read_regular, path)
    return found


def _read_stdin() -> str:
    data = sys.stdin.buffer.read()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # of Windows' PowerShell
        return data.decode("utf-16", "replace")
    return os.fsdecode(data.removeprefix(codecs.BOM_UTF8))


def _lines(text: str) -> list[str]:
    """Lines, or what `find -print0` separates."""
    parts = text.split("\0") if "\0" in text else text.splitlines()
    return [part for part in parts if part.strip()]


def _paths(word: str) -> list[Path]:
    """The file or folder of that name, or what fits the pattern."""
    if os.path.lexists(word):
        return [Path(word)]
    if not glob.has_magic(word):
        raise FileNotFoundError(f"--images: no file or folder {word}")
    paths = [Path(path) for path in path_patterns.matching(word)]
    if "**" in word:  # it finds the files of the folders as well
        paths = [path for path in paths if not path.is_dir()]
    if not paths:
        raise FileNotFoundError(f"--images: no file fits {word}")
    return paths


def _add_folder(found: Found, folder: Path) -> None:
    import tfrecords

    if (folder / RECORDS).is_file():
        raise ValueError(
            f"--images: {folder} holds records, not image files; evaluate --data "
            f"{shlex.quote(str(folder))} says how often a model is right about them"
        )
    store = tfrecords.ImageFolder(folder)
    for name, stamp in store.listing().items():
        found.loads[tfrecords.escaped(str(folder / name))] = partial(store.load, name, stamp)
    found.passed_over.update(store.passed_over)
