"""Read tables of images with labels or captions: CSV, TSV, JSON or JSON Lines.

Every cell is text or, in JSON, a list of texts; every row has its line number, for messages.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfrecords.image_formats import IMAGE_SUFFIXES
from tfrecords.sources.base import SPLIT_NAMES, few, refuse_same_split, split_name
from tfrecords.text_files import parse_json, read_text

JSON_ENDINGS = (".json", ".jsonl", ".ndjson")

ENDINGS = (".csv", ".tsv", ".txt", ".token", *JSON_ENDINGS)

_OTHER_ENDINGS = (".xlsx", ".xls", ".ods", ".parquet", ".feather", ".arrow", ".gz", ".zip")

_DELIMITERS = ("\t", ";", ",", "|")

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

# Columns of fastai's and of others' that say yes or no, and the splits that these mean.
_SPLIT_FLAGS = {
    **dict.fromkeys(("is_valid", "is_val", "is_validation"), ("train", "validation")),
    "is_test": ("train", "test"),
}

_FLAGS = {"false": 0, "0": 0, "0.0": 0, "true": 1, "1": 1, "1.0": 1}

# A column that may be the image if no other is.
_LAST_RESORT = ("id", "image_id", "name")

_RUN_TOGETHER = re.compile(
    r"""(['"])\s+\1"""
)  # NumPy's `['a' 'b']`, which Python reads as one text

_NUMBERED = re.compile(r"(.+\.\w+)#\d+")  # Flickr8k.token.txt: `name.jpg#0`, then a caption


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
        if what == "split" and not matches:
            matches = [name for i, name in enumerate(plain) if self._says_splits(i)]
        if len(matches) > 1 and (
            matches[0] != COLUMNS[what][0]
            or (what == "label" and len({*map(self._is_numbers, matches)}) > 1)
        ):
            columns = [self.columns[plain.index(name)] for name in matches]
            raise ValueError(
                f"{self.path}: columns {' and '.join(columns)} may each be the {what}; "
                f"say which with --{what}-column"
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
        return all(str(row.cells[place]).strip().lower() in known for row in self.rows)

    def _is_numbers(self, name: str) -> bool:
        place = [plain_name(column) for column in self.columns].index(name)
        return all(str(row.cells[place]).isdecimal() for row in self.rows)

    def _checked(self, place: int, what: str) -> int:
        """Raises ValueError for cells with an object in them, and two words for one split."""
        for row in self.rows:
            cell = row.cells[place]
            parts = cell if isinstance(cell, list) else [cell]
            if not all(isinstance(part, str) for part in parts):
                raise self.error(row, f"{self.columns[place]}: expected a {what}; got {cell!r:.60}")
        if what == "split":
            words = {str(row.cells[place]).strip().lower() for row in self.rows}
            split_of = {word: SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES}
            refuse_same_split(split_of, where=self.path)
        return place

    def not_read(self, places: Collection[int | None]) -> list[str]:
        """Returns a note that names the columns which are in none of these places."""
        rest = [name for i, name in enumerate(self.columns) if name and i not in places]
        return [f"columns not read: {few(rest)}"] if rest else []


def plain_name(column: str) -> str:
    """Returns a column name in lower case, with underscores for spaces and hyphens."""
    return re.sub(r"[\s-]+", "_", column.strip().lower())


def read_table(path: str | Path, *, value: str = "caption") -> Table:
    """Read a table from CSV, TSV, text separated by `;` or `|`, JSON or JSON Lines.

    The first line of a CSV names its columns; `Flickr8k.token.txt` and `results.token` of
    Flickr30k, which have no header, are recognised by their first line. JSON holds a list of
    objects, one object from image name to captions or label, or one from column to cells, as
    pandas writes it; JSON Lines one object per line.

    Args:
        path: the file.
        value: kind of the values in an object from image name to value, "caption" or "label".

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a valid table; the message names the line.
    """
    path = Path(path)
    if path.suffix.lower() in _OTHER_ENDINGS:
        raise ValueError(f"{path}: expected CSV, TSV, JSON or JSON Lines; save the table as CSV")
    text = read_text(path)
    if path.suffix.lower() not in JSON_ENDINGS:
        return _of_text(path, text)
    if is_json_lines(path, text):
        return _of_json_lines(path, text)
    return of_document(path, parse_json(text, name=str(path)), value=value)


def is_json_lines(path: Path, text: str) -> bool:
    """Returns whether a text is JSON Lines: by its content, for both have either's ending."""
    first, _, more = text.strip().partition("\n")
    if path.suffix.lower() != ".json":
        return not first.startswith("[")
    try:
        return bool(more) and isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def records_table(path: Path, records: Iterable[tuple[int, Any]], *, unit: str) -> Table:
    """Returns a table of objects, each with its number for error messages."""
    listed = list(records)
    columns: dict[str, None] = {}
    for number, record in listed:
        if not isinstance(record, dict):
            raise ValueError(f"{path}, {unit} {number}: expected an object; got {record!r:.60}")
        columns.update(dict.fromkeys(record))
    rows = [Row(n, tuple(_cell(record.get(key)) for key in columns)) for n, record in listed]
    return Table(path, tuple(columns), rows, unit)


def texts(cell: Any) -> list[str]:
    """Returns the texts of a cell, one or several, stripped."""
    return [" ".join(str(text).split()) for text in as_list(cell) or [cell]]


def as_list(cell: Any) -> list[str] | None:
    """Returns the texts of a list, also of one written as text (`['a', 'b']`), or None."""
    if isinstance(cell, list):
        return cell
    text = str(cell).strip()
    if not (text.startswith("[") and text.endswith("]")) or _RUN_TOGETHER.search(text):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, list) and found and all(isinstance(each, str) for each in found):
            return found
    return None


def _of_json_lines(path: Path, text: str) -> Table:
    lines = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    named = ((n, parse_json(line, name=f"{path}, line {n}")) for n, line in lines)
    return records_table(path, named, unit="line")


def of_document(path: Path, document: Any, *, value: str = "caption") -> Table:
    """Returns a table from parsed JSON: a list of objects, or image name -> texts."""
    if isinstance(document, dict):
        if value == "label" and "annotations" in document:
            raise ValueError(
                f"{path} is COCO's JSON, of which --captions reads captions; for labels expected a "
                f"list of objects, or an object of images' names with their labels"
            )
        if columns := _columns(document):
            cells = zip(*columns.values(), strict=True)
            rows = [dict(zip(columns, row, strict=True)) for row in cells]
            return records_table(path, enumerate(rows, 1), unit="record")
        if not all(map(_is_value, document.values())):
            raise ValueError(
                f"{path}: expected a list of objects, or an object of images' names with their "
                f"captions or labels; got one with {few(list(document))}"
            )
        pairs = [{"file": name, value: content} for name, content in document.items()]
        return records_table(path, enumerate(pairs, 1), unit="record")
    if not isinstance(document, list):
        raise ValueError(f"{path}: expected a list of objects; got {document!r:.60}")
    return records_table(path, enumerate(document, 1), unit="record")


def _columns(document: dict[str, Any]) -> dict[str, list]:
    """Returns the cells of each column of `{"file": [...], "label": [...]}`; {} of anything else.

    In place of a list pandas has an object from row to cell.
    """
    cells = {
        name: list(each.values()) if isinstance(each, dict) else each
        for name, each in document.items()
    }
    alike = len({len(each) if isinstance(each, list) else -1 for each in cells.values()}) == 1
    is_table = any(plain_name(name) in COLUMNS["image"] for name in cells) and len(cells) > 1
    return cells if is_table and alike and isinstance(next(iter(cells.values())), list) else {}


def _is_value(value: Any) -> bool:
    """Returns whether it may be an image's label, or its captions."""
    if isinstance(value, list):
        return not any(isinstance(each, dict) for each in value)
    return isinstance(value, str | int)


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        return ["" if each is None else _cell(each) for each in value]
    return str(value).strip()


def _of_text(path: Path, text: str) -> Table:
    first = text.lstrip("\r\n").split("\n", 1)[0].rstrip("\r")
    said = re.fullmatch(r"sep=(.)", first.strip(), re.IGNORECASE)  # written by Excel
    delimiter = said[1] if said else max(_DELIMITERS, key=first.count)
    if _NUMBERED.fullmatch(first.split("\t")[0]):
        lines = _split_at(path, text, "\t", quoted=False)
        rows = [Row(n, (_NUMBERED.sub(r"\1", cells[0]), *cells[1:])) for n, cells in lines]
        return _checked(path, ("file", "caption"), rows, "\t")
    try:
        split = list(_split_at(path, text, delimiter, quoted=delimiter != "|"))
        table = _with_header(path, split[bool(said) :], delimiter)
    except ValueError:
        if delimiter != "\t":  # in tab-separated text a quote is often literal
            raise
        table = _with_header(path, list(_split_at(path, text, delimiter, quoted=False)), delimiter)
    return table


def _with_header(path: Path, lines: list[tuple[int, list[str]]], delimiter: str) -> Table:
    if not lines:
        raise ValueError(f"{path} is empty; expected a table whose first line names its columns")
    (_, header), *others = lines
    columns = tuple(column.strip() for column in header)
    if len(columns) > 1 and Path(columns[0].lower()).suffix in IMAGE_SUFFIXES:
        raise ValueError(
            f"{path}: expected the names of the columns in the first line, such as file and label; "
            f"got {few(columns)}"
        )
    twice = sorted({column for column in columns if column and columns.count(column) > 1})
    if twice:
        raise ValueError(f"{path}: columns with the same name: {few(twice)}")
    if delimiter == "|":
        others = [(n, _unrun(cells, len(columns))) for n, cells in others]
    return _checked(path, columns, [Row(n, tuple(cells)) for n, cells in others], delimiter)


def _checked(path: Path, columns: tuple[str, ...], rows: list[Row], delimiter: str) -> Table:
    table = Table(path, columns, [row for row in rows if any(cell.strip() for cell in row.cells)])
    for row in table.rows:
        if len(row.cells) != len(columns):
            word = {",": "comma", ";": "semicolon", "\t": "tab"}.get(delimiter, repr(delimiter))
            hint = f"; a {word} inside a text needs quotes around that text"
            raise table.error(
                row,
                f"expected {len(columns)} columns, got {len(row.cells)}"
                + (hint if len(row.cells) > len(columns) else ""),
            )
    return table


def _unrun(cells: list[str], count: int) -> list[str]:
    """Repairs Kaggle's results.csv of Flickr30k, which lacks one `|`: `name| 4   A dog ...`."""
    run = re.fullmatch(r"\s*(\d+)\s{2,}(\S.*)", cells[-1]) if len(cells) == count - 1 else None
    return [*cells[:-1], run[1], run[2]] if run and count == 3 else cells


def _split_at(
    path: Path, text: str, delimiter: str, *, quoted: bool
) -> Iterator[tuple[int, list[str]]]:
    """Yields the non-empty rows, each with the line number where it begins."""
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        strict=True,
        skipinitialspace=delimiter in ",;",
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
    )
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise ValueError(f"{path}, line {line}: {error}") from None
        if cells is None:
            return
        if cells:
            yield line, cells


def in_rows(table: Table, read: Callable[[Row], Any]) -> list[Any]:
    """Applies `read` to each row; its ValueError names the row."""
    results = []
    for row in table.rows:
        try:
            results.append(read(row))
        except ValueError as error:
            raise table.error(row, error) from None
    return results
