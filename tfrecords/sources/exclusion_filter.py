"""Another source without the images that a table names, such as `suspects.csv` of inspect."""

from __future__ import annotations

from pathlib import Path

from tfrecords.non_utf8_names import escaped
from tfrecords.sources.base import Source, few
from tfrecords.sources.table_columns import in_rows
from tfrecords.sources.table_parsing import read_table
from tfrecords.sources.wrappers import Excluded


def excluded(source: Source, path: str | Path) -> Source:
    """The source without the images of a table with a column `file`, and perhaps `split`.

    A row with a split leaves out that split's image of the name, one without the images of the
    name in any split. The same image may stand in several rows.

    Raises:
        OSError: the table cannot be read.
        ValueError: it is no such table, names images but none of the source's, or leaves nothing
            of a split.
    """
    table = read_table(path)
    image, split = table.place("image"), table.place("split", needed=False)
    assert image is not None
    rows = set(in_rows(table, lambda row: (table.split_of(row, split), row.cells[image])))
    kept: dict[str, list] = {}
    left_out: dict[str, int] = {}
    met: set = set()
    for name, count in source.splits.items():
        kept[name] = []
        for place, raw in enumerate(source.read(name, 0, count) if rows else ()):
            keys = rows & {(name, escaped(raw.filename)), ("", escaped(raw.filename))}
            met |= keys
            if not keys:
                kept[name].append(place)
        kept[name] = kept[name] if rows else list(range(count))
        left_out[name] = count - len(kept[name])
        if not kept[name]:
            raise ValueError(f"{path}: leaves no image of split {name}")
    unknown = sorted(file for _, file in rows - met)
    if rows and not met:
        raise ValueError(f"{path}: names no image of {source.name}; got {few(unknown)}")
    counts = ", ".join(f"{count:,} of {name}" for name, count in left_out.items() if count)
    said = f"left out by {Path(path).name}: {counts or 'no image'}"
    if unknown:
        said += f"; {len(unknown):,} rows name no image of {source.name} ({few(unknown)})"
    return Excluded(source, kept, said)
