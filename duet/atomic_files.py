"""Atomic writes, and removal of what killed processes left unfinished.

The one place where Duet writes beside a file and renames. A name is seen with all of its content
or not at all, whatever kills the process; what a killed process left is known by its name,
`.unfinished.WRITER.NAME`, and removed by the next one that writes there. A writer is the number of
a process, when it was started (in a container the next one has the same number), its machine (in
a folder that several share, nobody can ask whether another's process runs), and a count, as two
threads may write one name.
"""

import contextlib
import glob
import itertools
import json
import os
import shutil
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from duet import disk_errors

PREFIX = ".unfinished."
_MOVING, _NAMES = "moving", ".names"  # of `together`


def _machine() -> str:
    """The computer, and on it the container, in which processes have their numbers."""
    space = ""
    with contextlib.suppress(OSError):
        space = os.readlink("/proc/self/ns/pid")
    return f"{zlib.crc32(f'{os.uname().nodename} {space}'.encode()):08x}"


_MACHINE = _machine()

_COUNT = itertools.count()

_SILENCE, _MOMENT = 86_400, 60  # seconds in which another machine's process changes its file

_LONG, _END = 90, 20  # bytes of a name, and characters that are kept of a longer one

_tidied: set[tuple[int, str]] = set()  # processes with the folders whose leftovers they removed


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, which takes its name when the block ends.

    The block makes a file or a folder there. A file is flushed to the disk and gets the
    permissions that the user's umask gives; `path` is replaced. If the block fails, `path` stays
    as it was and nothing is left. The folder of `path` is made if it is missing.

    Raises:
        CannotWriteError: no room, no permission, or a read-only file system; or `path` is a pipe or
            a device, such as /dev/null, in whose place a file would be.

    Example:
        >>> with atomic("model.keras") as unfinished:
        ...     model.save(unfinished)
    """
    path = Path(path)
    unfinished = path.with_name(f"{PREFIX}{_writer()}.{_short(path.name)}")
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            said = f"{path}: a pipe or a device; expected a file's name"
            raise disk_errors.CannotWriteError(said)
        path.parent.mkdir(parents=True, exist_ok=True)
        _tidy(path.parent)
        yield unfinished
        _settle(unfinished)
        os.replace(unfinished, path)
    except BaseException as error:
        written = disk_errors.size(unfinished)
        remove(unfinished)
        if (number := disk_errors.refusal(error, of=path.parent)) is not None:
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
    folder, writer = Path(folder), _writer()
    staging, moving = folder / f"{PREFIX}{writer}.staging", folder / f"{PREFIX}{writer}.{_MOVING}"
    try:
        sweep(folder)
        staging.mkdir(parents=True)
        yield staging
        names = sorted(path.name for path in staging.iterdir())
        (staging / _NAMES).write_text(json.dumps(names), encoding="utf-8")
        for path in staging.rglob("*"):
            _settle(path)
        os.replace(staging, moving)
        for name in names:
            os.replace(moving / name, folder / name)
        remove(moving)
    except BaseException as error:
        written = disk_errors.size(staging)
        remove(staging)
        _take_back(moving)
        if (number := disk_errors.refusal(error, of=folder)) is not None:
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


def is_leftover(path: Path, *, alone: bool = False) -> bool:
    """Whether a killed process left this: an unfinished file whose writer is gone.

    Another machine's writer is gone if it did not change the file for a day, or, with `alone`,
    anyhow: nobody else may be at work there.
    """
    if not path.name.startswith(PREFIX):
        return False
    writer = path.name.removeprefix(PREFIX).split(".", 1)[0]
    number, started, machine, *_ = [*writer.split("-"), "", ""]
    if not number.isdecimal():
        return False
    if machine not in ("", _MACHINE):
        return alone or _is_silent(path)
    if not _is_running(int(number)):
        return True
    return bool(started) and _started(int(number)) not in ("", started)


def sweep(folder: str | Path, *, alone: bool = False) -> None:
    """Remove what killed processes left unfinished in a folder and in those below it.

    alone: this process holds the lock of the folder; see `is_leftover`.
    """
    for path in sorted(Path(folder).rglob(f"{PREFIX}*")):
        if is_leftover(path, alone=alone):
            _remove_leftover(path)


def _remove_leftover(path: Path) -> None:
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
    if path.is_symlink() or path.is_dir():  # what a link leads to is not ours
        return
    umask = os.umask(0)
    os.umask(umask)
    with contextlib.suppress(PermissionError):  # file systems that have none, as of memory cards
        os.chmod(path, 0o666 & ~umask)  # some libraries write for the owner alone
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _tidy(folder: Path) -> None:
    """Remove what killed processes left in a folder, once: of many files it takes a while."""
    here = os.getpid(), os.path.abspath(folder)
    if here not in _tidied:
        _tidied.add(here)
        for name in glob.glob(f"{PREFIX}*", root_dir=folder):
            if is_leftover(folder / name):
                _remove_leftover(folder / name)


def _short(name: str) -> str:
    """A file's name, or one in its place that leaves room for a writer before it."""
    data = os.fsencode(name)
    return name if len(data) <= _LONG else f"{zlib.crc32(data):08x}{name[-_END:]}"


def _writer() -> str:
    """Who writes a file, for its name: no two writers in one folder are the same."""
    number = os.getpid()
    return f"{number}-{_started(number)}-{_MACHINE}-{next(_COUNT)}"


def _started(number: int) -> str:
    """When a process was started, where the system says so; else nothing."""
    with contextlib.suppress(OSError, IndexError):  # a process's name may be cut inside a letter
        return Path(f"/proc/{number}/stat").read_bytes().rpartition(b")")[2].split()[19].decode()
    return ""


def _is_silent(path: Path) -> bool:
    """Whether a file of another machine's process was not changed for long."""
    longest = _MOMENT if path.name.endswith(f".{_MOVING}") else _SILENCE
    with contextlib.suppress(FileNotFoundError):
        return time.time() - path.lstat().st_mtime > longest
    return False


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
