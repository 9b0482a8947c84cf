"""A lock holds a folder for one process, and dies with it."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from duet import disk_errors, folder_locks

KILLED = """
import os, sys
from duet import folder_locks
with folder_locks.locked(sys.argv[1]):
    os.kill(os.getpid(), 9)
"""


def test_a_lock_is_one_process_and_dies_with_it(tmp_path):
    out = tmp_path / "run"
    root = Path(__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", KILLED, str(out)], cwd=root).returncode == -9
    (out / ".unfinished.1999999999.x").touch()
    with folder_locks.locked(out):
        assert not list(out.glob(".unfinished*"))
        with pytest.raises(folder_locks.InUseError, match="is in use by another process"):
            folder_locks.locked(out).__enter__()
    assert not list(out.iterdir())


def test_what_another_machine_left_goes_with_the_lock(tmp_path):
    (tmp_path / ".unfinished.1-1-0000000x-0.big").touch()
    with folder_locks.locked(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [folder_locks.LOCK]


def test_a_file_system_without_locks_is_said_to_be_one(tmp_path, monkeypatch):
    def flock(handle, how):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(disk_errors.CannotWriteError, match=r"has no locks \(flock\); choose"):
        folder_locks.locked(tmp_path).__enter__()
