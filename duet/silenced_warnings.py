"""Silence warnings in threads: `warnings.catch_warnings` restores them in the wrong order there."""

import contextlib
import threading
import warnings
from collections.abc import Iterator

_LOCK = threading.Lock()
_STACK = contextlib.ExitStack()
_inside = 0


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """No warning is shown in this process until the last thread has left."""
    global _inside
    with _LOCK:
        if not _inside:
            _STACK.enter_context(warnings.catch_warnings(action="ignore"))
        _inside += 1
    try:
        yield
    finally:
        with _LOCK:
            _inside -= 1
            if not _inside:
                _STACK.close()
