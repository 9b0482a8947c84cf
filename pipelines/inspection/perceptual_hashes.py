"""Perceptual hashes of 64 bits, and pairs within a few bits."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from PIL import Image

BITS = 64

DISTANCE = 8  # bits in which copies may differ: re-encoding changes 0 to 8, chance 32

_AT_ONCE = 4_000_000  # pairs


def perceptual_hash(image: Image.Image) -> np.uint64:
    """pHash: which of the 8 x 8 lowest frequencies of the greyscale image exceed their median.

    Scaling, re-encoding and a change of brightness hardly alter it; a crop or a mirror does.
    Zauner 2010, "Implementation and benchmarking of perceptual image hash functions", section 3.2.
    """
    from scipy.fft import dctn

    grey = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.BOX), np.float32)
    lowest = dctn(grey, norm="ortho")[:8, :8].ravel()
    return np.packbits(lowest > np.median(lowest[1:])).view(np.uint64)[0]


def near_pairs(hashes: np.ndarray, *, distance: int = DISTANCE) -> np.ndarray:
    """Pairs of places whose hashes differ in at most `distance` bits: int64 [p, 2], each once.

    Of `distance + 1` bands of bits such a pair has at least one in common, so that only hashes
    that share a band are compared.

    Args:
        hashes: uint64 [n].
        distance: 0 to 63.
    """
    found = [np.empty((0, 2), np.int64)]
    edges = np.linspace(0, BITS, distance + 2).round().astype(int).tolist()
    for low, high in pairwise(edges):
        mask = np.uint64((1 << (high - low)) - 1)
        keys = (hashes >> np.uint64(low)) & mask
        order = np.argsort(keys, kind="stable")
        starts = np.flatnonzero(np.diff(keys[order])) + 1
        for places in np.split(order, starts):
            found.extend(_within(places, hashes, distance))
    return np.unique(np.concatenate(found), axis=0)


def _within(places: np.ndarray, hashes: np.ndarray, distance: int) -> Iterator[np.ndarray]:
    """The pairs of a bucket, compared a block of rows at a time."""
    rows = max(1, _AT_ONCE // max(len(places), 1))
    for first in range(0, len(places) - 1, rows):
        block = hashes[places[first : first + rows], None] ^ hashes[places[None, :]]
        a, b = np.nonzero(np.bitwise_count(block) <= distance)
        a = a + first
        pairs = np.stack([places[a[a < b]], places[b[a < b]]], axis=1)
        yield np.sort(pairs, axis=1)
