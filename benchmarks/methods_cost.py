"""Seconds of every row on cached features, offsets of new names included, on made-up features.

    python benchmarks/methods_cost.py

1,000 images of 100 classes, 512 numbers each, a fifth of them to choose by, as a comparison has
them after one pass of embedding. Wall-clock and processor seconds: on a busy machine the second
says more.
"""

import argparse
import time

import numpy as np

from classifiers import on_features


def task(*, images: int, classes: int, width: int, seed: int = 0) -> on_features.Task:
    """Class names in a cone, as those of CLIP are, and images around them."""
    rng = np.random.default_rng(seed)
    texts = rng.normal(size=width) + 0.5 * rng.normal(size=(classes, width))
    labels = np.arange(images) % classes
    features = texts[labels] + 1.5 * rng.normal(size=(images, width))
    held = labels.size // 5
    return on_features.Task(
        features[held:],
        labels[held:],
        texts,
        100.0,
        validation=(features[:held], labels[:held]),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--methods", nargs="+", default=list(on_features.METHODS))
    options = parser.parse_args()
    given = task(images=options.images, classes=options.classes, width=options.width)
    total = np.zeros(2)
    for name in options.methods:
        begun = time.perf_counter(), time.process_time()
        on_features.with_new_names(given, on_features.METHODS[name].fit)
        took = time.perf_counter() - begun[0], time.process_time() - begun[1]
        total += took
        print(f"{name:16} {took[0]:7.2f} s {took[1]:7.2f} s of processors", flush=True)
    print(f"{'all':16} {total[0]:7.2f} s {total[1]:7.2f} s of processors")


if __name__ == "__main__":
    main()
