"""What tests let workers do."""

import os
import signal
import time
from pathlib import Path


def add(a, b):
    print("adding")
    return a + b


def fail(message):
    raise ValueError(message)


def stumble():
    return {}["missing"]


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def wait(pid_file, *, seconds=60):
    """Tells where it runs, and ends in order when it is asked to stop."""
    signal.signal(signal.SIGTERM, lambda *_: save(pid_file))
    Path(pid_file).write_text(str(os.getpid()))
    time.sleep(seconds)


def save(pid_file):
    Path(pid_file).with_suffix(".saved").touch()
    raise KeyboardInterrupt
