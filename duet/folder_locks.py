"""Locks on folders: one process at a time is at work in one."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from duet import atomic_files, disk_errors

LOCK = ".lock"

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # some network file systems'


class InUseError(OSError):
    """A folder in which another process is at work."""


def is_trace(path: Path) -> bool:
    """Whether it is a lock or an unfinished file: Duet's, of a process alive or dead."""
    return path.name == LOCK or path.name.startswith(atomic_files.PREFIX)


@contextlib.contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """Hold a folder, which is made if missing, for this process alone; sweeps it first.

    The lock is the kernel's: it is gone with the process, however that ends. Processes started by
    it do not hold it. A folder that was made for it and stayed empty goes with it.

    Raises:
        InUseError: another process holds it.
        CannotWriteError: the folder cannot be made or written.
    """
    folder = Path(folder)
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    handle = _held(folder)
    try:
        atomic_files.sweep(folder, alone=True)
        yield
    finally:
        (folder / LOCK).unlink(missing_ok=True)  # while held: no other process's is removed
        os.close(handle)
        with contextlib.suppress(OSError):  # there is something in it now
            for each in made:
                each.rmdir()


def _held(folder: Path) -> int:
    """A handle on the lock of a folder, held."""
    path = folder / LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.suppress(FileNotFoundError):
                if os.stat(path).st_ino == os.fstat(handle).st_ino:
                    return handle
            os.close(handle)  # its holder removed it in between
    except BlockingIOError:
        os.close(handle)
        raise InUseError(f"{folder} is in use by another process; wait for it") from None
    except OSError as error:
        if error.errno in _NO_LOCKS:
            said = f"{folder}: its file system has no locks (flock); choose a folder elsewhere"
            raise disk_errors.CannotWriteError(said, error.errno) from None
        raise disk_errors.cannot_write(folder, error.errno) from None
