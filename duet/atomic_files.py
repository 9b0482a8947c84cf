"""Atomic writes, and removal of what killed processes left unfinished.

The one place where Duet writes beside a file and renames. A name is seen with all of its content
or not at all, whatever kills the process; what a killed process left is known by its name,
`.unfinished.WRITER.NAME`, and removed by the next one that writes there. A writer is the number of
a process and when it was started: in a container the next one has the same number.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from duet import disk_errors

PREFIX = ".unfinished."
_MOVING, _NAMES = "moving", ".names"  # of `together`


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
    unfinished = path.with_name(f"{PREFIX}{_writer(os.getpid())}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path.parent, path.name)
        yield unfinished
        _settle(unfinished)
        os.replace(unfinished, path)
    except BaseException as error:
        written = disk_errors.size(unfinished)
        remove(unfinished)
        if (number := disk_errors.refusal(error)) is not None:
            raise disk_errors.cannot_write(path, number, written=written) from None
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
    staging = folder / f"{PREFIX}{_writer(os.getpid())}.staging"
    moving = staging.with_name(f"{PREFIX}{_writer(os.getpid())}.{_MOVING}")
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
        written = disk_errors.size(staging)
        remove(staging)
        _take_back(moving)
        if (number := disk_errors.refusal(error)) is not None:
            raise disk_errors.cannot_write(folder, number, written=written) from None
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
        raise disk_errors.cannot_write(Path(path), error.errno, written=len(data)) from None


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def is_leftover(path: Path) -> bool:
    """Whether a killed process left this: an unfinished file whose writer is gone."""
    if not path.name.startswith(PREFIX):
        return False
    writer = path.name.removeprefix(PREFIX).split(".", 1)[0]
    number = writer.partition("-")[0]
    if not number.isdigit():
        return False
    if not _is_running(int(number)):
        return True
    running = _writer(int(number))
    return running != number and writer not in (number, running)


def sweep(folder: str | Path) -> None:
    """Remove what killed processes left unfinished in a folder and in those below it."""
    for path in sorted(Path(folder).rglob(f"{PREFIX}*")):
        if is_leftover(path):
            _take_back(path) if path.name.endswith(f".{_MOVING}") else remove(path)


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
    for path in folder.glob(f"{PREFIX}*.{name}"):
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
