"""How a command walks through the code: files entered, moves between them, and returns.

    python benchmarks/journeys.py compare --data RECORDS --model shapes-tiny \\
        --methods zero-shot fine-tune --seeds 0 --epochs 1 --out OUT

A move is a call of a function that was not called before, in another file than the last such
function; a return is a move to a file that has been entered before. Only the files of this
repository's packages count, in each process by itself; the sums over the processes are printed.
"""

import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]

PACKAGES = ("duet", "tfrecords", "dual_encoder", "classifiers", "pipelines")

WATCH = f"""
import inspect, os, sys, threading
seen, roots = set(), tuple({str(ROOT)!r} + "/" + name for name in {PACKAGES!r})
def start():
    global file
    seen.clear()
    path = os.path.join(os.environ["JOURNEY"], str(os.getpid()))
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def watch(frame, event, argument):
    code = frame.f_code
    if event != "call" or code in seen:
        return
    seen.add(code)
    is_function = code.co_flags & inspect.CO_OPTIMIZED and not code.co_name.startswith("<")
    if is_function and code.co_filename.startswith(roots):
        os.write(file, (code.co_filename + "\\n").encode())
start()
os.register_at_fork(after_in_child=start)
sys.setprofile(watch)
threading.setprofile(watch)
"""


def main(argv: list[str]) -> int:
    """Run the command and print its figures; returns its exit status."""
    with tempfile.TemporaryDirectory() as folder:
        site, traces = Path(folder, "site"), Path(folder, "traces")
        site.mkdir()
        traces.mkdir()
        (site / "sitecustomize.py").write_text(WATCH)
        environment = {**os.environ, "JOURNEY": str(traces)}
        environment["PYTHONPATH"] = os.pathsep.join([str(site), str(ROOT)])
        status = subprocess.run(
            [sys.executable, "-m", "pipelines", *argv], cwd=os.getcwd(), env=environment
        ).returncode
        found = [walk(path.read_text().splitlines()) for path in sorted(traces.iterdir())]
    report(found)
    return status


def walk(files: list[str]) -> dict[str, object]:
    """The figures of one process, of the files of its new functions in the order of the calls."""
    entered: set[str] = set()
    figures: Counter[str] = Counter(functions=len(files))
    for before, file in zip([None, *files], files, strict=False):
        if file != before:
            figures["moves"] += 1
            figures["returns"] += file in entered
        entered.add(file)
    return {**figures, "files": entered}


def report(found: list[dict[str, object]]) -> None:
    """Print a line for every process that ran code of ours, and the sums."""
    whole: set[str] = set()
    sums: Counter[str] = Counter()
    for process in found:
        files = process.pop("files")
        if files:
            print(f"process: {len(files)} files, {process}")  # type: ignore[arg-type]
            sums.update(process)  # type: ignore[arg-type]
            sums["entered"] += len(files)  # type: ignore[arg-type]
            whole |= files  # type: ignore[arg-type, operator]
    print(f"all: {len(whole)} different files, {dict(sums)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
