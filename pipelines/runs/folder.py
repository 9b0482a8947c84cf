"""The folder of a run: never overwritten; filled atomically, or resumed."""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from duet import atomic_files, disk_errors, folder_locks
from pipelines.runs.option_parsing import read_config, write_config

CONFIG = "config.yaml"
RECORDS = "manifest.json"  # in a folder of them

UNREAD = ("out", "features")  # options whose files do not decide what a command writes

_FAILURES = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # faults of the disk, not of the input


def check_free(out: str | Path, names: Iterable[str]) -> Path:
    """`out` as a path; FileExistsError where it is a file, holds records or one of `names`."""
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise FileExistsError(f"{out} is a file; --out takes a folder")
    atomic_files.sweep(out)
    held = [name for name in (RECORDS, *names) if (out / name).exists()]
    if held:
        raise FileExistsError(f"{out} already holds {held[0]}; give another --out")
    return out


@contextmanager
def filled_at_once(out: Path) -> Iterator[Path]:
    """A temporary folder inside `out`, which is made; at the end its files move up into `out`.

    If the block fails, or the process is killed, nothing of them is seen under its final name.

    Raises:
        folder_locks.InUseError: another process is at work in `out`.
        PermissionError: `out` cannot be made or written.
        disk_errors.CannotWriteError: the disk is full or read-only.
    """
    with held(out), atomic_files.together(out) as staging:
        yield staging


@contextmanager
def held(out: Path, *, writes: bool = True) -> Iterator[None]:
    """Hold the folder of a run for this process, if it is the one that writes.

    Raises:
        folder_locks.InUseError: another process is at work in it.
        PermissionError: it cannot be made or written.
    """
    with ExitStack() as stack:
        with _naming(out):
            stack.enter_context(folder_locks.locked(out) if writes else nullcontext())
        yield


@contextmanager
def _naming(out: Path) -> Iterator[None]:
    """A folder that cannot be written is wrong input, unless the disk is to blame."""
    try:
        yield
    except disk_errors.CannotWriteError as error:
        if error.errno is None or error.errno in _FAILURES:
            raise
        raise PermissionError(f"{out} cannot be written: {os.strerror(error.errno)}") from None


def tidy(out: Path) -> None:
    """Takes away what a killed process left in the folder of a run, its lock too.

    Raises:
        folder_locks.InUseError: another process is at work in it.
    """
    if out.is_dir() and any(folder_locks.is_trace(path) for path in out.iterdir()):
        with held(out):
            pass


def is_finished(
    out: str | Path, options: Any, *, finished: str, free: tuple[str, ...] = ()
) -> bool:
    """Whether a run with the same options has come to its end in `out`; as `check_resumable`.

    Takes away what it left where it was killed as it ended.
    """
    out = Path(out)
    ended = (out / finished).is_file() and (out / CONFIG).is_file()
    if ended := ended and not changed(out, options, free):
        tidy(out)
    return ended


def is_unchanged(
    out: str | Path, options: Any, *, finished: str, free: tuple[str, ...] = ()
) -> bool:
    """As `is_finished`, of a command that keeps no fingerprints of what it reads: whether also
    nothing that the options name has `changed_since`."""
    out = Path(out)
    tidy(out)  # it may take back what was half moved
    if not is_finished(out, options, finished=finished, free=free):
        return False
    return not changed_since(out / finished, options)


def changed_since(file: Path, options: Any) -> bool:
    """Whether a file or folder that the options name, but those beside `file` and the feature
    cache, has changed since `file` was written, or taken another's place, which may be older."""
    values = [value for key, value in asdict(options).items() if key not in UNREAD]
    texts = [text for value in values for text in (value if isinstance(value, list) else [value])]
    paths = [Path(text) for text in texts if isinstance(text, str) and os.path.exists(text)]
    own = file.parent.resolve()
    times = [path.stat().st_ctime for path in paths if not own.is_relative_to(path.resolve())]
    for path in paths:
        found = path.rglob("*") if path.is_dir() else [path]
        times += [
            each.stat().st_mtime
            for each in found
            if each.exists() and not each.resolve().is_relative_to(own)
        ]
    return max(times, default=0.0) > file.stat().st_mtime


def check_resumable(
    out: str | Path, options: Any, *, finished: str | None, free: tuple[str, ...] = ()
) -> Path:
    """`out` as a path, where a run can be begun, or one with the same options gone on with.

    Writes nothing. `finished` is the file that a run leaves at its end, None where it may be gone
    on with all the same; `free` are options that may change.

    Raises:
        FileExistsError: `out` is a file, holds something else, or the run in it is finished.
        ValueError: a run with other options was begun in it; names the options.
    """
    out = check_free(out, ())
    if finished and (out / finished).exists():
        raise FileExistsError(f"{out} holds a finished run ({finished}); give another --out")
    if (out / CONFIG).is_file():
        if others := changed(out, options, free):
            raise ValueError(
                f"{out} holds a run begun with other options ({'; '.join(others)}); "
                "give those again to go on, or another --out"
            )
    elif out.is_dir() and any(not folder_locks.is_trace(path) for path in out.iterdir()):
        raise FileExistsError(f"{out} exists and is not empty; give another --out")
    return out


def changed(out: Path, options: Any, free: tuple[str, ...]) -> list[str]:
    """What differs between the options of a run in `out` and these, in words."""
    begun, wanted = read_config(out / CONFIG), asdict(options)
    defaults = {field.name: field.default for field in fields(options)}
    return [
        f"{key} was {begun.get(key)!r}, not {value!r}"
        for key, value in wanted.items()
        if key not in ("out", *free)  # the folder may have been moved
        and begun.get(key, defaults[key]) != value  # it may have been begun by an older version
    ]


def claim(out: Path, options: Any) -> None:
    """Make the folder and write its `config.yaml`, by which the run is known again."""
    if not (out / CONFIG).is_file():
        with _naming(out):
            write_config(options, out / CONFIG)
