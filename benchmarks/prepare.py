"""Images per second from a folder of photographs to shards: ours, tfds's writer and img2dataset's.

    python benchmarks/prepare.py --folder DIR [--rounds 3] [--short-side 256]

Two pairs, with the same files and two processes (tfds writes with one): the files as they are, ours
against a `tfds` builder; and shrunk to a shorter side, JPEG of quality 95, ours against
`img2dataset`'s `Resizer` and `webdataset`'s tar files. Ours also decodes every image to reject the
damaged, and hashes every image to find duplicates. Libraries are imported before the clock starts;
rounds are interleaved, medians count, and ratios above 1 mean that ours is faster. Sides whose
library is missing are left out.
"""

import argparse
import io
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

WORKERS = 2
SIDES = {"ours": "tfds", "ours, shrunk": "img2dataset, shrunk"}


def ours(folder: Path, out: Path, *, short_side: int | None) -> Callable[[], object]:
    import tfrecords
    from tfrecords import sources

    source = sources.class_folder(folder, seed=0)
    options = {"short_side": short_side, "workers": WORKERS, "progress": False}
    return lambda: tfrecords.write(source, out, **options)


def theirs_as_they_are(folder: Path, out: Path) -> Callable[[], object]:
    import tensorflow_datasets as tfds

    class Photographs(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = out

        def _info(self):
            names = sorted({path.parent.name for path in images(folder)})
            parts = {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(names=names)}
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(parts))

        def _split_generators(self, _):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for number, path in enumerate(images(folder)):
                yield number, {"image": str(path), "label": path.parent.name}

    return lambda: Photographs(data_dir=str(out)).download_and_prepare()


def theirs_shrunk(folder: Path, out: Path, *, short_side: int) -> Callable[[], object]:
    import img2dataset.resizer  # noqa: F401  in this process, whose copies write
    import webdataset  # noqa: F401

    out.mkdir(parents=True)
    paths = images(folder)
    parts = [(paths[i::WORKERS], out / f"{i}.tar", short_side) for i in range(WORKERS)]

    def run() -> None:
        with multiprocessing.get_context("fork").Pool(WORKERS) as pool:
            pool.map(_tar, parts)

    return run


def _tar(part: tuple[list[Path], Path, int]) -> None:
    import webdataset
    from img2dataset.resizer import Resizer

    paths, tar, short_side = part
    resize = Resizer(short_side, "keep_ratio", True)
    with webdataset.TarWriter(str(tar)) as writer:
        for path in paths:
            data, *_, error = resize(io.BytesIO(path.read_bytes()))
            if error:
                raise RuntimeError(error)
            writer.write({"__key__": path.stem, "jpg": data, "cls": path.parent.name})


def images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))


def measured(side: str, folder: Path, short_side: int, pipe) -> None:
    with tempfile.TemporaryDirectory() as home:
        out = Path(home) / "out"
        made = {
            "ours": partial(ours, short_side=None),
            "tfds": theirs_as_they_are,
            "ours, shrunk": partial(ours, short_side=short_side),
            "img2dataset, shrunk": partial(theirs_shrunk, short_side=short_side),
        }
        try:
            run = made[side](folder, out)
        except ImportError:
            pipe.send(None)
            return
        begun, before = time.perf_counter(), _used()
        run()
        pipe.send((time.perf_counter() - begun, _used() - before))


def _used() -> float:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in both)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--short-side", type=int, default=256)
    given = parser.parse_args()
    count, context = len(images(given.folder)), multiprocessing.get_context("spawn")
    if not count:
        sys.exit(f"--folder: no JPEG files in {given.folder}")
    sides = [*SIDES, *SIDES.values()]
    found: dict[str, list] = {side: [] for side in sides}
    for number in range(given.rounds):
        for side in sides if number % 2 else sides[::-1]:
            here, there = context.Pipe()
            words = (side, given.folder, given.short_side, there)
            process = context.Process(target=measured, args=words)
            process.start()
            there.close()
            if (row := here.recv()) is not None:
                found[side].append(row)
            process.join()
    medians = {
        side: [statistics.median(column) for column in zip(*rows, strict=True)]
        for side, rows in found.items()
        if rows
    }
    print("| side | images/s | processor's ms an image |\n| --- | ---: | ---: |")
    for side, (elapsed, used) in medians.items():
        print(f"| {side} | {count / elapsed:.0f} | {1e3 * used / count:.1f} |")
    for side, other in SIDES.items():
        if other in medians:
            elapsed, used = (b / a for a, b in zip(medians[side], medians[other], strict=True))
            print(f"{side}: {elapsed:.2f} times as fast as {other}, its processor's {used:.2f}")


if __name__ == "__main__":
    main()
