"""What processes that tests start have imported already: the server that forks them imports it."""

import os
import runpy
import sys

from pipelines.runs import runtime

runtime.import_tensorflow()


def as_typed(words: list[str], environment: dict[str, str], output: str, errors: str) -> None:
    """Be `python WORDS`, of which the first is a script or `-m`, with its output in files."""
    os.environ.clear()
    os.environ.update(environment)
    for path, descriptor in ((output, 1), (errors, 2)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, descriptor)
        os.close(file)
    if words[0] == "-m":
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = words, os.path.dirname(words[0])
        runpy.run_path(words[0], run_name="__main__")
