"""Perceptual hashes of 64 bits, and pairs within a few bits."""

from collections.abc import Iterator
from itertools import combinations, pairwise

import numpy as np
from PIL import Image

BITS = 64

DISTANCE = 8  # bits in which copies may differ: re-encoding changes 0 to 8, chance 32

_AT_ONCE = 4_000_000  # pairs

_FLIPPED = 2  # bits of a band

_TABLE = 1 << 22


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

    Of few bands of bits such a pair has one that differs in at most `_FLIPPED`, so that a hash is
    compared only with those whose band is its own with so many bits flipped. Bands are long, for
    hashes that share a short one by chance grow with the square of their number.

    Args:
        hashes: uint64 [n].
        distance: 0 to 63.
    """
    count = len(hashes)
    bands = distance // (_FLIPPED + 1) + 1
    edges = np.linspace(0, BITS, bands + 1).round().astype(int).tolist()
    found = [np.empty(0, np.int64)]
    for low, high in pairwise(edges):
        keys = (hashes >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
        order = np.argsort(keys, kind="stable")
        near = hashes[order]
        for own, others in _candidates(keys[order], high - low, flipped=distance // bands):
            close = np.bitwise_count(near[own] ^ near[others]) <= distance
            a, b = order[own[close]], order[others[close]]
            found.append(np.minimum(a, b) * count + np.maximum(a, b))
    pairs = np.unique(np.concatenate(found))
    return np.stack(np.divmod(pairs, max(count, 1)), axis=1)


def _candidates(
    keys: np.ndarray, bits: int, *, flipped: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of places in sorted keys, uint64 [n] of so many bits, that differ in at most `flipped`
    bits; each once, about `_AT_ONCE` at a time."""
    unique, starts, sizes = np.unique(keys, return_index=True, return_counts=True)
    ends, every = starts + sizes, np.arange(len(keys))
    yield from _ranges(every, every + 1, np.repeat(ends, sizes))
    low = np.uint64(_TABLE - 1)
    there = np.zeros(_TABLE, bool)  # most keys with flipped bits are nobody's
    there[unique & low] = True
    for several in range(1, flipped + 1):
        for places in combinations(range(bits), several):
            other = unique ^ np.uint64(sum(1 << place for place in places))
            own = np.flatnonzero((unique < other) & there[other & low])
            at = np.minimum(np.searchsorted(unique, other[own]), len(unique) - 1)
            met = unique[at] == other[own]
            own, at = own[met], at[met]
            repeated = np.repeat(starts[own] - np.cumsum(sizes[own]) + sizes[own], sizes[own])
            rows = repeated + np.arange(len(repeated))
            yield from _ranges(rows, *(np.repeat(edge[at], sizes[own]) for edge in (starts, ends)))


def _ranges(
    own: np.ndarray, starts: np.ndarray, ends: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each place with all those of its range, some places at a time."""
    sizes = ends - starts
    totals = np.cumsum(sizes)
    first = 0
    while first < len(own):
        before = totals[first] - sizes[first]
        last = max(first + 1, int(np.searchsorted(totals, before + _AT_ONCE, side="right")))
        some = sizes[first:last]
        offsets = starts[first:last] - (totals[first:last] - some - before)
        others = np.repeat(offsets, some) + np.arange(some.sum())
        yield np.repeat(own[first:last], some), others
        first = last
