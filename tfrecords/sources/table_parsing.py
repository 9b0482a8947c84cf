"""Parse CSV, TSV, JSON and JSON Lines to a table."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tfrecords.images.formats import IMAGE_SUFFIXES
from tfrecords.sources import coco_instances
from tfrecords.sources.base import few
from tfrecords.sources.shards import arrow_files
from tfrecords.sources.table_columns import COLUMNS, Row, Table, plain_name
from tfrecords.text_files import parse_json, read_text

JSON_ENDINGS = (".json", ".jsonl", ".ndjson")

ENDINGS = (".csv", ".tsv", ".txt", ".token", *JSON_ENDINGS)

_OTHER_ENDINGS = (".xlsx", ".xls", ".ods", *arrow_files.ENDINGS, ".feather", ".gz", ".zip")

_DELIMITERS = ("\t", ";", ",", "|")

_LISTED = re.compile(r"([^,;|\t]+?) +([^ ,;|\t]+)")  # an image's name, spaces, a label

NUMBERED = re.compile(r"(.+\.\w+)#\d+")  # Flickr8k.token.txt: `name.jpg#0`, then a caption


def read_table(path: str | Path, *, value: str = "caption") -> Table:
    """Read a table from CSV, TSV, text separated by `;` or `|`, JSON or JSON Lines.

    The first line of a CSV names its columns; `Flickr8k.token.txt` and `results.token` of
    Flickr30k, which have no header, are recognised by their first line, and lists of image and
    label, divided by a space, by all. JSON holds a list of objects, one object from image name to
    captions or label, or one from column to cells, as pandas writes it; JSON Lines one object per
    line.

    Args:
        path: the file.
        value: kind of the values in an object from image name to value, "caption" or "label".

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a valid table; the message names the line.
    """
    path = Path(path)
    if path.suffix.lower() in _OTHER_ENDINGS:
        with_images = path.suffix.lower() in arrow_files.ENDINGS
        also = ", or, where the images are inside of it, name it with --parquet" * with_images
        raise ValueError(
            f"{path}: expected CSV, TSV, JSON or JSON Lines; save the table as CSV{also}"
        )
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


def _of_json_lines(path: Path, text: str) -> Table:
    lines = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    named = ((n, parse_json(line, name=f"{path}, line {n}")) for n, line in lines)
    return records_table(path, named, unit="line")


def of_document(path: Path, document: Any, *, value: str = "caption") -> Table:
    """Returns a table from parsed JSON: a list of objects, or image name -> texts."""
    if isinstance(document, dict):
        if value == "label" and coco_instances.is_instances(document):
            return coco_instances.table(path, document)
        if value == "label" and "annotations" in document:
            raise ValueError(
                f"{path} is COCO's JSON, of which --captions reads captions; for labels expected "
                f"one with categories, a list of objects, or an object of images' names with their "
                f"labels"
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
    return isinstance(value, str | int | None)


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, dict):
        several = value.get("choices") if len(value) == 1 else None  # as Label Studio writes them
        return value if several is None else _cell(several)
    if isinstance(value, list):
        return ["" if each is None else _cell(each) for each in value]
    return str(value).strip()


def _of_text(path: Path, text: str) -> Table:
    if listed := _listed(text):
        return Table(path, ("file", "label"), listed)
    first = text.lstrip("\r\n").split("\n", 1)[0].rstrip("\r")
    said = re.fullmatch(r"sep=(.)", first.strip(), re.IGNORECASE)  # written by Excel
    delimiter = said[1] if said else max(_DELIMITERS, key=first.count)
    if NUMBERED.fullmatch(first.split("\t")[0]):
        lines = _split_at(path, text, "\t", quoted=False)
        rows = [Row(n, (NUMBERED.sub(r"\1", cells[0]), *cells[1:])) for n, cells in lines]
        return _checked(path, ("file", "caption"), rows, "\t")
    try:
        split = list(_split_at(path, text, delimiter, quoted=delimiter != "|"))
        table = _with_header(path, split[bool(said) :], delimiter)
    except ValueError:
        if delimiter != "\t":  # in tab-separated text a quote is often literal
            raise
        table = _with_header(path, list(_split_at(path, text, delimiter, quoted=False)), delimiter)
    return table


def _listed(text: str) -> list[Row]:
    """Returns the rows of a list as Caffe has it, `cats/1.jpg 0` on each line; [] of other text."""
    lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    found = [(n, _LISTED.fullmatch(line.strip())) for n, line in lines]
    rows = [Row(n, (match[1], match[2])) for n, match in found if match]
    named = all(Path(row.cells[0].lower()).suffix in IMAGE_SUFFIXES for row in rows)
    return rows if len(rows) == len(lines) and named else []


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
