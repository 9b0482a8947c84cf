"""What Flickr8k and Flickr30k have beside their tables of captions."""

import re
from dataclasses import replace
from pathlib import Path

from tfrecords.sources.base import few
from tfrecords.sources.coco_captions import Captions
from tfrecords.sources.table_columns import Row, Table
from tfrecords.sources.table_parsing import NUMBERED
from tfrecords.text_files import read_lines

# Image folders of Flickr8k and Flickr30k, relative to their unpacked captions.
FOLDERS = (
    *("Images", "images", "Flicker8k_Dataset", "Flickr8k_Dataset"),
    *("flickr30k_images/flickr30k_images", "flickr30k_images", "flickr30k-images"),
)

_NOT_THERE = re.compile(r"\.jpg\.\d+$")  # an image with captions in Flickr8k but no file


def without_numbers(table: Table, image: int | None) -> Table:
    """Returns the table with `1.jpg` for `1.jpg#0`, where every image is called so."""
    names = [NUMBERED.fullmatch(str(row.cells[image])) for row in table.rows]  # type: ignore[index]
    if not all(names):
        return table
    rows = [
        Row(row.line, tuple(name[1] if i == image else cell for i, cell in enumerate(row.cells)))
        for row, name in zip(table.rows, names, strict=True)
        if name
    ]
    return replace(table, rows=rows)


def without_ghosts(by_split: dict[str, Captions], notes: list[str]) -> None:
    """Remove entries of Flickr8k.token.txt whose image is missing from the archive."""
    for group in by_split.values():
        for name in [name for name in group if _NOT_THERE.search(name)]:
            del group[name]
            notes.append(f"passed over: captions of {name}, which is no image's name")


def splits(path: Path, by_split: dict[str, Captions]) -> dict[str, Captions]:
    """Applies the splits of `Flickr_8k.{train,dev,test}Images.txt`, if beside the captions."""
    lists = {
        split: path.parent / f"Flickr_8k.{word}Images.txt"
        for word, split in (("train", "train"), ("dev", "validation"), ("test", "test"))
    }
    if list(by_split) != [""] or not all(listing.is_file() for listing in lists.values()):
        return by_split
    group, found = by_split[""], {}
    for split, listing in lists.items():
        names = read_lines(listing)
        missing = [name for name in names if name not in group]
        if missing:
            raise ValueError(f"{listing}: images without captions in {path}: {few(missing)}")
        found[split] = {name: group[name] for name in names}
    return found
