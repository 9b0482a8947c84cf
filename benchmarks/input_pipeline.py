"""Images per second from JPEG files to batches: a PyTorch DataLoader against tfrecords.load.

Every side decodes the same files on the same cores, draws random windows from the same
distribution and resizes them to 224 x 224, bicubic and antialiased:

- `DataLoader`: 2 workers, Pillow; what most people run today. The original files.
- `records`: tfrecords.load, records that hold the bytes of the original files.
- `records, 256`: the same after `prepare --short-side 256`.

Each side runs in a separate process. Rounds are interleaved, so that other load affects all sides
alike, and medians are compared. A round is a few epochs from a cold start: starting workers and
building the graph count. `end` is the longest time from the last batch to the end of the round.

python benchmarks/input_pipeline.py [--folder DIR] [--rounds 5] [--json FILE]

PyTorch is not among Duet's dependencies: install its CPU build, or the extra `parity`.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from PIL import Image

SIZE, BATCH, WORKERS = 224, 50, 2
EPOCHS = 3  # of a round
RATIO = (3 / 4, 4 / 3)


# --- Images ---------------------------------------------------------------------------------


def make_photographs(folder: Path, count: int) -> None:
    """JPEGs of about 512 x 512 pixels and 55 kB, with as much detail as photographs have."""
    for index in range(count):
        rng = np.random.default_rng(index)
        width, height = rng.permutation([512, rng.integers(341, 513)])
        pixels = np.zeros((height, width, 3), np.float32)
        for cells, weight in ((3, 0.45), (9, 0.25), (31, 0.15), (90, 0.1), (260, 0.12)):
            noise = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
            layer = noise.resize((int(width), int(height)), Image.Resampling.BICUBIC)
            pixels += weight * np.asarray(layer, np.float32)
        path = folder / "class" / f"{index:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=88)


def jpegs(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))


class Files:
    """The files as a source for the record writer."""

    name, class_names, templates, metric, lossless = "files", ("image",), (), "top1", False

    def __init__(self, paths: list[Path]):
        self.paths = paths
        self.splits = {"train": len(paths)}

    def describe(self) -> dict:
        return {"kind": "files"}

    def read(self, split: str, start: int, stop: int):
        from tfrecords import RawExample

        for path in self.paths[start:stop]:
            yield RawExample(path.name, path.read_bytes, 0)


# --- The DataLoader ---------------------------------------------------------------------------


def random_window(width: int, height: int, scale: tuple[float, float]) -> tuple[int, ...]:
    """Left, upper, right, lower of a window, as torchvision's RandomResizedCrop draws it."""
    import torch

    for _ in range(10):
        area = width * height * torch.empty(1).uniform_(*scale).item()
        aspect = math.exp(torch.empty(1).uniform_(*map(math.log, RATIO)).item())
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left = int(torch.randint(0, width - w + 1, (1,)).item())
            top = int(torch.randint(0, height - h + 1, (1,)).item())
            return left, top, left + w, top + h
    w, h = min(width, round(height * RATIO[1])), min(height, round(width / RATIO[0]))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


class TorchFiles:
    """A map-style PyTorch dataset: Pillow decodes, crops and resizes; float32 [3, s, s] in 0-1."""

    def __init__(self, paths: list[Path], scale: tuple[float, float]):
        self.paths, self.scale = paths, scale

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int):
        import torch

        with open(self.paths[index], "rb") as file:
            image = Image.open(file).convert("RGB")
        image = image.crop(random_window(*image.size, self.scale))
        image = image.resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
        return pixels.float().div(255), 0


def dataloader(paths: list[Path], scale: tuple[float, float], round_: int) -> Iterable:
    import torch

    torch.manual_seed(round_)
    loader = torch.utils.data.DataLoader(
        TorchFiles(paths, scale),
        BATCH,
        shuffle=True,
        num_workers=WORKERS,
        persistent_workers=True,
    )
    for _ in range(EPOCHS):
        yield from loader


# --- Ours -------------------------------------------------------------------------------------


def records(folder: Path, scale: tuple[float, float], round_: int) -> Iterable:
    import tfrecords

    return tfrecords.load(
        folder,
        "train",
        batch_size=BATCH,
        image_size=SIZE,
        training=True,
        crop_scale=scale,
        seed=round_,
        epochs=EPOCHS,
        verify="size",
    )


# --- Measuring --------------------------------------------------------------------------------


def one_round(side: Callable[[int], Iterable], round_: int, count: int) -> tuple[float, float]:
    """Images per second of a round, and seconds from its last batch to its end."""
    start = last = time.perf_counter()
    batches = 0
    for _ in side(round_):
        batches, last = batches + 1, time.perf_counter()
    end = time.perf_counter()
    if batches != EPOCHS * -(-count // BATCH):
        raise RuntimeError(f"{EPOCHS} epochs of {count} images gave {batches} batches of {BATCH}")
    return EPOCHS * count / (end - start), end - last


def serve(connection: Connection, side: Callable[[int], Iterable], count: int) -> None:
    """One side in a process of its own: does a round for every number sent."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for round_ in iter(connection.recv, None):
        connection.send((*one_round(side, round_, count), peak_memory()))


def measure(sides: dict[str, Callable], rounds: int, count: int) -> dict[str, dict]:
    """Rounds of all sides in turn; the first, with imports and a cold file cache, is dropped."""
    context = multiprocessing.get_context("spawn")
    ends = {name: context.Pipe() for name in sides}
    processes = [
        context.Process(target=serve, args=(ends[name][1], side, count))
        for name, side in sides.items()
    ]
    for process, (_, theirs) in zip(processes, ends.values(), strict=True):
        process.start()
        theirs.close()  # so that a side that dies ends the wait for it
    passes: dict[str, list] = {name: [] for name in sides}
    for round_ in range(rounds + 1):
        for name, (connection, _) in ends.items():
            connection.send(round_)
            passes[name].append(connection.recv())
    for (connection, _), process in zip(ends.values(), processes, strict=True):
        connection.send(None)
        process.join()
    return summarize({name: measured[1:] for name, measured in passes.items()})


def summarize(passes: dict[str, list]) -> dict[str, dict]:
    rates = {name: [rate for rate, _, _ in measured] for name, measured in passes.items()}
    baseline = statistics.median(rates["DataLoader"])
    return {
        name: {
            "images_per_second": statistics.median(rates[name]),
            "ratio": statistics.median(rates[name]) / baseline,
            "every_round": [round(rate, 1) for rate in rates[name]],
            "longest_end_seconds": max(end for _, end, _ in measured),
            "peak_memory_mib": measured[-1][2],
        }
        for name, measured in passes.items()
    }


def print_table(scale: tuple[float, float], results: dict[str, dict]) -> None:
    print(f"\nwindows of {scale[0]:.0%} to {scale[1]:.0%} of the area")
    print(f"{'':14}{'images/s':>12}{'ratio':>7}{'end, s':>9}{'MiB':>7}   every round")
    for name, result in results.items():
        rate, ratio, every, end, memory = result.values()
        print(f"{name:14}{rate:12.0f}{ratio:7.2f}{end:9.3f}{memory:7}   {every}")


def peak_memory() -> int:
    """Peak resident size in MiB of this process and of PyTorch's workers, each counted whole."""
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if "torch" in sys.modules:
        peak += WORKERS * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak // unit


def prepare(paths: list[Path], folder: Path) -> dict[str, Path]:
    from tfrecords import writer

    written = {"records": None, "records, 256": 256}
    for name, short_side in written.items():
        writer.write(Files(paths), folder / name, short_side=short_side, progress=False)
    return {name: folder / name for name in written}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="JPEG files to read instead of made-up ones")
    parser.add_argument("--count", type=int, default=1000, help="images at most")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each side")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    try:
        import torch
    except ImportError:
        print("PyTorch is missing; install its CPU build, or the extra parity", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary) / "files"
        if options.folder is None:
            make_photographs(folder, options.count)
        paths = jpegs(folder)[: options.count]
        size = statistics.mean(path.stat().st_size for path in paths)
        print(f"{len(paths)} JPEG files of {size / 1000:.0f} kB from {options.folder or 'a seed'}")
        prepared = prepare(paths, Path(temporary))
        report: dict = {"files": len(paths), "bytes_per_file": round(size), "cores": os.cpu_count()}
        report["versions"] = {"python": platform.python_version(), "torch": torch.__version__}
        for scale in ((0.08, 1.0), (0.9, 1.0)):
            sides = {"DataLoader": functools.partial(dataloader, paths, scale)}
            for name, records_folder in prepared.items():
                sides[name] = functools.partial(records, records_folder, scale)
            results = measure(sides, options.rounds, len(paths))
            print_table(scale, results)
            report[f"scale {scale[0]} to {scale[1]}"] = results
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
