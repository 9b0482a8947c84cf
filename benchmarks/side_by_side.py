"""Processes that take turns: each says "ready", then answers every line with its figures."""

import subprocess
from collections.abc import Mapping, Sequence

import numpy as np


def race(commands: Mapping[str, Sequence], *, rounds: int) -> dict[str, np.ndarray]:
    """The figures [rounds, n] that the command of each side prints, one turn a round.

    Every other round goes through the sides the other way about.
    """
    workers = {}
    for side, words in commands.items():
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        workers[side] = subprocess.Popen(words, **pipes)
        while workers[side].stdout.readline().strip() != "ready":
            pass
    found: dict[str, list] = {side: [] for side in workers}
    for number in range(rounds):
        for side in list(workers)[:: 1 if number % 2 else -1]:
            workers[side].stdin.write("go\n")
            workers[side].stdin.flush()
            found[side].append([float(word) for word in workers[side].stdout.readline().split()])
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
    return {side: np.array(rows) for side, rows in found.items()}
