"""One thread for small matrix products: waiting for a second takes longer than its share."""

import contextlib
from collections.abc import Iterator
from functools import cache
from typing import Any

#: Multiplications of one product from which on more threads are worth it: tens of milliseconds.
LARGE = 2**30


@contextlib.contextmanager
def as_needed(multiplications: int) -> Iterator[None]:
    """Within it BLAS has one thread if products take fewer multiplications than `LARGE`.

    Threads of OpenBLAS wait for each other by spinning. Where others compute too, solvers that
    call products of milliseconds take ten times as long with two threads as with one.
    """
    if multiplications >= LARGE:
        yield
        return
    with _libraries().limit(limits=1, user_api="blas"):
        yield


@cache
def _libraries() -> Any:
    import numpy  # noqa: F401  its BLAS and SciPy's have to be loaded to be found
    import scipy.linalg  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
