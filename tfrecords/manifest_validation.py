"""Validate a manifest: types, counts, and shard names inside the folder.

What it says of a split must add up: a shard taken out, doubled or put elsewhere is noticed before
an image is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import MISSING, fields
from typing import Any

_SHARD = re.compile(r"(?P<split>.+)-(?P<index>\d{5,})-of-(?P<count>\d{5,})\.tfrecord")


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 62


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _are(kind: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(kind, value))


_MANIFEST = {
    "schema": ("a number", _is_count),
    "dataset": ("a text", _is_text),
    "source": ("a mapping", _is_mapping),
    "class_names": ("a list of texts", _are(_is_text)),
    "templates": ("a list of texts", _are(_is_text)),
    "metric": ("a text", _is_text),
    "lossless": ("true or false", _is_switch),
    "splits": ("a mapping of splits", lambda v: _is_mapping(v) and bool(v)),
    "options": ("a mapping", _is_mapping),
    "versions": ("a mapping", _is_mapping),
    "multi_label": ("true or false", _is_switch),
}
_SPLIT = {
    "count": ("a number", _is_count),
    "labels": ("true or false", _is_switch),
    "captions": ("true or false", _is_switch),
    "class_counts": ("a list of numbers", _are(_is_count)),
    "shards": ("a list of shards, one at least", lambda v: _are(_is_mapping)(v) and bool(v)),
    "rejected": ("a number", _is_count),
}
_SHARD_FILE = {
    "name": ("a file name", _is_text),
    "records": ("a number", _is_count),
    "bytes": ("a number", _is_count),
    "sha256": ("a text", _is_text),
}


def check(data: dict[str, Any], manifest: type, split: type, shard: type) -> None:
    """Raise a ValueError that names what is wrong with a manifest, as JSON has it.

    Args:
        manifest, split, shard: the dataclasses that are made of it.
    """
    _check_kinds(data, manifest, _MANIFEST, where="")
    for name, each in data["splits"].items():
        if not _is_mapping(each):
            raise ValueError(f"split {name!r}: expected a mapping")
        where = f"split {name!r}: "
        _check_kinds(each, split, _SPLIT, where=where)
        for number, file in enumerate(each["shards"]):
            _check_kinds(file, shard, _SHARD_FILE, where=f"{where}shard {number}: ")
        _check_names(name, [file["name"] for file in each["shards"]])
        _check_sums(name, each, data)


def _check_kinds(
    data: dict[str, Any], made: type, kinds: dict[str, tuple[str, Any]], *, where: str
) -> None:
    needed = {f.name for f in fields(made) if f.default is MISSING}
    _complain_of(needed - data.keys(), f"{where}unexpected content: without")
    _complain_of(data.keys() - kinds.keys(), f"{where}unexpected content:")
    for key, value in data.items():
        expected, fits = kinds[key]
        if not fits(value):
            got = repr(value)
            raise ValueError(
                f"{where}{key}: expected {expected}, got {got[:60]}{'...' * (len(got) > 60)}"
            )


def _complain_of(keys: Iterable[str], what: str) -> None:
    if found := sorted(keys):
        raise ValueError(f"{what} {', '.join(found)}"[:200])


def _check_names(split: str, names: list[str]) -> None:
    """All shards of a split are there, in order, once each, in this very folder."""
    for index, name in enumerate(names):
        found = _SHARD.fullmatch(name)
        if found is None or "/" in name or "\0" in name or found["split"] != split:
            raise ValueError(f"split {split!r}: {name[:80]!r} is no name of one of its shards")
        place, count = int(found["index"]), int(found["count"])
        if place != index or count != len(names):
            raise ValueError(
                f"split {split!r}: {len(names)} shards are listed, and {name} is number {index}; "
                "shards were taken out, added or put in another order"
            )


def _check_sums(name: str, split: dict[str, Any], data: dict[str, Any]) -> None:
    records, counts = sum(s["records"] for s in split["shards"]), split["class_counts"]
    if records != split["count"]:
        raise ValueError(
            f"split {name!r}: its shards have {records:,} records, not {split['count']:,}"
        )
    if split["labels"] and len(counts) != len(data["class_names"]):
        raise ValueError(
            f"split {name!r}: class_counts of {len(counts)} classes, of "
            f"{len(data['class_names'])} names"
        )
    if split["labels"] and not data.get("multi_label") and sum(counts) != split["count"]:
        raise ValueError(
            f"split {name!r}: class_counts come to {sum(counts):,}, not {split['count']:,}"
        )
