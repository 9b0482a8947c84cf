"""Read the labels of an image from the cells of its row: names in one, or a cell per class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tfrecords.sources.table_columns import Table, as_list

BETWEEN = "|"  # separates the labels of one image

# What class columns say, in any case; pandas' dummies are True and False, Excel's TRUE and FALSE.
_MARKS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}

_SIGNS = {"-1": False, "1": True, "-1.0": False, "1.0": True}  # in place of these, as CelebA has


def named(place: int, between: str) -> Callable[[Sequence[Any]], tuple[str, ...]]:
    """Returns a function from a row's cells to the labels in one of them.

    It raises ValueError for a cell without a label, or with one twice.
    """

    def classes(cells: Sequence[Any]) -> tuple[str, ...]:
        cell = cells[place]
        several = as_list(cell)
        if several is None and (cell[:1], cell[-1:]) in (("[", "]"), ("{", "}")):
            raise ValueError(f"expected a label, or several as a{between}b; got the list {cell!r}")
        several = _divided(cell, between) if several is None else several
        found = [label.strip() for label in several]
        if not all(found):
            none = "" if cell.strip() else "; images of no class: a 0/1 column for every class"
            raise ValueError(f"expected a label, or several as a{between}b; got {cell!r}{none}")
        if len(set(found)) < len(found):
            hint = "; expected names, no 0 or 1 for each class" if {*found} == {"0", "1"} else ""
            raise ValueError(f"a label stands twice in {cell!r}{hint}")
        return tuple(found)

    return classes


def _divided(cell: str, between: str) -> list[str]:
    """Returns the labels in a cell; a separator that was named may stand behind the last one."""
    if between.isspace():
        return cell.split() or [""]
    parts = cell.split(between)
    ended = between != BETWEEN and len(parts) > 1 and not parts[-1].strip()
    return parts[:-1] if ended else parts


def marked(table: Table, columns: dict[int, str]) -> Callable[[Sequence[Any]], tuple[str, ...]]:
    """Returns a function from a row's cells to the classes whose columns say yes.

    It raises ValueError for a cell that says neither.
    """
    said = {str(row.cells[place]).strip().lower() for row in table.rows for place in columns}
    marks = _SIGNS if said <= set(_SIGNS) and said & set(_SIGNS) - set(_MARKS) else _MARKS

    def present(cells: Sequence[Any]) -> Iterator[str]:
        for place, column in columns.items():
            value = str(cells[place]).strip().lower()
            if value not in marks:
                raise ValueError(
                    f"class column {column!r}: expected 0 or 1, got {cells[place]!r} "
                    f"(is it a class? the label's column is named with --label-column, "
                    f"others are left out with --ignore-columns)"
                )
            if marks[value]:
                yield column

    return lambda cells: tuple(present(cells))
