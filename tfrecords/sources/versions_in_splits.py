"""Notice images that are versions of one, by their names, in several splits."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from tfrecords.sources.base import File, few

# Frames of a video, and what Roboflow writes of one image: `cat_jpg.rf.<32 digits>.jpg`.
_SERIES = re.compile(r"(.+?)(?:[ _-]?frame[ _-]?\d+|\.rf\.[0-9a-z]{20,})", re.IGNORECASE)

_CHANGES = (
    *("aug", "bright", "blur", "contrast", "copy", "crop", "dark", "flip", "gray", "hflip"),
    *("mirror", "noise", "rot", "shift", "vflip", "zoom"),
)
_CHANGED = re.compile(rf"(.+?)(?:[ _-]+(?:{'|'.join(_CHANGES)})[a-z]*[ _-]*\d*)+", re.IGNORECASE)

# As browsers call what is there already; but also photographs that are numbered, without a first.
_NUMBERED = re.compile(r"(.+?) *\(\d+\)")

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
    version = _SERIES.fullmatch(stem) or _CHANGED.fullmatch(stem)
    if version is None and (version := _NUMBERED.fullmatch(stem)) and version[1] not in known:
        return stem
    return version[1] if version else stem
