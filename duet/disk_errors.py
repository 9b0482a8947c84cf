"""Why a file cannot be written, and how much room there is."""

import contextlib
import errno
import os
import shutil
from pathlib import Path

_REFUSED = {
    errno.ENOSPC: "no space left",
    errno.EDQUOT: "quota exceeded",
    errno.EROFS: "read-only file system",
    errno.EACCES: "permission denied",
    errno.EFBIG: "larger than a file may be here",
}


class CannotWriteError(OSError):
    """A file that cannot be written; the message names it, the reason and the room there is."""

    def __init__(self, message: str, number: int | None = None):
        super().__init__(message)
        self.errno = number

    def __reduce__(self) -> tuple:
        return type(self), (str(self), self.errno)  # from a worker process


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


def refusal(error: BaseException, *, of: Path) -> int | None:
    """The errno of a disk that refuses, also where a library tells it in words of its own.

    of: the folder that is written; what is said of a file elsewhere, which is read, is none.
    """
    if isinstance(error, CannotWriteError):
        return None
    if isinstance(error, OSError) and _is_elsewhere(error.filename, of.absolute()):
        return None
    if isinstance(error, OSError) and error.errno in _REFUSED:
        return error.errno
    text = str(error)
    found = [n for n in _REFUSED if f"(os error {n})" in text or os.strerror(n) in text]
    return found[0] if found and isinstance(error, Exception) else None


def _is_elsewhere(name: object, folder: Path) -> bool:
    """Whether a file, if it is the name of one, is neither in a folder nor above it."""
    if not isinstance(name, str | bytes):
        return False
    path = Path(os.fsdecode(name)).absolute()
    return not path.is_relative_to(folder) and not folder.is_relative_to(path)


def cannot_write(path: Path, number: int | None, *, written: int = 0) -> CannotWriteError:
    reason = _REFUSED.get(number or 0) or os.strerror(number or errno.EIO).lower()
    room = _room(path, written) if number in (errno.ENOSPC, errno.EDQUOT) else ""
    return CannotWriteError(f"{path}: cannot be written: {reason}{room}", number)


def size(path: Path) -> int:
    """Bytes of a file or of a folder's files, as far as they were written."""
    paths = path.rglob("*") if path.is_dir() else [path]
    with contextlib.suppress(OSError):
        return sum(each.stat().st_size for each in paths if each.is_file())
    return 0


def _room(path: Path, written: int) -> str:
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(_there(path)).free
        return f" (it takes more than {_mb(written)}; {_mb(free)} are free)"
    return ""


def _there(path: Path) -> Path:
    """The folder itself, or the lowest one above it that exists."""
    return next(each for each in (path.absolute(), *path.absolute().parents) if each.is_dir())


def _mb(number: float) -> str:
    return f"{number / 1e6:,.{0 if number >= 1e7 else 1}f} MB"
