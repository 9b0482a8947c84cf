"""Notice images that are one file by symbolic or hard links."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from tfrecords.sources.base import File, few


def linked(root: Path, files: Mapping[str, Sequence[File]]) -> list[str]:
    """Returns a note on images that are one file, or nothing.

    It counts those whose labels or splits differ: one image cannot be of two classes, and a model
    is not to be tested on an image that it was trained on.

    Args:
        root: of the files' names.
        files: by split.
    """
    folder = str(root)
    first: dict[tuple[int, int], tuple[str, File]] = {}
    pairs, labels, splits = [], 0, 0
    for split, group in files.items():
        for file in group:
            try:
                status = os.stat(os.path.join(folder, file.name))
            except (OSError, ValueError):  # reported when it is read
                continue
            of, other = first.setdefault((status.st_dev, status.st_ino), (split, file))
            if other is file or not status.st_ino:
                continue
            pairs.append(f"{other.name} and {file.name}")
            labels += other.label != file.label
            splits += of != split
    if not pairs:
        return []
    parts = [f"one file by links: {len(pairs):,} pairs of images ({few(pairs)})"]
    parts += [f"{labels:,} with different labels"] * bool(labels)
    parts += [f"{splits:,} in different splits"] * bool(splits)
    return [", ".join(parts)]
