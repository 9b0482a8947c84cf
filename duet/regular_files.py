"""Read files that end: a pipe or a device with an image's name would be waited for for ever."""

import os
import stat
from pathlib import Path


def read_regular(path: str | Path) -> bytes:
    """Returns the bytes of a file.

    Raises OSError if it cannot be read, or is a pipe, a socket, a device or a folder.
    """
    with open(path, "rb", opener=_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{path} is no file, but a pipe or a device")
        return file.read()


def check_regular(path: str | Path) -> None:
    """Raise OSError for a pipe, a socket, a device or a folder, before a library opens it."""
    if Path(path).exists() and not Path(path).is_file():
        raise OSError(f"{path} is no file, but a pipe, a device or a folder")


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
