"""Silence warnings in threads: `warnings.catch_warnings` restores them in the wrong order there."""

import contextlib
import threading
import warnings
from collections.abc import Iterator

_LOCK = threading.Lock()
_inside = 0
_before = warnings.catch_warnings()


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """No warning is shown in this process until the last thread has left."""
    global _inside, _before
    with _LOCK:
        if not _inside:
            _before = warnings.catch_warnings()
            _before.__enter__()
            warnings.simplefilter("ignore")
        _inside += 1
    try:
        yield
    finally:
        with _LOCK:
            _inside -= 1
            if not _inside:
                _before.__exit__(None, None, None)
