"""Client of the worker processes; a process that dies is an error of its call."""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator, Sequence
from typing import IO, Any

from pipelines.comparison.jobs.fork_server import Call, Ended, Outcome

PATIENCE = 60  # seconds for a worker that is asked to stop to finish its step and save


class Workers:
    """Processes that import TensorFlow once between them; used with `with`.

    Each batch of calls has a process, so that its memory is given back. Workers end with the
    process that made them, even if that is killed.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            assert self._process.stdin and self._process.stdout
            self._process.stdin.close()
            self._process.wait()
            self._process.stdout.close()

    def start(self) -> None:
        """Begin to import, if that has not been begun: the first call then waits less."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pipelines.comparison.jobs.fork_server"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                process_group=0,  # Ctrl-C is for this process
                env={
                    **os.environ,
                    "PYTHONUNBUFFERED": "1",
                    "PYTHONPATH": os.pathsep.join(sys.path),
                },
            )

    def call(self, call: Call) -> Any:
        """The value of one call; raises what it raised."""
        (outcome,) = self.run([call])
        if outcome.error is not None:
            raise outcome.error
        return outcome.value

    def run(self, calls: Sequence[Call]) -> Generator[Outcome, None, None]:
        """The outcomes of calls, one after the other in one process, as each ends.

        Where the process dies, the call that it was in has failed, and the others go on in another.

        Raises:
            KeyboardInterrupt: Ctrl-C; the worker has been stopped in order.
        """
        left = list(calls)
        while left:
            status = 0
            for reply in self._replies(left):
                if isinstance(reply, Ended):
                    status = reply.status
                else:
                    del left[0]
                    yield reply
            if left:
                log = f"; see {left[0].log}" if left[0].log else ""
                del left[0]
                yield Outcome(error=RuntimeError(_why(status) + log))

    def _replies(self, calls: list[Call]) -> Iterator[Outcome | Ended]:
        self.start()
        assert self._process and self._process.stdin and self._process.stdout
        pickle.dump(calls, self._process.stdin)
        self._process.stdin.flush()
        worker = None
        try:
            worker = self._receive()
            while not isinstance(reply := self._receive(), Ended):
                yield reply
            yield reply
        except (KeyboardInterrupt, GeneratorExit):
            with contextlib.suppress(RuntimeError):  # the server has ended too
                _stop(self._receive() if worker is None else worker, self._process.stdout)
            raise

    def _receive(self) -> Any:
        assert self._process and self._process.stdout
        try:
            return pickle.load(self._process.stdout)
        except EOFError:
            raise RuntimeError("the process that starts workers has ended") from None


def _stop(worker: int, replies: IO[bytes]) -> None:
    """Let it finish its step and save; after `PATIENCE`, no more. Takes all that it replies."""
    _signal(worker, signal.SIGTERM)
    end = threading.Timer(PATIENCE, _signal, (worker, signal.SIGKILL))
    end.start()
    try:
        while not isinstance(pickle.load(replies), Ended):
            pass
    except (EOFError, pickle.UnpicklingError):
        return
    finally:
        end.cancel()


def _signal(worker: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended by itself
        os.kill(worker, number)


def _why(status: int) -> str:
    if status < 0:
        return f"killed by signal {-status}: out of memory, perhaps"
    return f"the process ended with status {status}"
