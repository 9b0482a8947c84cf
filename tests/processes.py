"""Processes that a test starts: for settings of a whole process, such as virtual devices."""

import json
import multiprocessing
import os
import signal
import socket
import tempfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]

# Forks what tests start, from a process that has imported TensorFlow and computed nothing.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["preloaded"])


def press(number):
    """What a signal does to this process where a program listens to it.

    Its handler is called. A real signal that nobody listens to would end every test of the process.
    """
    handler = signal.getsignal(number)
    assert callable(handler), f"nobody listens to signal {number}: {handler}"
    handler(number, None)


def leave_graphs_as_traced(leave=True):
    """Whether TensorFlow skips the optimization of graphs: a fifth of the time of all tests, as
    most run each of their graphs a few times. The commands in processes of their own do optimize.
    """
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": leave})


class Forked:
    """A process that ran `import tensorflow` before it began; has what `subprocess.Popen` has."""

    def __init__(self, words, environment, *, errors=True):
        """`errors`: whether standard error is kept apart from standard output."""
        folder = Path(tempfile.mkdtemp(prefix="forked-"))
        self.output = folder / "output"
        self.errors = folder / "errors" if errors else self.output
        given = [str(word) for word in words], environment, str(self.output), str(self.errors)
        self.process = SERVER.Process(target=preloaded_process, args=given)
        with pytest.MonkeyPatch.context() as patch:  # for the server, which starts with the first
            patch.setenv("PYTHONPATH", f"{ROOT / 'tests'}{os.pathsep}{ROOT}")
            patch.setattr(tempfile, "tempdir", "/tmp")  # a socket's name has 108 bytes at the most
            self.process.start()

    @property
    def returncode(self):
        return self.process.exitcode

    def communicate(self, timeout=None):
        self.process.join(timeout)
        if self.process.exitcode is None:
            raise TimeoutError(f"{timeout} s were not enough; so far: {self.output.read_text()}")
        said = [path.read_text() if path.exists() else "" for path in (self.output, self.errors)]
        return said if self.errors != self.output else (said[0], None)

    def kill(self):
        self.process.kill()


def preloaded_process(*given):
    import preloaded

    preloaded.as_typed(*given)


def environment_of(tf_config=None, **more):
    """That of this process, for one of a cluster or for one alone."""
    found = {**os.environ, "PYTHONPATH": str(ROOT), **more}
    found.pop("TF_CONFIG", None)
    return found | ({"TF_CONFIG": json.dumps(tf_config)} if tf_config else {})


def run(script, *arguments, tf_config=None):
    """Start a test file as a process of its own."""
    environment = environment_of(tf_config, TF_CPP_MIN_LOG_LEVEL="2")
    return Forked([script, *arguments], environment, errors=False)


def run_workers(script, *arguments):
    """Start two of them that train together; each `{worker}` becomes the number of the process."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
    return [
        run(
            script,
            *(str(argument).replace("{worker}", str(index)) for argument in arguments),
            tf_config={"cluster": cluster, "task": {"type": "worker", "index": index}},
        )
        for index in range(2)
    ]


def finish(*processes):
    """Wait for them. Returns what each has said."""
    outputs = []
    try:
        for process in processes:
            output, _ = process.communicate(timeout=300)
            assert process.returncode == 0, output[-3000:]
            outputs.append(output)
    finally:
        for process in processes:
            process.kill()
    return outputs


def assert_same(result, expected, cases):
    """Two files of arrays have the same ones, `case/...`, to rounding."""
    with np.load(result) as ours, np.load(expected) as theirs:
        names = [name for name in theirs.files if name.split("/")[0] in cases]
        assert sorted(names) == sorted(name for name in ours.files if "/" in name)
        assert {name.split("/")[0] for name in names} == set(cases)
        for name in names:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5, atol=1e-5, err_msg=name)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
