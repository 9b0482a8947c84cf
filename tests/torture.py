"""Kills a command at each of its writes, gives it again, and compares with an undisturbed run.

`python tests/torture.py [COMMAND...] [--points N]`: each command is run in a fork of this process,
which dies (SIGKILL) just before its n-th change of a file or folder below the working folder, or,
where that opens a file for writing, also just after. The same command must then end with status 0
and leave the same files with the same content: no more, no fewer. Without --points, every n.
"""

import argparse
import contextlib
import hashlib
import io
import itertools
import json
import os
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

TESTS = Path(__file__).parent
EVENTS = ("open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.link", "os.symlink")
PATHS_OF = {"os.rename": 1, "os.link": 1, "os.symlink": 1}  # the path that is made
# What is another at every run: times, memory, and what is made of them.
VOLATILE = {"created", "seconds", "images_per_second", "peak_rss_bytes", "date_saved", "cost"}
FINETUNE = ("finetune", "--data", "records", "--model", "clip.keras", "--batch-size", "16")
SHORT = ("--epochs", "2", "--bootstrap", "20", "--crop-scale", "1")

COMMANDS = {
    "prepare": ("prepare", "--folder", "images", "--shard-size", "4", "--workers", "1",
                "--max-rejected", "1"),
    "retrieve": ("retrieve", "--build", "--folder", "images", "--model", "shapes-tiny"),
    "predict": ("predict", "--model", "clip.keras", "--images", "images", "--class-names",
                "names.txt", "--batch-size", "8", "--sheet", "sheet.html"),
    "train": ("train", "--data", "records", "--image-size", "16", "--patch-size", "8",
              "--embed-dim", "8", "--vocabulary-size", "300", "--context-length", "8",
              "--batch-size", "30", "--epochs", "2", "--checkpoint-steps", "2"),
    "prompt": ("prompt", "--data", "records", "--models", "clip.keras", "--methods", "zero-shot",
               "coop", "--shots", "1", "--seeds", "1", "--epochs", "2", "--n-ctx", "2",
               "--batch-size", "4", "--bootstrap", "20"),
    "finetune": (*FINETUNE, *SHORT, "--method", "full", "--checkpoint-steps", "3"),
    "finetune-ema": (*FINETUNE, *SHORT, "--method", "full", "--ema", "0.9", "--micro-batch", "8"),
    "finetune-auto": (*FINETUNE, *SHORT),
    "export": ("export", "--model", "clip.keras", "--format", "saved-model", "--class-names",
               "names.txt"),
}  # fmt: skip
OUT = {"retrieve": ("--index", "index"), "predict": ("--out", "found.csv")}


@dataclass(frozen=True)
class Point:
    """Where to die: at the n-th event, from 1, before or after it."""

    number: int
    after: bool = False


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
    """A tiny CLIP."""
    import keras
    from tiny_models import clip

    keras.utils.set_random_seed(0)
    model = clip()
    model.build()
    model.save(home / "clip.keras")


def run(argv: list[str], home: Path, work: Path, *, point: Point | None = None) -> int:
    """Exit status of a command in a fork; negative if it was killed. Events go to `events.json`."""
    sys.stdout.flush()
    if not (pid := os.fork()):
        status = 70
        try:
            os.chdir(home)
            log = os.open(work.parent / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1), os.dup2(log, 2)
            events = _watch(work, point)
            from pipelines.__main__ import main

            status = main(argv)
            (work.parent / "events.json").write_text(json.dumps(events))
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _watch(work: Path, point: Point | None) -> list[tuple[str, str]]:
    """The changes below `work`, as they come; dies at the point."""
    seen: list[tuple[str, str]] = []
    owner = os.getpid()

    def hook(event: str, args: tuple) -> None:
        if event not in EVENTS or os.getpid() != owner:
            return
        path = _changed(event, args)
        if path is None or not path.startswith(f"{work}/"):
            return
        seen.append((event, path))
        if point and len(seen) == point.number:
            if point.after and event == "open":
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
            os.kill(owner, signal.SIGKILL)

    sys.addaudithook(hook)
    return seen


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


def content(work: Path) -> dict[str, str]:
    """Name -> a digest of what must be the same, of all files and folders."""
    paths = sorted(path for path in work.rglob("*") if "tensorboard" not in path.parts)
    return {
        str(path.relative_to(work)): "folder"
        if path.is_dir()
        else _digest(path.name, path.read_bytes())
        for path in paths
    }


def _digest(name: str, data: bytes) -> str:
    """Of a file's content without times."""
    ending = name.rpartition(".")[2]
    if ending == "html":
        return ""  # shows times
    if ending == "json":
        data = json.dumps(_steady(json.loads(data)), sort_keys=True).encode()
    elif ending in ("keras", "npz"):
        with zipfile.ZipFile(io.BytesIO(data)) as members:
            inside = [(n, _digest(n, members.read(n))) for n in sorted(members.namelist())]
        data = json.dumps(inside).encode()
    elif ending == "h5":
        data = _arrays(data)
    elif ending == "safetensors":
        (size,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + size])
        header.pop("__metadata__", None)
        order = sorted(header)
        data = b"".join(
            name.encode() + data[8 + size + a : 8 + size + b]
            for name in order
            if "seconds" not in name
            for a, b in [header[name]["data_offsets"]]
        )
    return hashlib.sha256(data).hexdigest()[:16]


def _arrays(data: bytes) -> bytes:
    import h5py

    found: list[bytes] = []

    def visit(name: str, each: object) -> None:
        if isinstance(each, h5py.Dataset):
            found.append(name.encode() + np.asarray(each).tobytes())

    with h5py.File(io.BytesIO(data)) as file:
        file.visititems(visit)
    return b"".join(found)


def _steady(found: object) -> object:
    if isinstance(found, dict):
        return {key: _steady(value) for key, value in found.items() if key not in VOLATILE}
    return [_steady(each) for each in found] if isinstance(found, list) else found


def points(events: list[tuple[str, str]], most: int | None) -> list[Point]:
    """All places to die, or `most` of them: spread, the last one among them."""
    every = list(
        itertools.chain.from_iterable(
            [Point(number), *([Point(number, after=True)] if event == "open" else [])]
            for number, (event, _) in enumerate(events, start=1)
        )
    )
    if most is None or most >= len(every):
        return every
    chosen = np.linspace(0, len(every) - 1, most + 1).round().astype(int)[1:]
    return [every[place] for place in chosen]


def torture(name: str, home: Path, *, most: int | None) -> tuple[int, list[str]]:
    """How many points were tried, and what went wrong at which."""
    work = home / "work"
    flag, out = OUT.get(name, ("--out", "out"))
    argv = [f"work/{word}" if word == "sheet.html" else word for word in COMMANDS[name]]
    argv = [*argv, flag, f"work/{out}"]
    _fresh(work)
    if status := run(argv, home, work):
        print(said := f"{name}: undisturbed, status {status}: {_log(home)}", flush=True)
        return 1, [said]
    wanted = content(work)
    events = [tuple(event) for event in json.loads((home / "events.json").read_text())]
    tried, wrong = points(events, most), []
    for point in tried:
        _fresh(work)
        died = run(argv, home, work, point=point)
        status = run(argv, home, work) if died == -signal.SIGKILL else f"not killed ({died})"
        found = content(work)
        different = sorted(k for k in {*wanted, *found} if wanted.get(k) != found.get(k))
        if status or different:
            event, path = events[point.number - 1]
            where = f"{'after' if point.after else 'before'} {event} {Path(path).relative_to(work)}"
            ended = f"status {status} {different}: {_log(home)}"
            wrong.append(f"{name} {point.number} {where}: {ended}")
            print(wrong[-1], flush=True)
    return len(tried), wrong


def _fresh(work: Path) -> None:
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()


def _log(home: Path) -> str:
    return " ".join((home / "log").read_text(errors="replace").split())[-300:]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commands", nargs="*", default=list(COMMANDS), metavar="COMMAND")
    parser.add_argument("--points", type=int, help="places to die in each command; all without")
    options = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    sys.path.insert(0, str(TESTS.parent))
    import pipelines.__main__
    import pipelines.prepare  # noqa: F401  once, not in every fork

    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder).resolve()
        make_images(home)
        if any("clip.keras" in COMMANDS[name] for name in options.commands):
            if not (pid := os.fork()):  # a process that has computed must not be forked
                make_model(home)
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        if options.commands != ["prepare"]:
            from pipelines.runs import runtime

            runtime.import_tensorflow()
        for name in options.commands:
            started = time.perf_counter()
            tried, wrong = torture(name, home, most=options.points)
            failed += len(wrong)
            took = f"{time.perf_counter() - started:.0f} s"
            print(f"{name}: {tried} points, {tried - len(wrong)} survived, {took}", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
