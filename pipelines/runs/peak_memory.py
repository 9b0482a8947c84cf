"""Peak memory of this process."""

import contextlib
import resource
import sys
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")

_FORGET_PEAK = "5"  # see `man proc_pid_clear_refs`


def peak_rss_bytes() -> int:
    """In bytes, since the process was started or since `forget_peak`.

    Linux's `ru_maxrss` also counts what the process was forked from, so VmHWM is read there.
    """
    with contextlib.suppress(OSError, StopIteration):
        lines = _STATUS.read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def forget_peak() -> None:
    """Count from what is held now on, where the system can: several runs in one process."""
    with contextlib.suppress(OSError):
        _CLEAR.write_text(_FORGET_PEAK)
