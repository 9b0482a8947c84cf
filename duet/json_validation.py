"""Read JSON documents, and check them against a table of what each of their keys holds.

A table is a dict from key to kind: `{"name": str, "count": COUNT, "notes?": [str], "*": OTHERS}`.
A key that ends in `?` may be missing, `*` is the kind of all others (without it, they are not
looked at). A kind is a type, a `Kind`, a table, a list `[kind]` of any length, or a tuple of kinds
of which one has to fit, `None` for null.
"""

import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from reprlib import Repr
from typing import Any

from duet.regular_files import read_regular

DEEPEST = 100  # levels of lists and objects: what goes on with them may recurse

_WORDS = {str: "a text", bool: "true or false", dict: "an object", list: "a list", None: "null"}


@dataclass(frozen=True)
class Kind:
    """What a value has to be, in words, and whether one is."""

    words: str
    fits: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e300 and math.isfinite(value)


def is_file_name(value: Any) -> bool:
    """Whether it is the name of a file in a folder, which leads nowhere else."""
    if not isinstance(value, str) or value in ("", ".", "..") or "\0" in value or "/" in value:
        return False
    try:
        return bool(os.fsencode(value))
    except UnicodeError:
        return False


NUMBER = Kind("a number", _is_number)
POSITIVE = Kind("a number above 0", lambda value: _is_number(value) and value > 0)
COUNT = Kind("a whole number from 0", lambda value: type(value) is int and 0 <= value < 1 << 62)
FILE_NAME = Kind("the name of a file beside it", is_file_name)
NO_OTHERS = Kind("nothing", lambda value: False)
ANYTHING = Kind("anything", lambda value: True)


def one_of(*values: Any) -> Kind:
    """One of these values."""
    words = " or ".join(map(repr, values))
    return Kind(words, lambda value: any(value == v and type(value) is type(v) for v in values))


def up_to(most: int) -> Kind:
    """A whole number from 1, which bounds what is made of it."""
    return Kind(f"a whole number from 1 to {most:,}", lambda v: type(v) is int and 1 <= v <= most)


def read(
    path: str | Path, table: dict[str, Any] | None = None, *, name: str = "", hint: str = ""
) -> dict:
    """The object in a file.

    Args:
        table: what it holds; None for any object.
        name: of the file in messages, its path without.
        hint: what to do, which ends every message.

    Raises:
        OSError: it cannot be read, or is a pipe or a device.
        ValueError: it is not JSON, not an object, nested too deep, or not as the table has it.
    """
    return parse(read_regular(path), table, name=name or str(path), hint=hint)


def parse(
    text: str | bytes, table: dict[str, Any] | None = None, *, name: str, hint: str = ""
) -> dict:
    """As `read`, of a text that `name` stands for in messages."""
    try:
        found = json.loads(text)
        if not isinstance(found, dict):
            raise ValueError(f"expected an object; got a {type(found).__name__}")
        _check_depth(found)
        check(found, table or {})
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        what = "not readable as JSON" if isinstance(error, json.JSONDecodeError) else ""
        what = what or ("not a text in UTF-8" if isinstance(error, UnicodeError) else "")
        said = f"{what} ({reason})" if what else reason
        raise ValueError(f"{name}: {said}{hint and f'; {hint}'}") from None
    return found


def check(value: Any, kind: Any, *, where: str = "") -> None:
    """Raise a ValueError that names the place, what was expected, and what came.

    Args:
        where: of the value, such as `shards[0]`.
    """
    if isinstance(kind, dict):
        _check_object(value, kind, where)
    elif isinstance(kind, list):
        if not isinstance(value, list):
            _refuse(value, kind, where)
        for number, each in enumerate(value):
            check(each, kind[0], where=f"{where}[{number}]")
    elif isinstance(kind, tuple):
        fitting = [each for each in kind if _is_like(value, each)]
        if not fitting:
            _refuse(value, kind, where)
        check(value, fitting[0], where=where)
    elif not _is_like(value, kind):
        _refuse(value, kind, where)


def _check_object(value: Any, table: dict[str, Any], where: str) -> None:
    if not isinstance(value, dict):
        _refuse(value, table, where)
    prefix = f"{where}." if where else ""
    kinds = {key.removesuffix("?"): kind for key, kind in table.items()}
    if missing := sorted({key for key in table if not key.endswith("?")} - value.keys() - {"*"}):
        raise ValueError(f"{prefix}{missing[0]} is missing")
    others = kinds.get("*", ANYTHING)
    if others is NO_OTHERS and (unknown := sorted(value.keys() - kinds.keys())):
        raise ValueError(f"{where and f'{where}: '}{unknown[0]!r:.60} is not known here")
    for key, each in value.items():
        check(each, kinds.get(key, others), where=f"{prefix}{key:.60}")


def _is_like(value: Any, kind: Any) -> bool:
    """Whether a value is of a kind, but for what is inside it."""
    if isinstance(kind, Kind):
        return kind.fits(value)
    if isinstance(kind, dict | list):
        return isinstance(value, type(kind))
    return value is None if kind is None else isinstance(value, kind)


def _words(kind: Any) -> str:
    if isinstance(kind, Kind):
        return kind.words
    if isinstance(kind, tuple):
        return " or ".join(map(_words, kind))
    named: Any = type(kind) if isinstance(kind, dict | list) else kind
    return _WORDS[named]


def _refuse(value: Any, kind: Any, where: str) -> None:
    raise ValueError(f"{where and f'{where}: '}expected {_words(kind)}; got {shown(value)}")


def shown(value: Any) -> str:
    """A value in at most some 60 characters, however long or deep it is."""
    return f"{_SHORT.repr(value):.60}"


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST):
        level = [
            each
            for outer in level
            for each in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(each, dict | list)
        ]
        if not level:
            return
    raise RecursionError


_SHORT = Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 3, 50, 50
