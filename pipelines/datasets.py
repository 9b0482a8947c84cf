"""List the data sets that can be named.

Those marked `here` are on this machine already; the others want a network or an archive.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from duet import cache_folder
from pipelines.runs.text_table import aligned

if TYPE_CHECKING:
    from tfrecords import Dataset


@dataclass
class Options:
    """List the data sets that can be prepared.

    Args:
        json: print JSON, which has notes and splits as well, instead of a table
    """

    json: bool = False


def run(options: Options) -> None:
    """Print the catalogue."""
    rows = entries()
    print(json.dumps(rows, indent=2, ensure_ascii=False) if options.json else table(rows))


def entries() -> list[dict]:
    """The catalogue as plain data, one dict per set."""
    from tfrecords import DATASETS

    return [
        {
            "name": entry.name,
            "images": entry.images,
            "classes": entry.classes,
            "splits": list(entry.splits.values()),
            "templates": len(entry.templates),
            "multi_label": entry.multi_label,
            "metric": entry.metric,
            "lossless": entry.lossless,
            "read_from": _read_from(entry),
            "here": _is_here(entry),
            "home": entry.home,
            "note": entry.note,
        }
        for entry in DATASETS.values()
    ]


def table(rows: list[dict]) -> str:
    """The sets in columns, each followed by what it is; the notes are in the JSON."""
    columns = ("name", "images", "classes", "templates", "metric", "read_from", "here")
    cells = [[column.replace("_", " ") for column in columns] + ["what it is"]]
    for row in rows:
        values = {**row, "images": f"{row['images']:,}", "here": "yes" if row["here"] else ""}
        cells.append([str(values[column]) for column in columns] + [row["home"]])
    return "\n".join(aligned(cells, right=(1, 2, 3)))


def _read_from(entry: Dataset) -> str:
    ways = [word for word, has in [("TFDS", entry.tfds), ("published", entry.layout)] if has]
    return " or ".join([*ways, *entry.layouts]) or "built in"


def _is_here(entry: Dataset) -> bool:
    """Built in, or a folder of TFDS's own in its default place."""
    if not entry.tfds:
        return not (entry.layout or entry.layouts)
    root = cache_folder.expanded(os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets"))
    return root is not None and any((root / entry.tfds).rglob("dataset_info.json"))
