"""The folder of what Duet has measured or converted once, and of no more."""

import contextlib
import os
from pathlib import Path

SETTING, USUAL = "DUET_CACHE", "~/.cache/duet"  # environment variable of the folder; empty for none


def path() -> Path | None:
    """Returns the folder; None where the user wants none, or has no home."""
    folder = os.environ.get(SETTING, USUAL)
    return expanded(folder) if folder else None


def expanded(folder: str) -> Path | None:
    """Returns a folder whose name may begin with `~`; None if there is no such home.

    A container's user has none that is only a number, without HOME.
    """
    with contextlib.suppress(RuntimeError):
        return Path(folder).expanduser()
    return None
