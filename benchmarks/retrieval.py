"""Search among embeddings, and embedding a folder of images: ours, and what else there is.

    python benchmarks/retrieval.py search [--rows 1000000] [--dim 512] [--queries 100] [--rounds 3]
    python benchmarks/retrieval.py approximate [--rows 1000000] [--dim 512] [--kind hnsw]
    python benchmarks/retrieval.py embed --folder IMAGES [--batches 32 256] [--rounds 3]

`search`: the ten nearest of 100 queries, exactly. Ours searches an index on disk, mapped into
memory; `numpy` is a matrix product and argpartition by blocks of 65,536 rows, `faiss` its
IndexFlatIP, `usearch` its exact search. All have as many threads as the machine has cores, float32
rows and queries in memory, and must find the same rows. Rounds are interleaved, so that whatever
else the machine does hits all sides alike; the medians are compared.

`approximate`: the same queries against exact search, with the index of faiss that `retrieve
--build --search hnsw` makes.

The rows are no real embeddings, which nobody could download here, but lie like them: unit length,
around a common direction, in 32 directions of very different spread, and a little noise in all
others. Queries are drawn in the same way and are no copies of rows.

`embed`: a ViT-B/32 with the same random weights on every side, from the files of a folder to
embeddings. `clip-retrieval`'s way (its reader and mapper at rom1504/clip-retrieval, read and
written here again): a torch DataLoader with Pillow's resize, crop and normalisation in worker
processes, open_clip's model in eager mode, float16 results; with its defaults of 256 images at a
time, and with 32; with as many workers as there are cores, which is kinder to a small machine than
its own four. Each side runs in a process of its own, and one small pass before does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

BLOCK, LEAST = 65_536, 0.5  # rows at a time; seconds that are timed
DIRECTIONS, NOISE = 32, 0.02


def rows_like_embeddings(count: int, dim: int, *, seed: int) -> np.ndarray:
    """Float32 [count, dim] of unit length: see the top of this file."""
    world = np.random.default_rng(0)
    mixing = world.standard_normal((DIRECTIONS, dim), np.float32) / np.sqrt(dim)
    mixing *= (1 / np.sqrt(1 + np.arange(DIRECTIONS, dtype=np.float32)))[:, None]
    middle = world.standard_normal(dim, np.float32) / np.sqrt(dim)
    rng, found = np.random.default_rng(seed), np.empty((count, dim), np.float32)
    for first in range(0, count, BLOCK):
        block = found[first : first + BLOCK]
        rng.standard_normal(block.shape, np.float32, out=block)
        block *= NOISE
        block += rng.standard_normal((len(block), DIRECTIONS), np.float32) @ mixing + middle
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    return found


# --- Search -----------------------------------------------------------------------------------


def make_index(folder: Path, rows: np.ndarray) -> Any:
    """The rows as an index on disk."""
    import dual_encoder

    facts = dual_encoder.IndexFacts("none", "none", rows.shape[1], {"path": "/none"}, ())
    listing = {f"{i:08d}": (i, 0, 0) for i in range(len(rows))}
    names = list(listing)
    for first in range(0, len(rows), BLOCK):
        part = slice(first, first + BLOCK)
        stamps = [listing[name] for name in names[part]]
        done = dual_encoder.IndexRows.of(names[part], stamps, rows[part])
        dual_encoder.write_part(folder, done, facts)
    dual_encoder.IndexBuilder(folder, listing, facts).finish()
    return dual_encoder.Index.open(folder)


def numpy_search(rows: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """What people write: a matrix product and argpartition, block by block."""
    scores, places = [], []
    for first in range(0, len(rows), BLOCK):
        found = queries @ rows[first : first + BLOCK].T
        best = np.argpartition(-found, k, axis=1)[:, :k]
        scores.append(np.take_along_axis(found, best, axis=1))
        places.append(best + first)
    order = np.argsort(-np.concatenate(scores, axis=1), axis=1)[:, :k]
    return np.take_along_axis(np.concatenate(places, axis=1), order, axis=1)


def exact_sides(index: Any, rows: np.ndarray, queries: np.ndarray) -> dict[str, Callable]:
    """Calls that find the rows of the ten nearest; those whose library is missing are left out."""
    threads = os.cpu_count() or 1
    sides: dict[str, Callable] = {
        "ours": lambda: index.search(queries, 10).rows,
        "numpy": lambda: numpy_search(rows, queries, 10),
    }
    try:
        import faiss

        faiss.omp_set_num_threads(threads)
        flat = faiss.IndexFlatIP(rows.shape[1])
        flat.add(rows)
        sides["faiss"] = lambda: flat.search(queries, 10)[1]
    except ModuleNotFoundError:
        print("faiss is left out: pip install faiss-cpu")
    try:
        from usearch.index import MetricKind
        from usearch.index import search as usearch

        options = {"exact": True, "threads": threads}
        sides["usearch"] = lambda: usearch(rows, queries, 10, MetricKind.IP, **options).keys
    except ModuleNotFoundError:
        print("usearch is left out: pip install usearch")
    return sides


def medians(sides: dict[str, Callable], rounds: int) -> dict[str, float]:
    """Seconds of a call of each side; the rounds interleaved, one before that does not count."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, call in sides.items():
            seconds = seconds_of(call)
            if number:
                taken[name].append(seconds)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def seconds_of(call: Callable) -> float:
    """Of one call, from as many as take half a second: a short one alone would be timed while it
    fetches back what another side drove out of the caches."""
    start, taken, calls = time.perf_counter(), 0.0, 0
    while not calls or taken < LEAST:
        call()
        calls += 1
        taken = time.perf_counter() - start
    return taken / calls


def search(options: argparse.Namespace) -> dict[str, Any]:
    rows = rows_like_embeddings(options.rows, options.dim, seed=1)
    queries = rows_like_embeddings(options.queries, options.dim, seed=2)
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        sides = exact_sides(make_index(Path(folder), rows), rows, queries)
        found = {name: call() for name, call in sides.items()}
        same = {n: float((np.sort(f) == np.sort(found["ours"])).mean()) for n, f in found.items()}
        return {"seconds": medians(sides, options.rounds), "same rows as ours": same}


def approximate(options: argparse.Namespace) -> dict[str, Any]:
    import dual_encoder

    rows = rows_like_embeddings(options.rows, options.dim, seed=1)
    queries = rows_like_embeddings(options.queries, options.dim, seed=2)
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        index = make_index(Path(folder), rows)
        del rows
        start = time.perf_counter()
        dual_encoder.build_approximate(index, options.kind)
        built = time.perf_counter() - start
        index = dual_encoder.Index.open(Path(folder))
        made = dual_encoder.Approximate.open(index)  # as `retrieve` does
        one = queries[:1]
        sides = {
            "exact, all at once": lambda: index.search(queries, 10),
            f"{options.kind}, all at once": lambda: made.search(queries, 10),
            "exact, one alone": lambda: index.search(one, 10),
            f"{options.kind}, one alone": lambda: made.search(one, 10),
        }
        found, exact = made.search(queries, 10).rows, index.search(queries, 10).rows
        return {
            "seconds": medians(sides, options.rounds),
            "seconds to build": built,
            "recall@10": dual_encoder.recall(found, exact),
            "recall@10 as building measured it": made.facts["recall_at_10"],
        }


# --- Embedding --------------------------------------------------------------------------------

MODEL = "clip-vit-base-patch32-laion400m"
PARITY = Path(__file__).parents[1] / "tests" / "parity"


def reference(folder: Path) -> Any:
    """A random ViT-B/32 of open_clip, the same each time; written to `folder` as published."""
    sys.path.append(str(PARITY))
    from reference import build

    return build(MODEL, folder).model.eval()


def ours(folder: Path, photos: Path, names: list[str], batch: int) -> Callable[[], np.ndarray]:
    """As `retrieve --build` does it."""
    from functools import partial

    import dual_encoder
    import tfrecords
    from pipelines.retrieval.encode import encode_images

    model = dual_encoder.load(folder)

    def run() -> np.ndarray:
        loads = [(name, partial(tfrecords.ImageFolder(photos).load, name)) for name in names]
        batches = tfrecords.read_images(loads, batch_size=batch, **model.preprocessing)
        return np.concatenate([encode_images(model, b.images, rows=batch) for b in batches])

    return run


def theirs(folder: Path, photos: Path, names: list[str], batch: int) -> Callable[[], np.ndarray]:
    """As clip-retrieval does it: see the top of this file."""
    import torch
    from PIL import Image

    torch.set_num_threads(os.cpu_count() or 1)
    model = reference(folder)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]

    class Files(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return len(names)

        def __getitem__(self, number: int) -> torch.Tensor:
            image = Image.open(photos / names[number]).convert("RGB")
            short = min(image.size)
            size = [int(224 * side / short) for side in image.size]
            image = image.resize(size, Image.Resampling.BICUBIC)
            left, top = (round((side - 224) / 2) for side in size)
            pixels = np.array(image.crop((left, top, left + 224, top + 224)))
            return (torch.from_numpy(pixels).permute(2, 0, 1).float() / 255 - mean) / std

    def run() -> np.ndarray:
        loader = torch.utils.data.DataLoader(
            Files(), batch, num_workers=os.cpu_count() or 1, multiprocessing_context="fork"
        )
        found = []
        with torch.no_grad():
            for images in loader:
                features = model.encode_image(images)
                features /= features.norm(dim=-1, keepdim=True)
                found.append(features.to(torch.float16).numpy())
        return np.concatenate(found)

    return run


def side(connection: Any, make: Callable, arguments: tuple) -> None:
    """One side in a process of its own: its embeddings, then seconds for every pass asked for."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    run = make(*arguments)
    connection.send(run().astype(np.float32))
    while connection.recv():
        start = time.perf_counter()
        run()
        connection.send(time.perf_counter() - start)


def embed(options: argparse.Namespace) -> dict[str, Any]:
    import multiprocessing

    from tfrecords import ImageFolder

    images, context = Path(options.folder), multiprocessing.get_context("spawn")
    names = list(ImageFolder(images).listing())[: options.limit]
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        reference(Path(folder))
        calls: dict[str, Callable] = {}
        ends, first = [], {}
        for label, make, batch in [
            ("ours, 32", ours, 32), *((f"theirs, {n}", theirs, n) for n in options.batches)
        ]:  # fmt: skip
            near, far = context.Pipe()
            arguments = (Path(folder) if make is ours else Path(folder) / label, images, names)
            if make is theirs:
                arguments[0].mkdir()
            context.Process(target=side, args=(far, make, (*arguments, batch))).start()
            first[label] = near.recv()
            ends.append(near)
            calls[label] = lambda near=near: (near.send(True), near.recv())
        seconds = medians(calls, options.rounds)
        for near in ends:
            near.send(False)
    cosines = {n: float((found * first["ours, 32"]).sum(1).min()) for n, found in first.items()}
    rates = {name: len(names) / taken for name, taken in seconds.items()}
    return {"images": len(names), "images per second": rates, "least cosine": cosines}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=("search", "approximate", "embed"))
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--kind", choices=("hnsw", "ivf"), default="hnsw")
    parser.add_argument("--folder", help="of images, for embed")
    parser.add_argument("--limit", type=int, default=512, help="images, for embed")
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 256])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scratch", help="folder for the index; the system's if nothing is said")
    options = parser.parse_args(argv)
    if options.what == "embed" and not options.folder:
        parser.error("embed needs --folder")
    found = {"search": search, "approximate": approximate, "embed": embed}[options.what](options)
    print(json.dumps(found, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
