"""Images per second of a ViT on a CPU in float32 and bfloat16: ours, and torch's.

    python benchmarks/half_precision.py [--patch 32] [--batch 32] [--rounds 4] [--torch PYTHON]

Sides, each in a process of its own with the same sizes and random weights: `encode_image` of ours
under `float32` and `mixed_bfloat16`, and in torch `nn.TransformerEncoder` behind a patch
convolution, eager, in inference mode, with weights in float32 and in bfloat16 (which saves it
the conversion that ours makes at every call). Rounds are interleaved, the best of each counts, and
its spread is (median - best) / best. `--torch` is a Python that has torch; without, none.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import side_by_side

SIDES = {
    "ours, float32": ("duet", "float32"),
    "ours, mixed_bfloat16": ("duet", "mixed_bfloat16"),
    "torch, float32": ("torch", "float32"),
    "torch, bfloat16": ("torch", "bfloat16"),
}


def images(batch: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (batch, 224, 224, 3), dtype=np.uint8)


def ours(policy: str, *, patch: int, batch: int) -> Callable[[], object]:
    from pipelines.runs import runtime

    runtime.import_tensorflow()
    import keras

    import classifiers
    import dual_encoder

    keras.config.set_dtype_policy(policy)
    tower = dual_encoder.VisionTransformer(224, patch, width=768, depth=12, heads=12)
    head = keras.layers.Dense(1, dtype="float32")
    model = classifiers.ImageClassifier(tower, head, class_names=["-"])
    model.build()
    x = images(batch)
    return lambda: np.asarray(model.encode_image(x))


def torchs(dtype: str, *, patch: int, batch: int) -> Callable[[], object]:
    import torch
    from torch import nn

    torch.manual_seed(0)
    half = getattr(torch, dtype)
    layer = nn.TransformerEncoderLayer(
        768, 12, 3072, 0.0, "gelu", batch_first=True, norm_first=True
    )
    tokens = (224 // patch) ** 2 + 1
    cut = nn.Conv2d(3, 768, patch, patch).to(half).eval()
    blocks = nn.TransformerEncoder(layer, 12, enable_nested_tensor=False).to(half).eval()
    first, places = torch.zeros(batch, 1, 768, dtype=half), torch.zeros(tokens, 768, dtype=half)
    x = torch.from_numpy(images(batch)).permute(0, 3, 1, 2).to(half) / 255

    def run() -> object:
        with torch.inference_mode():
            patches = cut(x).flatten(2).transpose(1, 2)
            return blocks(torch.cat([first, patches], 1) + places)[:, 0].float().numpy()

    return run


def serve(side: str, *, patch: int, batch: int) -> None:
    """Time a call for every line of standard input."""
    library, precision = SIDES[side]
    run = {"duet": ours, "torch": torchs}[library](precision, patch=patch, batch=batch)
    run()
    print("ready", flush=True)
    for _ in sys.stdin:
        begun = time.perf_counter()
        run()
        print(time.perf_counter() - begun, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, usual in (("patch", 32), ("batch", 32), ("rounds", 4)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--torch")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        serve(given.side, patch=given.patch, batch=given.batch)
        return
    pythons = {"duet": sys.executable, "torch": given.torch}
    words = [Path(__file__), f"--patch={given.patch}", f"--batch={given.batch}"]
    raced = side_by_side.race(
        {
            side: [pythons[library], *words, f"--side={side}"]
            for side, (library, _) in SIDES.items()
            if pythons[library]
        },
        rounds=given.rounds,
    )
    seconds = {side: found[:, 0].tolist() for side, found in raced.items()}
    base = min(seconds["ours, float32"])
    print("| side | images/s | times ours in float32 | spread |")
    print("| --- | ---: | ---: | ---: |")
    for side, found in seconds.items():
        best = min(found)
        spread = statistics.median(found) / best - 1
        print(f"| {side} | {given.batch / best:.1f} | {base / best:.2f} | {100 * spread:.0f} % |")


if __name__ == "__main__":
    main()
