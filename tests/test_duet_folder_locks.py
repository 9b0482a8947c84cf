"""A lock holds a folder for one process, and dies with it."""

import subprocess
import sys
from pathlib import Path

import pytest

from duet import folder_locks

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
