"""The folder of a run: never overwritten, and filled all at once."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any


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


def claim(out: str | Path, options: Any, *, finished: str) -> Path:
    """Make the folder of a run that can be stopped and gone on with, or find it again.

    `config.yaml` is written first: who comes back with the same options goes on.

    Raises:
        FileExistsError: `out` is a file, holds something else, or the run in it is `finished`.
        ValueError: a run with other options was begun in it; names the options.
    """
    from pipelines.runs.config import read_config, write_config

    out = check_free(out, [finished])
    config = out / "config.yaml"
    if config.is_file():
        begun, wanted = read_config(config), asdict(options)
        changed = [
            f"{key} was {begun.get(key)!r}" for key in wanted if begun.get(key) != wanted[key]
        ]
        if changed:
            raise ValueError(
                f"{out} holds a run begun with other options ({', '.join(changed)}); "
                "give those again to go on, or another --out"
            )
        return out
    if out.is_dir() and any(out.iterdir()):
        raise FileExistsError(f"{out} exists and is not empty; give another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_config(options, config)
    return out
