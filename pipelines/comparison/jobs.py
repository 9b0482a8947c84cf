"""Runs the commands of a comparison one after the other, each by itself; a failure stops none."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duet import files
from pipelines.runs import command_line

LOG = "log.txt"

FAILED = "failed.json"

ENDING = 12  # lines of a log that a failure without a message shows


@dataclass(frozen=True)
class Job:
    """One command of a comparison.

    Attributes:
        name: for people: "flyp, seed 2".
        command: of Duet.
        options: what is typed behind it.
        out: its folder.
        logs: folder of what it prints, and of why it failed.
        finished: the files that it leaves at its end.
    """

    name: str
    command: str
    options: Mapping[str, Any]
    out: Path
    logs: Path
    finished: tuple[str, ...]

    @property
    def words(self) -> str:
        """What to type."""
        return command_line.command_line(self.command, {**self.options, "out": str(self.out)})

    @property
    def is_done(self) -> bool:
        """Whether it has been run to its end, with these options."""
        return all((self.out / name).is_file() for name in self.finished)

    @property
    def failure(self) -> str | None:
        """Why it failed when it was last tried; None if it did not."""
        path = self.logs / FAILED
        return json.loads(path.read_text())["error"] if path.is_file() else None


def run(job: Job, *, limit: float | None = None) -> str | None:
    """Run a command in a process of its own, unless it is done. Returns why it failed, or None.

    What it prints is in its logs. A process of its own gives its memory back, and can be stopped.

    Args:
        limit: seconds after which it is stopped; what it has done stays, and is gone on with.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM; the command has been stopped in order and can go on.
    """
    if job.is_done:
        return None
    job.logs.mkdir(parents=True, exist_ok=True)
    (job.logs / FAILED).unlink(missing_ok=True)
    start = time.perf_counter()
    with open(job.logs / LOG, "wb") as log, _terminated_like_interrupted():
        process = subprocess.Popen(
            [sys.executable, *_arguments(job)],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        try:
            status = process.wait(limit)
            error = None if status == 0 else _complaint(job.logs / LOG, status)
        except subprocess.TimeoutExpired:
            _stop(process)
            error = f"stopped after {time.perf_counter() - start:,.0f} s, the time it was given"
        except KeyboardInterrupt:
            _stop(process)
            raise
    if error:
        files.write(job.logs / FAILED, json.dumps({"error": error}))
    return error


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM, which would leave the command running alone, as Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _arguments(job: Job) -> list[str]:
    import shlex

    return shlex.split(job.words)[1:]  # behind "python"


def _stop(process: subprocess.Popen) -> None:
    """Let it finish its step and save; after a minute, no more."""
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _complaint(log: Path, status: int) -> str:
    """The line in which a command said what was wrong, or the end of what it printed."""
    lines = re.split(r"[\r\n]+", log.read_text(encoding="utf-8", errors="replace").strip())
    said = [line for line in lines if line.startswith("error: ")]
    if said:
        return said[-1].removeprefix("error: ")
    if status < 0:
        return f"killed by signal {-status}: out of memory, perhaps; see {log}"
    return f"exit status {status}; see {log}: " + " / ".join(lines[-ENDING:])[-600:]
