"""Memory and time of the contrastive and sigmoid losses of a large batch, with their gradients.

    python benchmarks/loss_memory.py --batch 32768 --size 512

A process per row: the loss of random embeddings of unit length and its gradients, in a graph, as in
a training step, without the towers. The peak is resident memory above what the process has once the
embeddings are there. `--chunk` compares so many rows at a time, 0 all at once, which at a batch of
32,768 takes 40 GB. The difference is that of `--check` rows, a quarter at a time, to all at once:
the largest of the loss and the gradients, as a part of the largest value of each.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

LOSSES = {"contrastive": {}, "sigmoid": {"bias": -10.0}}


def measure(name: str, *, batch: int, size: int, chunk: int | None, check: int) -> dict:
    from pipelines.runs import runtime

    runtime.import_tensorflow()
    import tensorflow as tf

    from dual_encoder.training import losses

    function = getattr(losses, f"{name}_loss")

    @tf.function
    def value_and_gradients(image, text, chunk):
        scale = tf.constant(20.0)
        with tf.GradientTape() as tape:
            tape.watch((image, text, scale))
            value = function(image, text, scale=scale, chunk=chunk, **LOSSES[name])
        return value, tape.gradient(value, (image, text, scale))

    def rows(count, seed):
        x = np.random.default_rng(seed).standard_normal((count, size), np.float32)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        return tf.constant(x)

    image, text = rows(batch, 0), rows(batch, 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.perf_counter()
    value, _ = value_and_gradients(image, text, chunk)
    loss, seconds = float(value), time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    few = rows(check, 0), rows(check, 1)
    every = [tf.nest.flatten(value_and_gradients(*few, size)) for size in (check, check // 4)]
    off = [
        float(tf.reduce_max(tf.abs(a - b)) / tf.reduce_max(tf.abs(a)))
        for a, b in zip(*every, strict=True)
    ]
    return {
        "seconds": seconds,
        "peak": (peak - before) / 2**20,
        "process": peak / 2**20,
        "loss": loss,
        "off": max(off),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=32768)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--chunk", type=int, nargs="+", default=[-1], help="-1 for Duet's own")
    parser.add_argument("--check", type=int, default=1024)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    options = {"batch": given.batch, "size": given.size, "check": given.check}
    if given.one:
        chunk = {-1: None, 0: given.batch}.get(given.chunk[0], given.chunk[0])
        print(json.dumps(measure(given.one, chunk=chunk, **options)))
        return
    print("| loss | rows at a time | peak, GiB | of the process | s | difference |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for chunk in given.chunk:
        for name in LOSSES:
            words = [f"--{key}={value}" for key, value in options.items()]
            child = [sys.executable, __file__, f"--one={name}", "--chunk", str(chunk), *words]
            row = json.loads(subprocess.run(child, capture_output=True, check=True).stdout)
            shown = {-1: "Duet's own", 0: "all"}.get(chunk, f"{chunk:,}")
            print(
                f"| {name} | {shown} | {row['peak']:.2f} | {row['process']:.2f} "
                f"| {row['seconds']:.0f} | {row['off']:.1e} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
