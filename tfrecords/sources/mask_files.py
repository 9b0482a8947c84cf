"""Notice masks that lie beside their images, named after them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from tfrecords.sources.base import few

_MASK = re.compile(
    r"(.+?)[ _-]+(?:mask|segmentation|annotation|groundtruth|gt)(?:[ _-]*\d+)?", re.IGNORECASE
)


def masks(names: Iterable[str]) -> list[str]:
    """Returns a note on images called like masks of others: `1_mask.png` beside `1.png`."""
    stems = {name: os.path.splitext(name)[0] for name in names}
    known = set(stems.values())
    found = [
        name for name, stem in stems.items() if (mask := _MASK.fullmatch(stem)) and mask[1] in known
    ]
    if not found:
        return []
    return [f"images called like masks of others: {len(found):,} ({few(found)}); are they images?"]
