"""A table of images with labels or captions: its columns by what people call them, its rows.

Every cell is text or, in JSON, a list of texts; every row has its line number, for messages.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfrecords.images.formats import IMAGE_SUFFIXES
from tfrecords.sources.base import SPLIT_NAMES, few, refuse_same_split, split_name

# What people call the columns, in any case, spaces and hyphens read as underscores. The first of a
# list is Duet's own word and wins; of the others only one may be there.
COLUMNS = {
    "image": (
        *("file", "image", "images", "image_path", "img_path", "image_file", "image_name", "img"),
        *("image_url", "filename", "filenames", "file_name", "filepath", "filepaths", "file_path"),
        *("path", "paths", "imagepath", "imagename", "image_file_name", "fname"),
    ),
    "caption": (
        *("caption", "captions", "text", "title", "comment", "description", "sentence"),
        *("sentences", "raw", "prompt"),
    ),
    "label": (
        *("label", "labels", "class", "classes", "class_name", "classname", "category", "target"),
    ),
    "split": ("split", "subset", "partition", "data_set", "dataset_split"),
}

# Columns of fastai's and of others' that say no or yes, and the splits that these mean.
_SPLIT_FLAGS = {
    **dict.fromkeys(("is_valid", "is_val", "is_validation"), ("train", "validation")),
    **dict.fromkeys(("is_train", "is_training", "is_training_image"), ("test", "train")),
    "is_test": ("train", "test"),
}

# Parts of what a column says that is meant for splits, and how many words it says at most.
_LIKE_SPLITS, _MOST_SPLITS = ("train", "val", "test"), 8

_FLAGS = {
    **dict.fromkeys(("false", "0", "0.0", "no", "n", "f"), 0),
    **dict.fromkeys(("true", "1", "1.0", "yes", "y", "t"), 1),
}

# A column that may be the image if no other is.
_LAST_RESORT = ("id", "image_id", "name")

_RUN_TOGETHER = re.compile(
    r"""(['"])\s+\1"""
)  # NumPy's `['a' 'b']`, which Python reads as one text


_CHOICES = re.compile(r"""\{\s*"choices"\s*:\s*(\[.*\])\s*\}""", re.DOTALL)

_QUOTED_LIST = re.compile(r"""\[\s*(['"]).*['"]\s*\]""", re.DOTALL)


@dataclass(frozen=True)
class Row:
    """A row: its line number from 1 (in JSON, record number), and its cells.

    A cell is a text, a list, or an object that nothing can be read from.
    """

    line: int
    cells: tuple[Any, ...]


@dataclass(frozen=True)
class Table:
    """A parsed table.

    Attributes:
        path: of the file.
        columns: as spelled in the file.
        rows: each has one cell per column.
        unit: what `Row.line` counts, "line" or "record".
    """

    path: Path
    columns: tuple[str, ...]
    rows: list[Row]
    unit: str = "line"

    def error(self, row: Row, message: object) -> ValueError:
        """Returns a ValueError that names the row."""
        return ValueError(f"{self.path}, {self.unit} {row.line}: {message}")

    def place(self, what: str, *, given: str | None = None, needed: bool = True) -> int | None:
        """Returns the index of a column of `COLUMNS`, or None.

        Args:
            what: a key of `COLUMNS`.
            given: the column name given by the user; None to search the usual names.
            needed: whether a missing column is an error.

        Raises:
            ValueError: there is no such column, or it is ambiguous.
        """
        plain = [plain_name(column) for column in self.columns]
        if given is not None:
            names = [name for name in (given, plain_name(given)) if name in (*self.columns, *plain)]
            if not names:
                raise ValueError(
                    f"{self.path} has no column {given!r} (--{what}-column); it has: "
                    f"{', '.join(self.columns)}"
                )
            exact = given in self.columns
            place = self.columns.index(given) if exact else plain.index(plain_name(given))
            return self._checked(place, what)
        matches = [name for name in COLUMNS[what] if name in plain]
        if what == "image" and not matches:
            matches = [name for name in _LAST_RESORT if name in plain][:1]
            if matches and not self._are_files(plain.index(matches[0])):
                matches += [name for i, name in enumerate(plain) if self._are_files(i)]
        if what == "split" and not matches:
            matches = [name for i, name in enumerate(plain) if self._says_splits(i)]
        if len(matches) > 1 and (
            matches[0] != COLUMNS[what][0]
            or (what == "label" and len({*map(self._is_numbers, matches)}) > 1)
        ):
            columns = [self.columns[plain.index(name)] for name in matches]
            remedy = "rename all but one" if what == "split" else f"say which with --{what}-column"
            raise ValueError(
                f"{self.path}: columns {' and '.join(columns)} may each be the {what}; {remedy}"
            )
        if not matches and needed:
            raise ValueError(
                f"{self.path}: expected a column for the {what} (such as "
                f"{', '.join(COLUMNS[what][:4])}) in the first {self.unit}, or --{what}-column; "
                f"got {few(self.columns) or 'none'}"
            )
        return self._checked(plain.index(matches[0]), what) if matches else None

    def split_of(self, row: Row, place: int | None) -> str:
        """Returns the split that a row's cell names; "" without such a column."""
        if place is None:
            return ""
        word = str(row.cells[place]).strip()
        meant = _SPLIT_FLAGS.get(plain_name(self.columns[place]))
        return split_name(word) if meant is None else meant[_FLAGS[word.lower()]]

    def _says_splits(self, place: int) -> bool:
        """Returns whether a column of any other name says a split in each of its cells."""
        name = plain_name(self.columns[place])
        if any(name in names for names in COLUMNS.values()):
            return False
        known: Collection[str] = _FLAGS if name in _SPLIT_FLAGS else SPLIT_NAMES
        return bool(self.rows) and all(word in known for word in self._words(place))

    def _words(self, place: int) -> Iterator[str]:
        return (str(row.cells[place]).strip().lower() for row in self.rows)

    def _are_files(self, place: int) -> bool:
        """Returns whether all cells of a column are called like image files."""
        cells = (str(row.cells[place]).strip().lower() for row in self.rows)
        return bool(self.rows) and all(cell.endswith(tuple(IMAGE_SUFFIXES)) for cell in cells)

    def _is_numbers(self, name: str) -> bool:
        place = [plain_name(column) for column in self.columns].index(name)
        return all(str(row.cells[place]).isdecimal() for row in self.rows)

    def _checked(self, place: int, what: str) -> int:
        """Raises ValueError for cells with an object in them, and two words for one split."""
        a = "an image's name" if what == "image" else f"a {what}"
        for row in self.rows:
            cell = row.cells[place]
            parts = cell if isinstance(cell, list) else [cell]
            if not all(isinstance(part, str) for part in parts):
                raise self.error(row, f"{self.columns[place]}: expected {a}; got {cell!r:.60}")
        if what == "split":
            words = {str(row.cells[place]).strip().lower() for row in self.rows}
            split_of = {word: SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES}
            refuse_same_split(split_of, where=self.path)
        return place

    def not_read(self, places: Collection[int | None]) -> list[str]:
        """Returns notes on the columns which are in none of these places.

        One names them, another those that say a split beside words that are none.
        """
        rest = {i: name for i, name in enumerate(self.columns) if name and i not in places}
        notes = [f"columns not read: {few(list(rest.values()))}"] if rest else []
        for place, name in rest.items():
            words = set(self._words(place))
            strange = sorted(words - set(SPLIT_NAMES))
            alike = [word for word in words if any(part in word for part in _LIKE_SPLITS)]
            meant = plain_name(name) in {*_SPLIT_FLAGS, *SPLIT_NAMES} or len(alike) > 1
            if strange and meant and len(words) <= _MOST_SPLITS:
                notes.append(f"no splits are read from column {name}: it says {few(strange)}")
        return notes


def plain_name(column: str) -> str:
    """Returns a column name in lower case, with underscores for spaces and hyphens."""
    return re.sub(r"[\s-]+", "_", column.strip().lower())


def texts(cell: Any) -> list[str]:
    """Returns the texts of a cell, one or several, stripped.

    Raises ValueError for a list of quoted texts that cannot be read, such as NumPy's.
    """
    several = as_list(cell)
    if several is None and _QUOTED_LIST.fullmatch(str(cell).strip()):
        raise ValueError(f"expected a text, or a list of texts as JSON has it; got {cell!r:.60}")
    return [" ".join(str(text).split()) for text in ([cell] if several is None else several)]


def as_list(cell: Any) -> list[str] | None:
    """Returns the texts of a list, also of one as text (`['a', 'b']`, `('a', 'b')`), or None.

    Label Studio writes `{"choices": ["a", "b"]}` for several.
    """
    if isinstance(cell, list):
        return cell
    text = str(cell).strip()
    if several := _CHOICES.fullmatch(text):
        text = several[1]
    if text[:1] + text[-1:] not in ("[]", "()") or _RUN_TOGETHER.search(text):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, list | tuple) and all(isinstance(n, str) for n in found):
            return list(found)
    return None


def in_rows(table: Table, read: Callable[[Row], Any]) -> list[Any]:
    """Applies `read` to each row; its ValueError names the row."""
    results = []
    for row in table.rows:
        try:
            results.append(read(row))
        except ValueError as error:
            raise table.error(row, error) from None
    return results
