"""Write a source to a folder of records, shard by shard; interrupted writes can be resumed.

During writing, a hidden work folder holds the options and a note per finished shard. The
manifest is written last: a folder that has one is complete.
"""

from __future__ import annotations

import csv
import errno
import io
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from duet import atomic_files, disk_errors, folder_locks
from tfrecords import write_request
from tfrecords.manifest import Manifest, SplitInfo
from tfrecords.runners import leave_second_run, run_beam, run_local
from tfrecords.shard_writing import Job, Shard, Slice, finished, slices
from tfrecords.sources import Source, at_hand

REJECTED = "rejected.csv"

SHARD_SIZE = 500

MANY = 20  # shards: so many are not begun before it is known that there is room for them


def write(
    source: Source,
    directory: str | Path,
    *,
    short_side: int | None = None,
    first_frame: bool = False,
    max_pixels: int | None = None,
    shard_size: int = SHARD_SIZE,
    workers: int = 2,
    runner: str = "local",
    beam_options: str = "",
    progress: bool = True,
) -> Manifest:
    """Write all images of a source into TFRecords, with `manifest.json` and `rejected.csv`.

    Resumes an interrupted call with the same source and options, keeping finished shards; the
    resulting bytes are the same. They do not depend on `workers` or `runner` either. If that call
    had finished, its manifest is returned.

    Args:
        directory: created; must be empty, or hold the unfinished result of an earlier call.
        short_side: shrink images to this shorter side; None keeps the original size.
        first_frame: take the first frame of animated images and multi-page files.
        max_pixels: largest accepted number of pixels; None for Pillow's limit (89,478,485).
        shard_size: images per shard.
        workers: local processes; of a single shard, threads.
        runner: "local", or "beam" for Apache Beam.
        beam_options: Beam pipeline options as on a command line.
        progress: show a progress bar.

    Raises:
        FileExistsError: `directory` holds other files or other finished records.
        FileNotFoundError: a shard of its finished records is missing.
        InUseError: another process writes there.
        ValueError: an option is out of range or differs from the call to be resumed, the source
            gives other splits, labels, captions or images than it may, no image of a split could
            be read, or a finished shard is of another size.
        OSError: the disk is full or cannot be written to. No half-written shard is left.
    """
    leave_second_run()
    write_request.check(
        runner=runner,
        short_side=short_side,
        max_pixels=max_pixels,
        shard_size=shard_size,
        workers=workers,
    )
    if not hasattr(source, "splits") or not hasattr(source, "read"):
        raise ValueError(
            f"source: expected one of tfrecords.sources, or an object like them; got {source!r:.80}"
        )
    write_request.check_splits(list(source.splits))
    directory = Path(directory)
    job = Job(source, directory, short_side, first_frame, max_pixels)
    plan = {
        split: slices(split, count, shard_size=shard_size) for split, count in source.splits.items()
    }
    options: dict[str, Any] = {"short_side": short_side, "shard_size": shard_size}
    options |= {"first_frame": True} if first_frame else {}
    options |= {"max_pixels": max_pixels} if max_pixels else {}
    try:
        request = write_request.request_of(source, options)
        if (whole := write_request.check_free(job, request)) is not None and not job.work.exists():
            return whole  # also where nothing may be written
        with folder_locks.locked(directory):
            if (whole := write_request.check_free(job, request)) is not None:
                _remove_work_folder(job)
                return whole
            write_request.open_work_folder(job, request)
            job = replace(job, source=at_hand(source, job.work))
            todo = [piece for split in plan.values() for piece in split if not finished(piece, job)]
            if runner == "beam":
                run_beam(todo, job, options=beam_options)
            else:
                _run_with_bar(todo, job, workers=workers, progress=progress)
            return _finish(job, plan, options)
    except OSError as error:
        if error.errno in (None, errno.ENAMETOOLONG):  # Duet's own, or wrong input
            raise
        raise _write_error(error, directory) from None


def _run_with_bar(todo: list[Slice], job: Job, *, workers: int, progress: bool) -> None:
    total = sum(job.source.splits.values())
    left = sum(piece.stop - piece.start for piece in todo)
    with tqdm(
        desc=f"writing {job.directory}",
        total=total,
        initial=total - left,
        unit=" images",
        **({} if progress else {"disable": True}),  # `TQDM_DISABLE` is respected too
    ) as bar:
        if len(todo) >= MANY:
            run_local(todo[:1], job, workers=workers, advance=bar.update)
            said = _room(todo, job)
            todo = todo[1:]
            if progress:
                bar.write(said)
        run_local(todo, job, workers=workers, advance=bar.update)


def _room(todo: list[Slice], job: Job) -> str:
    """What shards will take, by the first of them, which is written; see `disk_errors.room`."""
    images = sum(piece.stop - piece.start for piece in todo)
    first = finished(todo[0], job)
    if first is None or not first.info.records:
        return ""
    each = first.info.bytes / first.info.records
    return disk_errors.room(job.directory, images * each, what="all records, by the first shard")


def _remove_work_folder(job: Job) -> None:
    shutil.rmtree(job.work, ignore_errors=True)


def _write_error(error: OSError, directory: Path) -> disk_errors.CannotWriteError:
    """Returns the same error with a message that says what to do."""
    said = str(error)
    if not isinstance(error, disk_errors.CannotWriteError):
        said = f"writing {directory} failed: {error.strerror}"
        said += f": {error.filename}" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        said += "; make room and give the same command again: finished shards are kept"
    return disk_errors.CannotWriteError(said, error.errno)


def _finish(job: Job, plan: dict[str, list[Slice]], options: dict) -> Manifest:
    """Write the list of rejected files and the manifest, and remove the work folder."""
    shards = {
        split: [shard for piece in pieces if (shard := finished(piece, job))]
        for split, pieces in plan.items()
    }
    for split, pieces in plan.items():
        if len(shards[split]) < len(pieces):
            raise RuntimeError(
                f"{len(pieces) - len(shards[split])} shards of split {split} did not arrive in "
                f"{job.directory}; do all workers see this folder under the same path?"
            )
    rejected = [pair for split in shards.values() for shard in split for pair in shard.rejected]
    atomic_files.write(job.directory / REJECTED, _table(rejected))
    splits = {
        split: split_info(pieces, classes=len(job.source.class_names))
        for split, pieces in shards.items()
    }
    for split, info in splits.items():
        if not info.count:
            raise ValueError(
                f"no image of split {split} could be read, see {job.directory / REJECTED}; "
                f"repair the source, delete {job.directory} and start again"
            )
    manifest = Manifest(
        schema=write_request.schema_of(job.source),
        dataset=job.source.name,
        source=job.source.describe(),
        class_names=job.source.class_names,
        templates=job.source.templates,
        metric=job.source.metric,
        lossless=job.source.lossless,
        splits=splits,
        options=options,
        versions=write_request.versions(),
        multi_label=write_request.is_multi_label(job.source),
    )
    manifest.write(job.directory)
    _remove_work_folder(job)
    return manifest


def split_info(shards: list[Shard], *, classes: int) -> SplitInfo:
    """Returns what the manifest has of a split, from its shards in order."""
    count = sum(shard.info.records for shard in shards)
    labelled = sum(shard.labels for shard in shards)
    counts = Counter[int]()
    for shard in shards:
        counts.update(shard.class_counts)
    return SplitInfo(
        count=count,
        labels=count > 0 and labelled == count,
        captions=count > 0 and sum(shard.captions for shard in shards) == count,
        class_counts=tuple(counts[label] for label in range(classes)) if labelled else (),
        shards=tuple(shard.info for shard in shards),
        rejected=sum(len(shard.rejected) for shard in shards),
    )


def _table(rejected: list[tuple[str, str]]) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["file", "reason"])
    rows.writerows(rejected)
    return text.getvalue().encode()
