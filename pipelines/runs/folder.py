"""The folder of a run: never overwritten; filled atomically, or resumed."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from duet import files
from pipelines.runs.config import read_config, write_config

CONFIG = "config.yaml"


def check_free(out: str | Path, names: Iterable[str]) -> Path:
    """`out` as a path; FileExistsError where it is a file or already holds one of `names`."""
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise FileExistsError(f"{out} is a file; --out takes a folder")
    held = [name for name in names if (out / name).exists()]
    if held:
        raise FileExistsError(f"{out} already holds {held[0]}; give another --out")
    return out


@contextmanager
def filled_at_once(out: Path) -> Iterator[Path]:
    """A temporary folder inside `out`, which is made; at the end its files move up into `out`.

    If the block fails they are removed, and nothing of them is seen under its final name.
    Raises PermissionError before the block where nothing can be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=out, prefix=".unfinished-"))
    except OSError as error:
        raise PermissionError(f"{out} cannot be written: {error.strerror}") from None
    try:
        yield staging
        for path in sorted(staging.iterdir()):
            os.replace(path, out / path.name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


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
        begun, wanted = read_config(out / CONFIG), asdict(options)
        changed = [
            f"{key} was {begun.get(key)!r}, not {value!r}"
            for key, value in wanted.items()
            if key not in ("out", *free)  # the folder may have been moved
            and begun.get(key) != value
        ]
        if changed:
            raise ValueError(
                f"{out} holds a run begun with other options ({'; '.join(changed)}); "
                "give those again to go on, or another --out"
            )
    elif out.is_dir() and any(not files.is_leftover(path) for path in out.iterdir()):
        raise FileExistsError(f"{out} exists and is not empty; give another --out")
    return out


def claim(out: Path, options: Any) -> None:
    """Make the folder and write its `config.yaml`, by which the run is known again."""
    if (out / CONFIG).is_file():
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_config(options, out / CONFIG)
    except OSError as error:
        raise PermissionError(f"{out} cannot be written: {error.strerror}") from None
