"""Files of torch, damaged at random: each is read or refused in one line, and nothing runs.

    python tests/fuzz/torch_files.py --mutations 20000 --seed 0

Prints how many were read and refused, whatever else happened, and the slowest. `--only NUMBER`
repeats one of them.
"""

import argparse
import contextlib
import mmap  # noqa: F401  NumPy imports it with the first map
import pickletools
import random
import resource
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

import numpy as np
import torch_archives as archives
import torch_attacks
import torchscript_archives as scripts

from dual_encoder.checkpoints.torch_files import map_torch_tensors

LIMIT = 5  # seconds for one
NUMBERS = (
    0,
    1,
    2,
    7,
    127,
    128,
    255,
    256,
    0x7FFF,
    0xFFFF,
    1 << 31,
    0xFFFF_FFFF,
    1 << 62,
    (1 << 64) - 1,
)
# What Python reports when something is run, imported or started.
RUNS = (
    "exec",
    "compile",
    "import",
    "pickle.",
    "os.",
    "subprocess.",
    "socket.",
    "ctypes.",
    "marshal.",
)
watching, events = [False], []


@dataclass
class Outcome:
    """What came of all mutations."""

    read: Counter = field(default_factory=Counter)
    refused: Counter = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest: float = 0.0


def seeds() -> dict[str, tuple[bytes, dict, dict]]:
    """Good pickles of each kind of file, with their storages and code."""
    values = np.arange(24, dtype="float32").reshape(4, 6)
    whole = archives.tensor(values)
    tensors = {
        "module.whole": whole,
        "module.turned": archives.Tensor(whole.storage, (6, 4), (1, 6)),
        "module.part": archives.Tensor(whole.storage, (2, 3), (6, 1), 7),
        "module.half": archives.tensor(values.astype("float16"), parameter=True),
        "module.count": archives.tensor(np.int64(5)),
    }
    root = {"epoch": 3, "lr": np.float64(0.1), "state_dict": tensors, "optimizer": {0: [1, 2]}}
    block = scripts.Module("__torch__.Block", {"weight": tensors["module.half"], "training": True})
    kind, attributes = "__torch__.model.Clip", {"scale": whole, "visual": block, "vocab_size": 9}
    script = scripts.Module(kind, attributes)
    return {
        "archive": (*archives.pickled(root), {}),
        "legacy": (*archives.pickled(root, legacy=True), {}),
        "script": (*scripts.pickled(script), scripts.code_of(script)),
    }


def packed(kind: str, pickle: bytes, storages: dict, code: dict) -> bytes:
    """A file of a pickle."""
    if kind == "script":
        return scripts.script_of(pickle, storages, code)
    return (archives.legacy_of if kind == "legacy" else archives.archive_of)(pickle, storages)


def mutation(number: int, seed: int, attacks: list[bytes]) -> tuple[str, bytes]:
    """A kind and a damaged file; the same for the same numbers."""
    chance = random.Random(f"{seed}:{number}")
    kind = chance.choice(("archive", "legacy", "script"))
    pickle, storages, code = SEEDS[kind]
    way = chance.choice(("file", "ends", "pickle", "instructions", "attack"))
    if way in ("file", "ends"):
        return f"{kind}, {way}", damaged(
            packed(kind, pickle, storages, code), chance, way == "ends"
        )
    if way == "pickle":
        pickle = damaged(pickle, chance)
    if way == "instructions":
        pickle = rearranged(pickle, attacks, chance)
    if way == "attack":
        pickle = damaged(chance.choice(attacks), chance)
    return f"{kind}, {way}", packed(kind, pickle, storages, code)


def damaged(content: bytes, chance: random.Random, ends: bool = False) -> bytes:
    """Bytes changed, left out, doubled or cut off; where a zip has its directory, or anywhere."""
    out = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 4, 16))):
        first = max(0, len(out) - 1500) if ends else 0
        at, width = chance.randrange(first, len(out) + 1), chance.choice((1, 2, 4, 8))
        number = chance.choice(NUMBERS) % (1 << 8 * width)
        match chance.randrange(7):
            case 0 | 1:
                out[at : at + 1] = chance.randbytes(1)
            case 2 | 3:
                out[at : at + width] = number.to_bytes(width, "little")
            case 4:
                del out[at : at + chance.randrange(1, 40)]
            case 5:
                out[at:at] = out[chance.randrange(len(out) + 1) :][: chance.randrange(1, 60)]
            case 6 if chance.random() < 0.2:
                del out[at:]
    return bytes(out)


def rearranged(pickle: bytes, attacks: list[bytes], chance: random.Random) -> bytes:
    """Instructions moved, left out and added, among them those of attacks."""
    pieces, others = instructions(pickle), instructions(chance.choice(attacks))
    for _ in range(chance.choice((1, 2, 3, 8))):
        at = chance.randrange(len(pieces))
        match chance.randrange(5):
            case 0:
                del pieces[at : at + chance.randrange(1, 4)]
            case 1:
                start = chance.randrange(len(others))
                pieces[at:at] = others[start : start + chance.randrange(1, 12)]
            case 2:
                pieces.insert(at, chance.choice(pickletools.opcodes).code.encode("latin-1"))
            case 3:
                pieces[at] = chance.choice(pieces)
            case 4:
                other = chance.randrange(len(pieces))
                pieces[at], pieces[other] = pieces[other], pieces[at]
        pieces = pieces or [b"."]
    return b"".join(pieces)


def instructions(pickle: bytes) -> list[bytes]:
    """A pickle in pieces, as far as it can be split."""
    starts: list[int] = []
    with contextlib.suppress(ValueError):
        for _, _, at in pickletools.genops(pickle):
            starts.append(at)
    starts = starts or [0]
    return [pickle[a:b] for a, b in zip(starts, [*starts[1:], len(pickle)], strict=True)]


@contextlib.contextmanager
def watched() -> Iterator[list[str]]:
    """Collects what runs meanwhile."""
    events.clear()
    watching[0] = True
    try:
        yield events
    finally:
        watching[0] = False


def _report(event: str, arguments: tuple) -> None:
    if watching[0] and event.startswith(RUNS):
        events.append(f"{event} {arguments!r:.100}")


sys.addaudithook(_report)


def try_one(path: Path, what: str, outcome: Outcome) -> None:
    """Read one file, and every number in it."""
    start = time.perf_counter()
    try:
        with watched() as ran, limited():
            arrays, _ = map_torch_tensors(path)
            for array in arrays.values():
                np.ascontiguousarray(array).reshape(-1).view(np.uint8).sum()
        outcome.read[what] += 1
    except ValueError as error:
        outcome.refused[what] += 1
        if not str(error).startswith(f"{path}: ") or not str(error).isprintable():
            outcome.wrong.append(f"error {str(error)!r}")
    except BaseException as error:
        outcome.wrong.append(f"{type(error).__name__}: {error}")
    outcome.wrong += [f"ran {event}" for event in ran]
    outcome.slowest = max(outcome.slowest, time.perf_counter() - start)


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """TimeoutError after a while; only the main thread can be interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise TimeoutError(f"not done after {LIMIT} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LIMIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def fuzz(numbers: range, folder: Path, *, seed: int = 0) -> Outcome:
    """Mutations of these numbers, read one after the other."""
    sentinel = folder / "ran"
    attacks = [
        pickle for pickle, _ in torch_attacks.attacks(sentinel).values() if len(pickle) < 9999
    ]
    outcome = Outcome()
    for number in numbers:
        what, content = mutation(number, seed, attacks)
        path = folder / f"{number}.pt"
        path.write_bytes(content)
        count = len(outcome.wrong)
        try_one(path, what, outcome)
        if sentinel.exists():
            outcome.wrong.append("the command of an attack ran")
            sentinel.unlink()
        outcome.wrong[count:] = [f"{number} ({what}): {wrong}" for wrong in outcome.wrong[count:]]
        path.unlink()
    return outcome


SEEDS = seeds()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutations", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="the number of one mutation")
    options = parser.parse_args()
    numbers = range(options.mutations)
    if options.only is not None:
        numbers = range(options.only, options.only + 1)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        outcome = fuzz(numbers, Path(folder), seed=options.seed)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    for what in sorted(outcome.read | outcome.refused):
        print(f"{what:24} read {outcome.read[what]:6}  refused {outcome.refused[what]:6}")
    print(
        f"{len(numbers)} files in {time.perf_counter() - start:.0f} s: read "
        f"{outcome.read.total()}, refused {outcome.refused.total()}, wrong {len(outcome.wrong)}; "
        f"slowest {outcome.slowest:.2f} s; memory grew by {grown:.0f} MiB"
    )
    print(*outcome.wrong[:50], sep="\n")
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
