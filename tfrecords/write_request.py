"""What `write` is asked for: checked, kept beside unfinished records, and compared with them."""

from __future__ import annotations

import json
from importlib.metadata import version
from numbers import Integral

from duet import atomic_files, folder_locks, json_validation
from tfrecords import schema
from tfrecords.images import reencoding
from tfrecords.manifest import FILE_NAME, Manifest
from tfrecords.shard_writing import Job
from tfrecords.sources import Source
from tfrecords.verification import verify

REQUEST = "request.json"

RUNNERS = ("local", "beam")


def check(*, runner: str, **numbers: int | None) -> None:
    for name, value in numbers.items():
        if value is not None and (not isinstance(value, Integral) or value < 1):
            raise ValueError(f"{name}: expected a whole number of at least 1, got {value}")
    if runner not in RUNNERS:
        raise ValueError(f"runner: expected one of {', '.join(RUNNERS)}, got {runner!r}")


def check_splits(names: list[str]) -> None:
    """Raises ValueError for names of splits that shards cannot be called by."""
    if not names:
        raise ValueError("source: expected a split at least; got none")
    first: dict[str, str] = {}
    for name in names:
        if not json_validation.is_file_name(name) or not name.isprintable():
            raise ValueError(f"source: split {name!r}: expected a name that a file may have")
        other = first.setdefault(name.casefold(), name)
        if other != name:
            raise ValueError(
                f"source: splits {other} and {name}: expected names that differ in more than case, "
                f"which not every disk tells apart"
            )


def request_of(source: Source, options: dict) -> dict:
    """Returns everything that determines the bytes, as it reads back from JSON."""
    request = {
        "schema": schema_of(source),
        "dataset": source.name,
        "source": source.describe(),
        "splits": dict(source.splits),
        "options": options,
        "versions": versions(),
    }
    return json.loads(json.dumps(request))


def _asked_for(manifest: Manifest) -> dict:
    """The request that finished records are the answer to."""
    splits = {name: split.count + split.rejected for name, split in manifest.splits.items()}
    known = {name: getattr(manifest, name) for name in ("schema", "dataset", "source")}
    return known | {"splits": splits, "options": manifest.options, "versions": manifest.versions}


def is_multi_label(source: Source) -> bool:
    return getattr(source, "multi_label", False)  # optional for single-label sources


def schema_of(source: Source) -> int:
    return schema.MULTI_LABEL_VERSION if is_multi_label(source) else schema.VERSION


def versions() -> dict[str, str]:
    return {"duet": version("duet-vision-language"), **reencoding.versions()}


def check_free(job: Job, request: dict) -> Manifest | None:
    """Make sure that nothing is there, or the same work; its manifest if that is finished."""
    note = job.work / REQUEST
    if (job.directory / FILE_NAME).is_file():
        whole = Manifest.read(job.directory)
        if _asked_for(whole) == request:
            for split in whole.splits.values():
                verify(job.directory, split, how="size")
            return whole
        raise FileExistsError(
            f"{job.directory} holds finished records; choose another folder or delete this one"
        )
    if note.exists():
        earlier = json_validation.read(note, hint="delete the folder")
        changed = [key for key in request if request[key] != earlier.get(key)]
        if changed:
            raise ValueError(
                f"{job.directory} holds unfinished records of another {' and '.join(changed)}; "
                f"finish those with the command that began them, or delete the folder"
            )
        return None
    if job.directory.exists() and not job.directory.is_dir():
        raise FileExistsError(f"{job.directory} is a file; expected a folder to be made")
    if job.directory.is_dir() and any(
        path.name != job.work.name and not folder_locks.is_trace(path)
        for path in job.directory.iterdir()
    ):
        raise FileExistsError(
            f"{job.directory} holds other files; choose another folder or delete this one"
        )
    return None


def open_work_folder(job: Job, request: dict) -> None:
    """Make it, with the note of what was asked for, unless it is there."""
    job.work.mkdir(parents=True, exist_ok=True)
    if not (note := job.work / REQUEST).exists():
        atomic_files.write(note, json.dumps(request, indent=2))
