"""Run the writing of shards in local processes or with Apache Beam."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from typing import Any

from duet import disk_errors, extras
from tfrecords.shard_writing import Job, Slice, write_shard

_POLL_SECONDS = 0.2

_THREADS = 2  # of a process: who has the last shards uses the cores of those that have none


def run_local(
    pieces: Sequence[Slice], job: Job, *, workers: int, advance: Callable[[int], object]
) -> None:
    """Write the shards with `workers` processes; one shard in this process, with as many threads.

    Processes, because drawing and encoding hold the GIL; "spawn", because forking a process that
    runs TensorFlow is unsafe. Workers do not import TensorFlow. Where the system has no memory to
    share between processes, as some containers have no /dev/shm, the shards are written here.

    Args:
        advance: called periodically with the number of images done since the last call.

    Raises the OSError or ValueError of the first failed shard, after the others have stopped, and
    RuntimeError if a worker died.
    """
    several = _pool(min(workers, len(pieces)), job) if workers > 1 and len(pieces) > 1 else None
    if several is None:
        for piece in pieces:
            write_shard(piece, job, tick=lambda: advance(1), threads=workers)
        return
    pool, done, stop = several
    try:
        pending = {pool.submit(_work, piece) for piece in pieces}
        seen = 0
        while pending:
            finished, pending = wait(pending, _POLL_SECONDS, return_when=FIRST_EXCEPTION)
            now = done.value
            advance(now - seen)
            seen = now
            for future in finished:
                future.result()
    except ValueError as error:
        raise ValueError(str(error)) from error
    except disk_errors.CannotWriteError as error:
        raise disk_errors.CannotWriteError(str(error), error.errno) from None
    except BrokenProcessPool:
        raise RuntimeError(_died()) from None
    finally:
        stop.set()  # on Ctrl-C or an error the other workers stop after their current image
        pool.shutdown(cancel_futures=True)


def _pool(workers: int, job: Job) -> tuple[ProcessPoolExecutor, Synchronized[int], Event] | None:
    """Processes, the images that they have done, and what stops them; None if they can share no
    memory."""
    context = multiprocessing.get_context("spawn")
    try:
        done, stop = context.Value("q", 0), context.Event()
        pool = ProcessPoolExecutor(workers, context, initializer=_start, initargs=(job, done, stop))
        return pool, done, stop
    except (OSError, ImportError, NotImplementedError):
        return None


def leave_second_run() -> None:
    """Ends a worker that runs the caller's script again, before it writes; see `_died`."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SystemExit(1)


def _died() -> str:
    """Returns what to do about a worker that died; a script may lack what spawned workers need."""
    again = (
        "a worker process died, perhaps for lack of memory; start the same command again "
        "with fewer --workers and it goes on where it stopped"
    )
    main = sys.modules["__main__"]
    is_script = getattr(main, "__spec__", None) is None and hasattr(main, "__file__")
    script = '; every worker runs a script\'s lines outside of `if __name__ == "__main__":`'
    return again + (f"{script}, inside of which write() belongs" if is_script else "")


def run_beam(
    pieces: Sequence[Any], job: Any, *, options: str = "", work: Callable[..., object] = write_shard
) -> None:
    """Run `work` on all pieces with Apache Beam; by default, write shards.

    All Beam workers must see the images and the output folder under the same path, and have this
    package installed.

    Args:
        pieces: units of work, one Beam element each.
        job: settings shared by all pieces.
        work: called with a piece and the job.
        options: pipeline options as on a command line, e.g. "--runner=FlinkRunner".

    Raises ValueError, naming the extra, if Apache Beam is not installed.
    """
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ModuleNotFoundError:
        raise ValueError(extras.missing("runner beam (Apache Beam)", "beam")) from None
    with beam.Pipeline(options=PipelineOptions(shlex.split(options))) as pipeline:
        (
            pipeline
            | "Pieces" >> beam.Create(list(pieces))
            | "Spread" >> beam.Reshuffle()
            | "Work" >> beam.Map(work, job)
        )


class _Stopped(Exception):
    """Another shard failed, or the user pressed Ctrl-C."""


def _start(job: Job, done: Synchronized[int], stop: Event) -> None:
    """Set up a worker process."""
    global _work_shard
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process decides when to stop
    threading.Thread(target=_exit_with_parent, daemon=True).start()

    def tick() -> None:
        with done.get_lock():
            done.value += 1
        if stop.is_set():
            raise _Stopped

    def work(piece: Slice) -> None:
        with contextlib.suppress(_Stopped):
            write_shard(piece, job, tick=tick, threads=_THREADS)

    _work_shard = work


_work_shard: Callable[[Slice], None]


def _work(piece: Slice) -> None:
    _work_shard(piece)


def _exit_with_parent() -> None:
    """Exit when the parent dies: a pool's workers would otherwise wait forever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)
