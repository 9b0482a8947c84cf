"""Rows of a large array in blocks: what is computed on the way then takes no memory of its size."""

from collections.abc import Iterator

AT_ONCE = 1 << 18  # numbers: two megabytes


def of(shape: tuple[int, ...]) -> Iterator[slice]:
    """Yields the rows of an array [n, c] in blocks of `AT_ONCE` numbers or one row."""
    count = max(1, AT_ONCE // max(shape[1], 1))
    for first in range(0, shape[0], count):
        yield slice(first, first + count)
