"""Validate a manifest: types, counts, and shard names inside the folder.

What it says of a split must add up: a shard taken out, doubled or put elsewhere is noticed before
an image is read.
"""

from __future__ import annotations

import re
from typing import Any

from duet import json_validation

_SHARD = re.compile(r"(?P<split>.+)-(?P<index>\d{5,})-of-(?P<count>\d{5,})\.tfrecord")

SHARD_FILE = {
    "name": str,
    "records": json_validation.COUNT,
    "bytes": json_validation.COUNT,
    "sha256": str,
    "*": json_validation.NO_OTHERS,
}
_SPLIT = {
    "count": json_validation.COUNT,
    "labels": bool,
    "captions": bool,
    "class_counts": [json_validation.COUNT],
    "shards": [SHARD_FILE],
    "rejected?": json_validation.COUNT,
    "*": json_validation.NO_OTHERS,
}
MANIFEST = {
    "schema": json_validation.COUNT,
    "dataset": str,
    "source": dict,
    "class_names": [str],
    "templates": [str],
    "metric": str,
    "lossless": bool,
    "splits": {"*": _SPLIT},
    "options": dict,
    "versions": dict,
    "multi_label?": bool,
    "*": json_validation.NO_OTHERS,
}


def check(data: dict[str, Any]) -> None:
    """Raise a ValueError that names what is wrong with a manifest, as JSON has it."""
    json_validation.check(data, MANIFEST)
    if not data["splits"]:
        raise ValueError("splits: expected a split at least; got {}")
    for name, split in data["splits"].items():
        if not split["shards"]:
            raise ValueError(f"splits.{name}.shards: expected a shard at least; got []")
        _check_names(name, [file["name"] for file in split["shards"]])
        _check_sums(name, split, data)


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
