"""Image files to squares of pixels, without a model: ours, and a torch DataLoader.

    python benchmarks/reading.py --folder IMAGES [--torch PYTHON] [--rounds 5] [--side 224]

Ours is what `retrieve --build --folder`, `predict` and `inspect` read images with: threads of one
process. The other is what one would write: Pillow's upright, resized and cropped image in the
worker processes of a DataLoader, as many as there are cores; PYTHON is one that has torch. Both
give batches of 32 images, uint8. Libraries are imported, workers started and each file read once
before the clock starts; ratios above 1 mean that ours is faster.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

BATCH = 32


def ours(paths: list[Path], side: int) -> Callable[[], int]:
    from pipelines.runs import runtime

    runtime.import_tensorflow()
    import tfrecords

    def run() -> int:
        asked = ((path.name, path.read_bytes) for path in paths)
        batches = tfrecords.read_images(asked, batch_size=BATCH, image_size=side)
        return sum(len(batch.images) for batch in batches)

    return run


def theirs(paths: list[Path], side: int) -> Callable[[], int]:
    import numpy as np
    import torch
    from PIL import Image, ImageOps

    class Files(torch.utils.data.Dataset):
        def __len__(self):
            return len(paths)

        def __getitem__(self, place):
            image = ImageOps.exif_transpose(Image.open(paths[place]).convert("RGB"))
            width, height = image.size
            size = (
                (side, side * height // width)
                if width <= height
                else (side * width // height, side)
            )
            image = image.resize(size, Image.Resampling.BICUBIC)
            left, top = (size[0] - side) // 2, (size[1] - side) // 2
            return np.asarray(image.crop((left, top, left + side, top + side)))

    loader = torch.utils.data.DataLoader(
        Files(), batch_size=BATCH, num_workers=os.cpu_count() or 1, persistent_workers=True
    )
    return lambda: sum(len(batch) for batch in loader)


def serve(which: str, paths: list[Path], side: int) -> None:
    """Answer every line with the images per second of one pass over the files."""
    run = {"ours": ours, "torch": theirs}[which](paths, side)
    if run() != len(paths):
        sys.exit(f"{which}: not every image could be read")
    print("ready", flush=True)
    for _ in sys.stdin:
        begun = time.perf_counter()
        print(run() / (time.perf_counter() - begun), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--torch", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--serve", choices=("ours", "torch"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    paths = sorted(
        path for path in given.folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg")
    )
    if not paths:
        sys.exit(f"--folder: no JPEG files in {given.folder}")
    if given.serve:
        serve(given.serve, paths, given.side)
        return
    import numpy as np
    from side_by_side import race

    words = [__file__, "--folder", str(given.folder), "--side", str(given.side), "--serve"]
    found = race(
        {"ours": [sys.executable, *words, "ours"], "torch": [given.torch, *words, "torch"]},
        rounds=given.rounds,
    )
    rates = {side: float(np.median(rows[:, 0])) for side, rows in found.items()}
    print("| side | images/s |\n| --- | ---: |")
    for side, rate in rates.items():
        print(f"| {side} | {rate:.1f} |")
    print(f"ours over torch, median of rounds: {np.median(found['ours'] / found['torch']):.2f}")


if __name__ == "__main__":
    main()
