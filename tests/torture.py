"""Kills a command at each of its writes, gives it again, and compares with an undisturbed run.

`python tests/torture.py [COMMAND...] [--how state kill int term] [--points N]`. A place to die is
just before a change of a file or folder below the working folder or, where that opens a file for
writing, also just after. The same command must then end with status 0 and leave the same files
with the same content: no more, no fewer.

- state: what a kill at each place leaves is copied aside in one undisturbed run, which is as good
  as killing it there and spares half of the work; states that are the same are tried once.
- full: the file system has room for a part of what is written, spread from none to nearly all; the
  command says so in a line and leaves nothing half written, and there is room when it is given
  again. Needs root, which may mount a tmpfs. readonly: the same of one that cannot be written.
- kill, int, term: the process as it was typed really gets SIGKILL, SIGINT or SIGTERM there. Of
  the last two it must say so in a line, without a traceback, or end as if nothing had been.

Every run is a fork of this process, which has imported what the command imports and computed
nothing; so are the processes that `compare` starts.
"""

import argparse
import contextlib
import ctypes
import fcntl
import gc
import hashlib
import importlib
import json
import mmap
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from folder_contents import content

TESTS = Path(__file__).parent
EVENTS = ("open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.link", "os.symlink")
PATHS_OF = {"os.rename": 1, "os.link": 1, "os.symlink": 1}  # the path that is made
SIGNALS = {"kill": signal.SIGKILL, "int": signal.SIGINT, "term": signal.SIGTERM}
INTERRUPTED = 130
OUTSIDE = ("user", "temporary")  # folders in which nothing may be left
THEIRS = ("/.cache/matplotlib/", "/.keras/keras.json", "/.cache/duet/", "__autograph_generated")
HOW = ("state", *SIGNALS, "full", "readonly")
KEPT_OPEN = 900  # a file handle that forks do not close
ORPHANS = 36  # PR_SET_CHILD_SUBREAPER: processes whose parent was killed become ours
FINETUNE = ("finetune", "--data", "records", "--model", "clip.keras", "--batch-size", "16")
SHORT = ("--epochs", "2", "--bootstrap", "20", "--crop-scale", "1")

COMMANDS = {
    "prepare": ("prepare", "--folder", "images", "--shard-size", "4", "--workers", "1",
                "--max-rejected", "1"),
    "retrieve": ("retrieve", "--build", "--folder", "images", "--model", "shapes-tiny"),
    "predict": ("predict", "--model", "clip.keras", "--images", "images", "--class-names",
                "names.txt", "--batch-size", "8", "--sheet", "sheet.html"),
    "prompt": ("prompt", "--data", "records", "--models", "clip.keras", "--methods", "zero-shot",
               "coop", "--shots", "1", "--seeds", "1", "--epochs", "2", "--n-ctx", "2",
               "--batch-size", "4", "--bootstrap", "20"),
    "export": ("export", "--model", "clip.keras", "--format", "saved-model", "--class-names",
               "names.txt"),
    "train": ("train", "--data", "records", "--image-size", "32", "--embed-dim", "8",
              "--vocabulary-size", "300", "--context-length", "8",
              "--batch-size", "30", "--epochs", "2", "--checkpoint-steps", "2"),
    "finetune": (*FINETUNE, *SHORT, "--method", "full", "--checkpoint-steps", "3"),
    "finetune-features": (*FINETUNE, *SHORT, "--method", "linear-probe"),
    "finetune-ema": (*FINETUNE, *SHORT, "--method", "full", "--ema", "0.9", "--micro-batch", "8"),
    "finetune-auto": (*FINETUNE, *SHORT),
    "compare": ("compare", "--data", "records", "--model", "clip.keras", "--methods", "zero-shot",
                "linear-probe", "full", "--seeds", "1", "--epochs", "1", "--batch-size", "16",
                "--bootstrap", "20", "--serving-seconds", "0.1", "--folds", "1"),
}  # fmt: skip
EVALUATE = ("evaluate", "--data", "records", "--model", "clip.keras", "--bootstrap", "20")
COMMANDS["evaluate"] = EVALUATE
COMMANDS |= {
    f"export-{format}": (*COMMANDS["export"][:4], format, *COMMANDS["export"][5:])
    for format in ("litert", "onnx", "openvino")
}
OUT = {"retrieve": ("--index", "index"), "predict": ("--out", "found.csv")}
NEVER_SAME = ("sheet.html",)  # of `work`, by a word of the command


@dataclass(frozen=True)
class Place:
    """Where to die: at the n-th change, from 1, before or after it."""

    number: int
    after: bool = False


class Watch:
    """Calls `at` at every change below a folder, of this process and of those that it forks.

    It gets the `Place` and the path; one call at a time.
    """

    def __init__(self, work: Path, at: Callable[[Place, str], None]) -> None:
        self.work, self.at = f"{work}/", at
        self.count = mmap.mmap(-1, 8)  # shared with forks
        turn = os.open(work.parent / "turn", os.O_RDWR | os.O_CREAT)
        self.turn = fcntl.fcntl(turn, fcntl.F_DUPFD, KEPT_OPEN)
        self.is_busy = False
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple) -> None:
        if event not in EVENTS or self.is_busy:
            return
        path = _changed(event, args)
        if path is None or not path.startswith(self.work):
            return
        self.is_busy = True
        fcntl.lockf(self.turn, fcntl.LOCK_EX)  # of a process: forks have their own
        try:
            number = int.from_bytes(self.count[:], "little") + 1
            self.count[:] = number.to_bytes(8, "little")
            self.at(Place(number), path)
            if event == "open" and (args[2] & os.O_TRUNC or not os.path.lexists(path)):
                self.at(Place(number, after=True), path)
        finally:
            fcntl.lockf(self.turn, fcntl.LOCK_UN)
            self.is_busy = False


def _changed(event: str, args: tuple) -> str | None:
    """The path that an event changes."""
    if event == "open":
        path, _, flags = args
        if not (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return None
        where = -1
    else:
        path, where = args[PATHS_OF.get(event, 0)], args[-1]
    if isinstance(path, int) or path is None:
        return None
    base = os.readlink(f"/proc/self/fd/{where}") if isinstance(where, int) and where >= 0 else ""
    return os.path.join(base or os.getcwd(), os.fsdecode(path))


def run(argv: list[str], work: Path, watched: Callable[[], Any] | None = None) -> int:
    """Exit status of a command in a fork; negative if it was killed. Ends with all of its own."""
    sys.stdout.flush()
    if not (pid := os.fork()):
        status = 70
        try:
            os.chdir(work.parent)
            log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1), os.dup2(log, 2)
            _fork_the_workers_of_compare()
            sys.addaudithook(partial(_note_network, work.parent / "network"))
            if watched is not None:
                Watch(work, watched())
            from pipelines.__main__ import main

            status = main(argv)
            (work.parent / "modules").write_text("\n".join(sys.modules))
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
    return status


def _import(names: list[str]) -> None:
    """What a run imported, once for all that follow."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # as the command that was seen to need it
    for name in sorted(names):
        if name.partition(".")[0] not in ("tensorflow", "keras") and name not in sys.modules:
            with contextlib.suppress(ImportError, AttributeError):
                importlib.import_module(name)
    gc.collect(), gc.freeze()  # nothing of it is looked through, or copied, in a fork


def _files(folder: Path) -> list[Path]:
    """Files in a folder without those that libraries keep there: documented caches, and what
    TensorFlow would remove at an exit that forks do not have."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(word in str(path) for word in THEIRS)
    ]


def _note_network(file: Path, event: str, args: tuple) -> None:
    """Whom a command would connect to: nobody, as all that these need is here."""
    if event in ("socket.connect", "socket.getaddrinfo"):
        with open(file, "a") as lines:
            lines.write(f"{event} {args[1:] if event == 'socket.connect' else args}\n")


def _fork_the_workers_of_compare() -> None:
    """As `-m pipelines.comparison.jobs.fork_server` would do, but importing TensorFlow once."""
    from pipelines.comparison.jobs import fork_server, worker_pool

    class Forked:
        def __init__(self, *_: object, **__: object) -> None:
            requests, replies = os.pipe(), os.pipe()
            if not (pid := os.fork()):
                os.setpgid(0, 0)
                os.dup2(requests[0], 0), os.dup2(replies[1], 1)
                os.closerange(3, KEPT_OPEN)
                fork_server.main()
                os._exit(0)
            os.close(requests[0]), os.close(replies[1])
            self.pid = pid
            self.stdin, self.stdout = os.fdopen(requests[1], "wb"), os.fdopen(replies[0], "rb")

        def wait(self) -> None:
            os.waitpid(self.pid, 0)

    worker_pool.subprocess = argparse.Namespace(PIPE=subprocess.PIPE, Popen=Forked)


class States:
    """What a kill at each place leaves, copied aside in one run; those that are another."""

    def __init__(self, work: Path, folder: Path) -> None:
        self.work, self.folder = work, folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self.list = folder / "list.jsonl"
        self.list.touch()

    def __call__(self, place: Place, path: str) -> None:
        name = f"{place.number:05}{'b' if place.after else 'a'}"
        _copy(self.work, copy := self.folder / name)
        if place.after:
            (copy / os.path.relpath(path, self.work)).write_bytes(b"")
        said = f"{'after' if place.after else 'before'} {os.path.relpath(path, self.work)}"
        with open(self.list, "a") as file:
            file.write(json.dumps([name, place.number, place.after, said, _bytes_of(copy)]) + "\n")

    def found(self) -> list[tuple[Path, Place, str]]:
        """The first of each: the copy, the place, and that in words."""
        rows = [json.loads(line) for line in self.list.read_text().splitlines()]
        first = {row[-1]: row for row in reversed(rows)}
        return [
            (self.folder / name, Place(number, after), said)
            for name, number, after, said, digest in rows
            if first[digest][0] == name
        ]


def _copy(folder: Path, copy: Path) -> None:
    """Again where another process, whose turn is over, did its change in between."""
    while True:
        try:
            shutil.copytree(folder, copy, symlinks=True)
            return
        except (shutil.Error, FileNotFoundError):
            shutil.rmtree(copy, ignore_errors=True)


def _occupied(folder: Path) -> int:
    """Bytes that a folder takes on a file system of blocks of 4,096."""
    return sum(-(-each.lstat().st_size // 4096) * 4096 or 4096 for each in folder.rglob("*"))


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[Callable[[str], None]]:
    """An empty file system in memory at a folder; called, it gets other options."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield (
            lambda more: (
                subprocess.run(["mount", "-o", f"remount,{more}", folder], check=True) and None
            )
        )
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def _bytes_of(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(f"{path.relative_to(folder)}\n".encode())
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()


def send(number: int, at: Place) -> Callable[[Place, str], None]:
    """What sends a signal to this process, as it was typed, at a place in it or in its forks."""
    typed = os.getpid()  # asked for in the fork, see `run`

    def act(place: Place, path: str) -> None:
        if place != at:
            return
        if place.after:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        os.kill(typed, number)
        if number == signal.SIGKILL:
            os.kill(os.getpid(), number)

    return act


class Torture:
    """One command, tried in all ways."""

    def __init__(self, name: str, home: Path) -> None:
        self.name, self.work, self.log = name, home / "work", home / "log"
        flag, out = OUT.get(name, ("--out", "out"))
        words = [f"work/{word}" if word in NEVER_SAME else word for word in COMMANDS[name]]
        self.argv = [*words, flag, f"work/{out}"]
        self.wrong = self.heeded = 0
        self._fresh()
        states = States(self.work, home / "states")
        self.status = run(self.argv, self.work, lambda: states)
        self.wanted, self.places = content(self.work), states.found()
        self.peak = max((_occupied(each) for each, *_ in self.places), default=0)
        self.elsewhere = [
            *(home / "network").read_text().splitlines(),
            *(str(path) for name in OUTSIDE for path in _files(home / name)),
        ]
        if not self.status:
            _import((home / "modules").read_text().split("\n"))

    def by(self, how: str, most: int | None) -> int:
        """Try all places, or `most` of them, spread, the last one among them. Returns how many."""
        if how in ("full", "readonly"):
            return self._without_room(most or 12, is_full=how == "full")
        places = self.places
        if how in ("int", "term"):
            places = [each for each in places if not each[1].after]
        if most is not None and most < len(places):
            chosen = np.linspace(0, len(places) - 1, most + 1).round().astype(int)[1:]
            places = [places[index] for index in chosen]
        for state, place, said in places:
            self._fresh(state if how == "state" else None)
            status, problem = (1, "") if how == "state" else self._stopped(how, place)
            problem = problem or self._ends_well(again=status != 0)
            if problem:
                self.wrong += 1
                print(f"{self.name} {how} {place.number} {said}: {problem}", flush=True)
        return len(places)

    def _stopped(self, how: str, place: Place) -> tuple[int, str]:
        """Send the signal; the status, and what was wrong with how it ended."""
        number = SIGNALS[how]
        status = run(self.argv, self.work, lambda: send(number, place))
        if how == "kill":
            return status, "" if status == -number else f"not killed ({status}): {self.said()}"
        self.heeded += status == INTERRUPTED
        quiet = status in (0, INTERRUPTED) and "Traceback" not in self.log.read_text("utf-8")
        return status, "" if quiet else f"status {status}: {self.said()}"

    def _without_room(self, count: int, *, is_full: bool) -> int:
        """Runs on file systems of `count` sizes, or one that is read-only."""
        sizes = np.linspace(0, 0.97 * self.peak, count).astype(int) // 4096 * 4096
        for size in sizes if is_full else [0]:
            self._fresh()
            with mounted(self.work, f"size={max(size, 4096)}" + ("" if is_full else ",ro")) as room:
                status, said = run(self.argv, self.work), self.log.read_text(errors="replace")
                left = [name for name in content(self.work) if ".unfinished." in name]
                line = said.strip().splitlines()[-1:]
                told = (
                    status == 1 and line and ("no space left" in line[0] or "read-only" in line[0])
                )
                problem = "" if status == 0 or told else f"status {status}: {self.said()}"
                if "Traceback" in said or left:
                    problem = f"{left} {self.said()}"
                room("size=1g,rw")
                problem = problem or self._ends_well(again=status != 0)
            if problem:
                self.wrong += 1
                print(f"{self.name} {size} bytes of {self.peak}: {problem}", flush=True)
        return len(sizes) if is_full else 1

    def _ends_well(self, *, again: bool = True) -> str:
        """Give the command again; what was wrong with how that ended."""
        status, found = run(self.argv, self.work) if again else 0, content(self.work)
        every = sorted({*self.wanted, *found})
        different = [name for name in every if self.wanted.get(name) != found.get(name)]
        return f"status {status} {different}: {self.said()}" if status or different else ""

    def _fresh(self, state: Path | None = None) -> None:
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(state, self.work, symlinks=True) if state else self.work.mkdir()

    def said(self) -> str:
        """The end of what the command printed last."""
        return " ".join(self.log.read_text(errors="replace").split())[-300:]


def make_images(home: Path) -> None:
    """Images, one of them broken, records of others, and names."""
    from colours import NAMES, Colours, image

    import tfrecords

    tfrecords.write(Colours(), home / "records", shard_size=40, workers=1, progress=False)
    for i in range(24):
        path = home / "images" / ("train" if i < 18 else "test") / NAMES[i % 6] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image("train", i))
    (home / "images" / "train" / "dog" / "broken.png").write_bytes(b"no image")
    (home / "names.txt").write_text("\n".join(NAMES))


def make_model(home: Path) -> None:
    """A tiny CLIP, in a process of its own: one that has computed must not be forked."""
    if not (pid := os.fork()):
        import keras
        from tiny_models import clip

        keras.utils.set_random_seed(0)
        model = clip()
        model.build()
        model.save(home / "clip.keras")
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commands", nargs="*", default=list(COMMANDS), metavar="COMMAND")
    parser.add_argument("--how", nargs="+", choices=HOW, default=list(HOW))
    parser.add_argument("--points", type=int, help="places to die in each command; all without")
    options = parser.parse_args()
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "HF_HUB_OFFLINE": "1"}
    # As in the tests: threads wait spinning, and graphs are a million objects that all stay.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"), "1")
    gc.set_threshold(50_000, 50, 20)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background
    sys.path.insert(0, str(TESTS.parent))
    ctypes.CDLL(None).prctl(ORPHANS, 1)
    import pipelines.__main__
    import pipelines.prepare  # noqa: F401  once, not in every fork

    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder).resolve()
        os.environ |= {"HOME": str(home / "user"), "TMPDIR": str(home / "temporary")}
        for name in OUTSIDE:
            (home / name).mkdir()
        (home / "network").touch()
        tempfile.tempdir = None  # asks again
        make_images(home)
        if options.commands != ["prepare"]:
            from pipelines.comparison.jobs import fork_server

            fork_server._import()
        if any("clip.keras" in COMMANDS[name] for name in options.commands):
            make_model(home)
        for name in options.commands:
            tried = Torture(name, home)
            if tried.status:
                print(f"{name}: undisturbed, status {tried.status}: {tried.said()}", flush=True)
                failed += 1
                continue
            if tried.elsewhere:
                print(f"{name}: network, or files elsewhere: {tried.elsewhere}", flush=True)
                failed += 1
            for how in options.how:
                started, before = time.perf_counter(), tried.wrong
                count = tried.by(how, options.points)
                survived = count - (tried.wrong - before)
                took = f"{time.perf_counter() - started:.0f} s"
                stopped = f" ({tried.heeded} times stopped)" if how in ("int", "term") else ""
                said = f"{count} points, {survived} survived{stopped}, {took}"
                print(f"{name}, {how}: {said}", flush=True)
                tried.heeded = 0
            failed += tried.wrong
    return int(failed > 0)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
