"""Commands of a comparison as processes of their own."""

import os
import signal
import threading
import time

import pytest

from pipelines.comparison import jobs

CHILD = "import os, pathlib, time; pathlib.Path('pid').write_text(str(os.getpid())); time.sleep(60)"


def test_a_comparison_that_is_terminated_takes_its_command_along(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jobs, "_arguments", lambda job: ["-c", CHILD])
    job = jobs.Job("a", "finetune", {}, tmp_path / "out", tmp_path / "logs", ("model.keras",))
    pid = tmp_path / "pid"

    def terminate():
        while not (pid.is_file() and pid.read_text()):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=terminate, daemon=True).start()
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        jobs.run(job)
    assert signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
