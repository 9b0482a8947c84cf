"""Calls in processes of their own: outcomes, logs, deaths, and what ends with what."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import worker_calls

from pipelines.comparison.jobs import fork_server
from pipelines.comparison.jobs.fork_server import Call
from pipelines.comparison.jobs.worker_pool import Workers

WAITS = """
import sys
sys.path.insert(0, {tests!r})
import worker_calls
from pipelines.comparison.jobs.fork_server import Call
from pipelines.comparison.jobs.worker_pool import Workers
with Workers() as workers:
    try:
        workers.call(Call(worker_calls.wait, ({pid!r},)))
    except KeyboardInterrupt:
        print(workers.call(Call(worker_calls.add, (1, 1))))
"""


@pytest.fixture(scope="module")
def workers():
    with Workers() as started:
        yield started


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def when(happens, *, seconds=120):
    """Waits until it does."""
    end = time.monotonic() + seconds
    while not happens() and time.monotonic() < end:
        time.sleep(0.05)
    assert happens()


@contextlib.contextmanager
def waiting(folder, **options):
    """A process whose worker waits, and the number of the worker's."""
    pid, here = folder / "pid", Path(__file__).parent
    script = WAITS.format(pid=str(pid), tests=str(here))
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, cwd=here.parent, **options) as process:
        when(lambda: pid.is_file() and pid.read_text())
        yield process, int(pid.read_text())


def test_calls_are_done_in_order_and_what_they_print_is_in_their_logs(workers, tmp_path):
    calls = [Call(worker_calls.add, (1, i), tmp_path / f"{i}" / "log.txt") for i in range(3)]
    assert [outcome.value for outcome in workers.run(calls)] == [1, 2, 3]
    assert (tmp_path / "2" / "log.txt").read_text() == "adding\n"


def test_a_call_that_raises_is_an_outcome_and_the_next_goes_on(workers, tmp_path):
    log = tmp_path / "log.txt"
    calls = [
        Call(worker_calls.fail, ("no\nroom",)),
        Call(worker_calls.stumble, (), log),
        Call(worker_calls.add, (1, 1)),
    ]
    wrong, fault, right = workers.run(calls)
    assert isinstance(wrong.error, ValueError) and str(wrong.error) == "no room"
    assert str(fault.error) == f"KeyError: 'missing'; see {log}"
    assert "Traceback" in log.read_text()
    assert right.value == 2


def test_a_call_whose_process_dies_has_failed_and_the_others_go_on_in_another(workers):
    calls = [Call(worker_calls.add, (1, 1)), Call(worker_calls.die), Call(worker_calls.add, (2, 2))]
    first, dead, last = workers.run(calls)
    assert (first.value, last.value) == (2, 4)
    assert "killed by signal 9" in str(dead.error)


def test_one_call_raises_what_it_raised(workers):
    with pytest.raises(ValueError, match="expected"):
        workers.call(Call(worker_calls.fail, ("expected",)))


def test_who_turns_away_after_the_last_outcome_leaves_nothing_for_the_next_call(workers):
    outcomes = workers.run([Call(os.getpid)])
    pid = next(outcomes).value
    when(lambda: not Path(f"/proc/{pid}").exists())
    outcomes.close()
    assert workers.call(Call(worker_calls.add, (1, 1))) == 2


def test_who_is_interrupted_lets_the_worker_save_and_stop(tmp_path):
    with waiting(tmp_path, stdout=subprocess.PIPE, text=True) as (process, pid):
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=120)
    assert (tmp_path / "pid.saved").exists() and not is_running(pid)
    assert said == "2\n"  # and it can go on


def test_who_is_interrupted_as_a_worker_begins_stops_it_too(workers, tmp_path, monkeypatch):
    """The worker has not said yet who it is, as while the server imports TensorFlow."""
    receive = Workers._receive

    def interrupted(self):
        monkeypatch.setattr(Workers, "_receive", receive)
        raise KeyboardInterrupt

    monkeypatch.setattr(Workers, "_receive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        workers.call(Call(worker_calls.wait, (str(tmp_path / "pid"),)))
    assert workers.call(Call(worker_calls.add, (1, 1))) == 2  # and not what the first replies


def test_a_worker_ends_with_a_process_that_is_killed(tmp_path):
    errors = tmp_path / "errors.txt"
    with errors.open("w") as file, waiting(tmp_path, stderr=file) as (process, pid):
        assert is_running(pid)
        process.kill()
    when(lambda: not is_running(pid), seconds=20)
    time.sleep(0.5)  # of the server, which finds nobody to tell
    assert "Traceback" not in errors.read_text()


def test_where_an_error_came_from_is_told_to_the_log_alone(workers, tmp_path, capsys):
    assert (
        str(fork_server._done(Call(worker_calls.fail, ("no such model",))).error) == "no such model"
    )
    assert capsys.readouterr().err == ""
    with pytest.raises(ValueError, match="no such model"):
        workers.call(Call(worker_calls.fail, ("no such model",), tmp_path / "log.txt"))
    assert "Traceback" in (tmp_path / "log.txt").read_text()
