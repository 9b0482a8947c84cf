"""How many CPU cores this process may use: of a machine with many a container may have two."""

import contextlib
import math
import os
import sys
from pathlib import Path

CONTROL_GROUPS = Path("/sys/fs/cgroup")  # as a container sees its own


def usable(groups: Path = CONTROL_GROUPS) -> int:
    """Returns the cores that the process is bound to, or that its container's time is enough for.

    A thread for each core of the machine would instead hold an image each, for no gain.

    Args:
        groups: where Linux has the limits of control groups, of version 2 or 1.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(bound or 1, _quota(groups)))


def _quota(groups: Path) -> int:
    """Cores that the CPU time of a container is enough for; all of them without a limit."""
    for files in (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"]):
        with contextlib.suppress(OSError, ValueError):
            words = " ".join((groups / name).read_text("ascii") for name in files).split()
            quota, period = map(int, words)  # "max" and -1 are no limit
            if quota > 0 and period > 0:
                return math.ceil(quota / period)
    return sys.maxsize
