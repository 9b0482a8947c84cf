"""Worker server: forks a process for each batch of calls.

It imports TensorFlow, Keras and Duet once and computes nothing itself, so that a fork of it starts
at once. What it is sent on standard input are pickled lists of `Call`, by the process that started
it (`worker_pool.Workers`) and by nobody else; it answers on standard output with the id of the
fork, an `Outcome` for every call, and `Ended`. A fork dies with the process that sends.
"""

import os
import pickle
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from duet import disk_errors


@dataclass(frozen=True)
class Call:
    """Something to do in a worker.

    Attributes:
        function: of a module; arguments: its own.
        log: the file that takes what it prints; None for standard error.
        essential: whether nothing behind it is begun if it fails.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    log: Path | None = None
    essential: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a call gave: its value, or the exception that ended it.

    Attributes:
        error: of a call that failed; expected ones (ValueError, OSError, RuntimeError) as they
            are, others as a RuntimeError that names the log.
    """

    value: Any = None
    error: Exception | None = None


@dataclass(frozen=True)
class Ended:
    """The fork has ended; `status` is a signal's number, negative, or its exit status."""

    status: int


def main() -> None:
    """Serve until standard input ends."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    _import()
    while True:
        try:
            calls = pickle.load(requests)
        except EOFError:
            return
        if not (pid := os.fork()):
            _serve(calls, requests, replies)
        _, status = os.waitpid(pid, 0)
        try:
            _send(replies, Ended(os.waitstatus_to_exitcode(status)))
        except BrokenPipeError:  # the sender was killed, and its fork ended with it
            os._exit(1)


def _import() -> None:
    from pipelines.runs import runtime

    runtime.import_tensorflow()
    import pipelines.comparison.report.serving_costs
    import pipelines.fewshot.run
    import pipelines.finetuning.evaluation
    import pipelines.finetuning.on_features  # noqa: F401
    import tfrecords

    tfrecords.load, tfrecords.labels  # noqa: B018  loads the reader


def _serve(calls: list[Call], requests: BinaryIO, replies: BinaryIO) -> None:
    """In the fork: do the calls, one after the other; never returns."""
    os.setpgid(0, 0)  # Ctrl-C is the sender's, who then says what to do
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_die_with_sender, args=(requests.fileno(),), daemon=True).start()
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", closefd=False)
    _send(replies, os.getpid())
    status = 0
    try:
        for call in calls:
            outcome = _done(call)
            _send(replies, outcome)
            if call.essential and outcome.error:
                break
    except KeyboardInterrupt:
        status = 130
    finally:
        sys.stdout.flush()
        os._exit(status)


def _done(call: Call) -> Outcome:
    with _printing_to(call.log):
        try:
            return Outcome(call.function(*call.arguments))
        except (ValueError, OSError, RuntimeError) as error:
            if call.log:  # on standard error, the one line that the command prints is enough
                traceback.print_exc()
            return Outcome(error=_plain(error))
        except Exception as error:
            traceback.print_exc()
            where = f"; see {call.log}" if call.log else ""
            return Outcome(error=RuntimeError(f"{type(error).__name__}: {error}{where}"))


def _plain(error: Exception) -> Exception:
    """The error with its first line alone, of a kind that any process can read."""
    kinds = (disk_errors.CannotWriteError, FileNotFoundError, ValueError, OSError, RuntimeError)
    kind = next(kind for kind in kinds if isinstance(error, kind))
    return kind(" ".join(str(error).split()) or type(error).__name__)


class _printing_to:
    """Standard output and error to a file, of libraries in C++ too."""

    def __init__(self, log: Path | None) -> None:
        self.log = log

    def __enter__(self) -> None:
        if self.log is not None:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            self.kept = os.dup(1), os.dup(2)
            for number in (1, 2):
                os.dup2(file, number)
            os.close(file)

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        if self.log is not None:
            for number, kept in zip((1, 2), self.kept, strict=True):
                os.dup2(kept, number)
                os.close(kept)


def _die_with_sender(pipe: int) -> None:
    """Waits until the pipe's other end is closed, however its process ended."""
    ends = select.poll()
    ends.register(pipe, 0)  # an end that hung up is reported without being asked for
    ends.poll()
    os.kill(os.getpid(), signal.SIGKILL)


def _send(replies: BinaryIO, reply: Any) -> None:
    pickle.dump(reply, replies)
    replies.flush()


if __name__ == "__main__":
    from pipelines.comparison.jobs import (
        fork_server,
    )  # so that what is pickled is of the module's name

    fork_server.main()
