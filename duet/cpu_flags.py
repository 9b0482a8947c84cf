"""What this machine's CPU can do, as Linux lists it."""

import functools
from pathlib import Path


@functools.cache
def flags() -> frozenset[str]:
    """Returns the words on the first core, of which the others are copies; none elsewhere."""
    try:
        return frozenset(Path("/proc/cpuinfo").read_text().split("\n\n")[0].split())
    except OSError:
        return frozenset()
