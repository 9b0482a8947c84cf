"""Checksums of arrays, by which damaged files are noticed."""

import zlib

import numpy as np


def crc32(array: np.ndarray, before: int = 0) -> int:
    """The CRC-32 of an array's bytes behind those of checksum `before`, at some 2 GB/s."""
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, before)
