"""Checksums of arrays, by which damaged files are noticed."""

import zlib
from collections.abc import Mapping

import numpy as np

_KEY = "crc32"


def crc32(array: np.ndarray, before: int = 0) -> int:
    """The CRC-32 of an array's bytes behind those of checksum `before`, at some 2 GB/s."""
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, before)


def metadata(arrays: Mapping[str, np.ndarray], text: str = "") -> dict[str, str]:
    """What a file of named arrays, and a text beside them, keeps to tell damage by."""
    found = zlib.crc32(text.encode())
    for name in sorted(arrays):
        found = crc32(arrays[name], zlib.crc32(name.encode(), found))
    return {_KEY: str(found)}


def fit(kept: Mapping[str, str], arrays: Mapping[str, np.ndarray], text: str = "") -> bool:
    """Whether arrays and text are those of the metadata; an older Duet's may have no checksum."""
    return _KEY not in kept or kept[_KEY] == metadata(arrays, text)[_KEY]
