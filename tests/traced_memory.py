"""Measure what code allocates."""

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def traced_memory() -> Iterator[Callable[[], int]]:
    """Yields a function that returns the most bytes that were held at once inside, until then."""
    peaks: list[int] = []
    tracemalloc.start()
    try:
        yield lambda: peaks[0] if peaks else tracemalloc.get_traced_memory()[1]
        peaks.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
