"""Processes that a test starts: for settings of a whole process, such as virtual devices."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np


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


# As every command imports TensorFlow: without JAX and what else it would import for nothing.
START = """import runpy, sys
from pipelines.runs import runtime
runtime.import_tensorflow()
sys.argv = sys.argv[1:]
sys.path[0] = sys.argv[0].rpartition("/")[0]
import processes
processes.leave_graphs_as_traced()
runpy.run_path(sys.argv[0], run_name="__main__")"""


def run(script, *arguments, tf_config=None):
    """Start a test file as a process of its own."""
    root = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root), "TF_CPP_MIN_LOG_LEVEL": "2"}
    environment.pop("TF_CONFIG", None)
    if tf_config:
        environment["TF_CONFIG"] = json.dumps(tf_config)
    command = [sys.executable, "-c", START, *map(str, (script, *arguments))]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


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
