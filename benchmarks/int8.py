"""Latency and images per second of a ViT in 8-bit integers on a CPU, ours and torch's.

    python benchmarks/int8.py [--patch 32] [--rounds 5] [--torch PYTHON]

The same sizes with random weights: what `export --int8` writes as LiteRT, ONNX and OpenVINO, as
`predict` runs it, ONNX in float32, `encode_image` in float32 and `mixed_bfloat16`, and torch
eager in float32 (see `half_precision.py`). One image and a batch of 32, in processes of their own,
rounds interleaved; medians of elapsed time and of the processor's, and their ratios to torch's.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import half_precision
import numpy as np
import side_by_side

BATCHES = (1, 32)
SIDES = ("torch, float32", "ours, float32", "ours, mixed_bfloat16", "onnx, float32")
SIDES += ("onnx, int8", "openvino, int8", "litert, int8")


def write(side: str, folder: Path, *, patch: int) -> None:
    """Write an export, with ranges of random images."""
    from pipelines.runs import runtime

    runtime.import_tensorflow()
    import classifiers
    import dual_encoder
    from pipelines.deployment import litert, load_classifier, onnx_openvino

    tower = dual_encoder.VisionTransformer(224, patch, width=768, depth=12, heads=12)
    classifiers.from_model(tower, classes=10).save(folder / "vit.keras")
    given = load_classifier.load(str(folder / "vit.keras"))
    examples = half_precision.images(8) if "int8" in side else None
    if side.startswith("litert"):
        (folder / side).write_bytes(litert.convert(given, examples=examples))
    elif side.startswith("onnx"):
        onnx_openvino.write(given, folder / side, examples=examples)
    else:
        onnx_openvino.write_openvino(given, folder / f"{side}.xml", examples=examples)


def runner(side: str, folder: Path, *, patch: int, batch: int) -> Callable[[], object]:
    kind, number = side.split(", ")
    if kind == "torch":
        return half_precision.torchs(number, patch=patch, batch=batch)
    if kind == "ours":
        return half_precision.ours(number, patch=patch, batch=batch)
    from pipelines.deployment import litert, onnx_openvino

    path = folder / (f"{side}.xml" if kind == "openvino" else side)
    if kind == "litert":
        read = litert.reader(path.read_bytes())
    else:
        read = onnx_openvino.READERS[kind][1](path)
    images = half_precision.images(batch)
    return lambda: read(images)


def serve(side: str, folder: Path, *, patch: int) -> None:
    """Time a call of each batch for every line of standard input."""
    runs = [runner(side, folder, patch=patch, batch=batch) for batch in BATCHES]
    for run in runs:
        run()
    print("ready", flush=True)
    for _ in sys.stdin:
        for run in runs:
            begun, used = time.perf_counter(), time.process_time()
            run()
            print(time.perf_counter() - begun, time.process_time() - used, end=" ")
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--torch")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.write:
        write(given.side, given.folder, patch=given.patch)
        return
    if given.side:
        serve(given.side, given.folder, patch=given.patch)
        return
    with tempfile.TemporaryDirectory() as folder:
        words = [Path(__file__), f"--patch={given.patch}", f"--folder={folder}"]
        for side in SIDES[3:]:  # converters keep memory
            subprocess.run([sys.executable, *words, "--write", f"--side={side}"], check=True)
        found = race(words, rounds=given.rounds, torch=given.torch)
    base = found["torch, float32" if given.torch else "ours, float32"]
    print("| side | 1, ms | ratio | processor | 32, images/s | ratio | processor | peak GiB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for side, (one, used, many, used_by_many, peak) in found.items():
        print(
            f"| {side} | {1e3 * one:.0f} | {one / base[0]:.2f} | {used / base[1]:.2f} | "
            f"{32 / many:.1f} | {many / base[2]:.2f} | {used_by_many / base[3]:.2f} | {peak:.2f} |"
        )


def race(words: list, *, rounds: int, torch: str | None) -> dict[str, np.ndarray]:
    """Medians of each side: seconds and the processor's, of one image and of 32; peak GiB."""
    pythons = {side: torch if side.startswith("torch") else sys.executable for side in SIDES}
    found = side_by_side.race(
        {side: [python, *words, f"--side={side}"] for side, python in pythons.items() if python},
        rounds=rounds,
    )
    return {side: np.median(rows, axis=0) for side, rows in found.items()}


if __name__ == "__main__":
    main()
