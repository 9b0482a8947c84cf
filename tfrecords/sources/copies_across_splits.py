"""Notice images that are versions of one, by their names, in several splits."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from tfrecords.sources.base import File, few

# Frames of a video, and what Roboflow writes of one image: `cat_jpg.rf.<32 digits>.jpg`.
_SERIES = re.compile(r"(.*?)(?:[ _-]?frame[ _-]?\d+|\.rf\.[0-9a-z]{20,})", re.IGNORECASE)

# Of an image that is there as well: `1_flip.jpg`, `rotated_by_15_1.jpg`, and as browsers write it.
_CHANGES = (
    *("aug", "bright", "blur", "contrast", "copy", "crop", "dark", "flip", "gray", "mirror"),
    *("noise", "rot", "shift", "translat", "zoom"),
)
_NUMBERED = re.compile(r"(.+?) *\(\d+\)")
_BETWEEN = re.compile(r"[ _-]+")

_ANY = ("frame", ".rf.", "(", *_CHANGES)  # most names have none of these


def versions(files: Mapping[str, Sequence[File]]) -> list[str]:
    """Returns a note that counts images of which another split has a version, or nothing.

    Those are in one folder, with one label. A model that is tested on a version of an image that
    it was trained on looks better than it is.

    Args:
        files: by split, that of training first.
    """
    stems = {
        file.name: os.path.splitext(file.name)[0] for group in files.values() for file in group
    }
    known = set(stems.values())
    first: dict[tuple[object, str], tuple[str, str]] = {}
    found = []
    for split, group in files.items():
        for file in group:
            of = _original(stems[file.name], known)
            before, name = first.setdefault((file.label, of), (split, file.name))
            if before != split:
                found.append(f"{file.name} of {name}")
    if not found:
        return []
    return [
        f"images of which another split has a version, by their names: {len(found):,} "
        f"({few(found)}); what is measured on them is too high"
    ]


def _original(stem: str, known: set[str]) -> str:
    """Returns the name of what an image is a version of; its own if of none."""
    small = stem.lower()
    if not any(word in small for word in _ANY):
        return stem
    folder, slash, base = stem.rpartition("/")
    if series := _SERIES.fullmatch(base):
        return f"{folder}{slash}{series[1]}"
    if (numbered := _NUMBERED.fullmatch(stem)) and numbered[1] in known:
        return numbered[1]
    for between in _BETWEEN.finditer(base):
        first, last = base[: between.start()], base[between.end() :]
        for rest, change in ((last, first), (first, last)):
            if (
                any(word in change.lower() for word in _CHANGES)
                and f"{folder}{slash}{rest}" in known
            ):
                return f"{folder}{slash}{rest}"
    return stem
