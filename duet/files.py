"""Atomic writes, removal of unfinished files, and locks on folders.

The one place where Duet writes beside a file and renames. A name is seen with all of its content
or not at all, whatever kills the process; what a killed process left is known by its name,
`.unfinished.WRITER.NAME`, and removed by the next one that writes there. A writer is the number of
a process and when it was started: in a container the next one has the same number.
"""

import contextlib
import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

_PREFIX = ".unfinished."
_REFUSED = {
    errno.ENOSPC: "no space left",
    errno.EDQUOT: "quota exceeded",
    errno.EROFS: "read-only file system",
    errno.EACCES: "permission denied",
    errno.EFBIG: "larger than a file may be here",
}
LOCK = ".lock"
_MOVING, _NAMES = "moving", ".names"  # of `together`


class CannotWriteError(OSError):
    """A file that cannot be written; the message names it, the reason and the room there is."""

    def __init__(self, message: str, number: int | None = None):
        super().__init__(message)
        self.errno = number

    def __reduce__(self) -> tuple:
        return type(self), (str(self), self.errno)  # from a worker process


class InUseError(OSError):
    """A folder in which another process is at work."""


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, which takes its name when the block ends.

    The block makes a file or a folder there. A file is flushed to the disk and gets the
    permissions that the user's umask gives; `path` is replaced. If the block fails, `path` stays
    as it was and nothing is left. The folder of `path` is made if it is missing.

    Raises:
        CannotWriteError: no room, no permission, or a read-only file system.

    Example:
        >>> with atomic("model.keras") as unfinished:
        ...     model.save(unfinished)
    """
    path = Path(path)
    unfinished = path.with_name(f"{_PREFIX}{_writer(os.getpid())}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path.parent, path.name)
        yield unfinished
        _settle(unfinished)
        os.replace(unfinished, path)
    except BaseException as error:
        written = _size(unfinished)
        remove(unfinished)
        if (number := _refusal(error)) is not None:
            raise _cannot_write(path, number, written=written) from None
        raise


@contextlib.contextmanager
def together(folder: str | Path) -> Iterator[Path]:
    """A temporary folder whose files, when the block ends, appear in `folder` all or none.

    Moving several files is several steps: a process that is killed between them leaves the list of
    what it moved, and `sweep` takes that back. Call it where none of the names is taken.

    Raises:
        CannotWriteError: no room, no permission, or a read-only file system.
    """
    folder = Path(folder)
    staging = folder / f"{_PREFIX}{_writer(os.getpid())}.staging"
    moving = staging.with_name(f"{_PREFIX}{_writer(os.getpid())}.{_MOVING}")
    try:
        sweep(folder)
        staging.mkdir(parents=True)
        yield staging
        names = sorted(path.name for path in staging.iterdir())
        for path in staging.rglob("*"):
            _settle(path)
        (staging / _NAMES).write_text(json.dumps(names), encoding="utf-8")
        os.replace(staging, moving)
        for name in names:
            os.replace(moving / name, folder / name)
        remove(moving)
    except BaseException as error:
        written = _size(staging)
        remove(staging)
        _take_back(moving)
        if (number := _refusal(error)) is not None:
            raise _cannot_write(folder, number, written=written) from None
        raise


def write(path: str | Path, content: str | bytes) -> None:
    """Write text, as UTF-8, or bytes under `path`, in whole or not at all; see `atomic`.

    Of names of files that are no text, the bytes that are none become escapes, as JSON has them.
    """
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    with atomic(path) as unfinished:
        unfinished.write_bytes(data)


def append(path: str | Path, data: bytes) -> None:
    """Add bytes to the end of a file, flushed to the disk.

    A process that is killed, or a disk that fills up, may leave a part of them.

    Raises:
        CannotWriteError: no room, no permission, or a read-only file system.
    """
    try:
        with open(path, "ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _cannot_write(Path(path), error.errno, written=len(data)) from None


def room(folder: str | Path, needed: float, *, what: str) -> str:
    """What will be written and what is free, in a line, before a long run.

    Args:
        folder: where, made or not.
        needed: bytes, at most.
        what: that needs them, in words.

    Raises:
        CannotWriteError: fewer bytes are free.
    """
    free = shutil.disk_usage(_there(Path(folder))).free
    said = f"{what}: at most {_mb(needed)} in {folder}, where {_mb(free)} are free"
    if free < needed:
        raise CannotWriteError(f"no space left for {said}", errno.ENOSPC)
    return said


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def is_leftover(path: Path) -> bool:
    """Whether a killed process left this: an unfinished file whose writer is gone."""
    if not path.name.startswith(_PREFIX):
        return False
    writer = path.name.removeprefix(_PREFIX).split(".", 1)[0]
    number = writer.partition("-")[0]
    if not number.isdigit():
        return False
    if not _is_running(int(number)):
        return True
    running = _writer(int(number))
    return running != number and writer not in (number, running)


def sweep(folder: str | Path) -> None:
    """Remove what killed processes left unfinished in a folder and in those below it."""
    for path in sorted(Path(folder).rglob(f"{_PREFIX}*")):
        if is_leftover(path):
            _take_back(path) if path.name.endswith(f".{_MOVING}") else remove(path)


def is_trace(path: Path) -> bool:
    """Whether it is a lock or an unfinished file: Duet's, of a process alive or dead."""
    return path.name == LOCK or path.name.startswith(_PREFIX)


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
        sweep(folder)
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
        raise _cannot_write(folder, error.errno) from None


def _take_back(moving: Path) -> None:
    """Remove what a process that was killed in `together` had moved already."""
    if not moving.is_dir():
        return
    with contextlib.suppress(FileNotFoundError):
        for name in json.loads((moving / _NAMES).read_text(encoding="utf-8")):
            if not (moving / name).exists():
                remove(moving.parent / name)
    remove(moving)


def _settle(path: Path) -> None:
    """Flush to the disk; give the permissions that the umask gives."""
    if path.is_dir():
        return
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(path, 0o666 & ~umask)  # some libraries write for the owner alone
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _remove_leftovers(folder: Path, name: str) -> None:
    for path in folder.glob(f"{_PREFIX}*.{name}"):
        if is_leftover(path):
            remove(path)


def _writer(pid: int) -> str:
    """A running process's number, and when it was started where the system says so."""
    with contextlib.suppress(OSError, IndexError):
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        return f"{pid}-{ticks}"
    return str(pid)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _refusal(error: BaseException) -> int | None:
    """The errno of a disk that refuses, also where a library tells it in words of its own."""
    if isinstance(error, CannotWriteError | InUseError):
        return None
    if isinstance(error, OSError) and error.errno in _REFUSED:
        return error.errno
    text = str(error)
    found = [n for n in _REFUSED if f"(os error {n})" in text or os.strerror(n) in text]
    return found[0] if found and isinstance(error, Exception) else None


def _cannot_write(path: Path, number: int | None, *, written: int = 0) -> CannotWriteError:
    reason = _REFUSED.get(number or 0) or os.strerror(number or errno.EIO).lower()
    room = _room(path, written) if number in (errno.ENOSPC, errno.EDQUOT) else ""
    return CannotWriteError(f"{path}: cannot be written: {reason}{room}", number)


def _room(path: Path, written: int) -> str:
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(_there(path)).free
        return f" (it takes more than {_mb(written)}; {_mb(free)} are free)"
    return ""


def _size(path: Path) -> int:
    """Bytes of a file or of a folder's files, as far as they were written."""
    paths = path.rglob("*") if path.is_dir() else [path]
    with contextlib.suppress(OSError):
        return sum(each.stat().st_size for each in paths if each.is_file())
    return 0


def _there(path: Path) -> Path:
    """The folder itself, or the lowest one above it that exists."""
    return next(each for each in (path.absolute(), *path.absolute().parents) if each.is_dir())


def _mb(number: float) -> str:
    return f"{number / 1e6:,.{0 if number >= 1e7 else 1}f} MB"
