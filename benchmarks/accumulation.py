"""Memory and time of one contrastive step of the same batch, worked on a few images at a time.

Each row is a process of its own that takes two steps of AdamW: the first one, which traces, does
not count for the time. The peak is that of resident memory (VmHWM) above what the process had when
model, optimizer and batch were there.

    python benchmarks/accumulation.py [--size small] [--batch 128] [--micro 128 64 32 16 8]

`small`: two towers of six blocks, 192 wide, images of 64 x 64 in patches of 8, texts of 32
tokens.
`b32`: the sizes of CLIP ViT-B/32, texts of 77 tokens.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

SIZES = {
    "small": dict(
        image=(64, 8), text=(2000, 32), embed_dim=128,
        vision=dict(width=192, depth=6, heads=3), words=dict(width=192, depth=6, heads=3),
    ),
    "b32": dict(
        image=(224, 32), text=(49_408, 77), embed_dim=512,
        vision=dict(width=768, depth=12, heads=12), words=dict(width=512, depth=12, heads=8),
    ),
}  # fmt: skip
GIB = 2**30


def build(size: str):
    """A dual encoder of random weights and CLIP's build."""
    import keras

    import dual_encoder

    keras.utils.set_random_seed(0)
    sizes = SIZES[size]
    vocabulary, length = sizes["text"]
    image = dual_encoder.VisionTransformer(*sizes["image"], pre_norm=True, **sizes["vision"])
    text = dual_encoder.TextTransformer(vocabulary, length, end_id=vocabulary - 1, **sizes["words"])
    model = dual_encoder.DualEncoder(image, text, embed_dim=sizes["embed_dim"])
    model.build()
    return model


def step(size: str, *, batch: int, micro_batch: int) -> dict[str, float]:
    """Peak memory in bytes above what was there before, and seconds of the second step."""
    import numpy as np
    import tensorflow as tf

    model = build(size)
    pixels, (vocabulary, length) = SIZES[size]["image"][0], SIZES[size]["text"]
    rng = np.random.default_rng(0)
    tokens = rng.integers(vocabulary - 1, size=(batch, length), dtype=np.int32)
    tokens[:, -1] = vocabulary - 1
    image = rng.integers(256, size=(batch, pixels, pixels, 3), dtype=np.uint8)
    model.compile("adamw", micro_batch=micro_batch, jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    data = ({"image": image, "token_ids": tokens}, np.arange(batch))
    data = tf.data.Dataset.from_tensors(data)
    before = memory("VmRSS")
    seconds = 0.0
    for _ in range(2):
        begun = time.perf_counter()
        loss = model.fit(data, shuffle=False, verbose=0).history["loss"][0]
        seconds = time.perf_counter() - begun
    return {"before": before, "peak": memory("VmHWM") - before, "seconds": seconds, "loss": loss}


def memory(name: str) -> int:
    """A line of what Linux knows of this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise ValueError(f"Linux does not say {name}")


def measure(size: str, *, batch: int, micro_batch: int) -> dict[str, float]:
    """`step` in a process of its own."""
    result = subprocess.run(
        [
            sys.executable,
            __file__,
            "--child",
            str(micro_batch),
            "--size",
            size,
            "--batch",
            str(batch),
        ],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(result.stdout.splitlines()[-1])


def main(arguments: list[str] | None = None) -> int:
    """Print one row for each number of images at a time."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--micro", type=int, nargs="+", default=[128, 64, 32, 16, 8])
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        print(json.dumps(step(options.size, batch=options.batch, micro_batch=options.child)))
        return 0
    print(f"{options.size}, batch of {options.batch}")
    print("| at a time | peak above the model, GiB | s/step | loss of the 2nd step |")
    print("| ---: | ---: | ---: | ---: |")
    for micro in options.micro:
        row = measure(options.size, batch=options.batch, micro_batch=micro)
        print(
            f"| {micro} | {row['peak'] / GIB:.2f} | {row['seconds']:.1f} | {row['loss']:.5f} |",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    sys.exit(main())
