"""Report which worker of a distributed run is gone, in one line."""

import contextlib
import json
import os
import re
from collections.abc import Iterator
from typing import Any

from pipelines.runs import strategy as strategies

_TASK = re.compile(r"/job:(\w+)/replica:\d+/task:(\d+)")


@contextlib.contextmanager
def named(strategy: Any) -> Iterator[None]:
    """Turns what TensorFlow raises when another worker does not answer into a line that names it.

    Raises:
        RuntimeError: in its place.
    """
    index, count = strategies.worker(strategy)
    if count == 1:
        yield
        return
    import tensorflow as tf

    lost = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError)
    try:
        yield
    except lost as error:
        raise RuntimeError(
            f"{_which(str(error), own=index, count=count)} does not answer any more; give the same "
            "command to all workers again, and they go on from the last checkpoint"
        ) from None


def _which(said: str, *, own: int, count: int) -> str:
    """The worker that a message of TensorFlow names, or the only other one."""
    found = [int(number) for _, number in _TASK.findall(said) if int(number) != own]
    others = found[:1] or [each for each in range(count) if each != own]
    if len(others) > 1:
        return f"another one of the {count} workers"
    hosts = json.loads(os.environ["TF_CONFIG"])["cluster"].get("worker", [])
    where = f" ({hosts[others[0]]})" if others[0] < len(hosts) else ""
    return f"worker {others[0]} of {count}{where}"
