"""Read what the rows of Parquet and Arrow files say of their images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tfrecords.sources.base import split_name
from tfrecords.sources.shards import arrow_files
from tfrecords.sources.shards.arrow_columns import Columns


class Example(NamedTuple):
    """A row: where it is, and what is said of its image; `labels` is None where nothing is."""

    file: Path
    row: int
    path: str
    split: str
    labels: tuple[int | str, ...] | None
    in_list: bool
    captions: tuple[str, ...]


def read_examples(splits: dict[Path, str], columns: Columns) -> Iterator[Example]:
    """Yields the rows of files, whose splits are those given or, without any, those of a column.

    Raises ValueError for a cell that is not as expected; it names file and row.
    """
    by_column = bool(columns.split) and not any(splits.values())
    for file, split in splits.items():
        table = arrow_files.read(file, columns.described)
        label, _, inner = columns.label.partition(".")
        for row, cells in enumerate(zip(*table.values(), strict=True)):
            cell = dict(zip(table, cells, strict=True))
            said = _inside(cell.get(label), inner)
            try:
                yield Example(
                    file,
                    row,
                    str(cell.get(columns.path) or ""),
                    split_name(str(cell[columns.split] or "").strip()) if by_column else split,
                    _labels(said, columns.names),
                    isinstance(said, list),
                    _captions(cell.get(columns.caption)),
                )
            except ValueError as error:
                raise ValueError(f"{file}, row {row}: {error}") from None


def _inside(cell: Any, inner: str) -> Any:
    """Returns a field of a structure, or those of a list of them."""
    for name in filter(None, inner.split(".")):
        is_list = isinstance(cell, list)
        cell = [each[name] for each in cell if each] if is_list else (cell or {}).get(name)
    return cell


def _labels(cell: Any, names: tuple[str, ...]) -> tuple[int | str, ...] | None:
    """Returns the labels in a cell, numbers of those with names; None where it says none."""
    found = cell if isinstance(cell, list) else [cell]
    if cell in (None, "") or cell != cell or (names and cell == -1):  # pandas' NaN is not itself
        return None
    return tuple(_number(each, names) if names else _word(each) for each in found)


def _number(value: Any, names: tuple[str, ...]) -> int:
    if not isinstance(value, int) or not 0 <= value < len(names):
        raise ValueError(f"expected a label from 0 to {len(names) - 1}; got {value!r:.60}")
    return value


def _word(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int | str) or not str(value).strip():
        raise ValueError(f"expected a label, its name or number; got {value!r:.60}")
    return " ".join(str(value).split())


def _captions(cell: Any) -> tuple[str, ...]:
    texts = [
        " ".join(text.split()) for text in (cell if isinstance(cell, list) else [cell]) if text
    ]
    return tuple(filter(None, texts))
