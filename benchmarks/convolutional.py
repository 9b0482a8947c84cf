"""Convolutional networks on a CPU, ours and torch's side by side: encoding and a training step.

    python benchmarks/convolutional.py [--networks resnet50 ...] [--works encode train]
        [--rounds 7] [--torch PYTHON]

The same networks with random weights: `keras.applications` (and EfficientNet-Lite0, made here) as
`classifiers` runs them, and `timm`'s in torch, eager, in its usual layout and channels_last.
ResNet50 has Keras's strides on both sides. `encode` is features of 32 images; `train` a step of
AdamW on 16, with batch statistics. Each side is a process of its own; rounds are interleaved, so
that other load affects all sides alike. A ratio is torch's time over ours, the better of its two
layouts, medians of all rounds; of elapsed time and of the processor's, which other load changes
less. `--torch` is a Python that has torch and timm.
"""

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import side_by_side

SIZES = {"resnet50": 224, "xception": 299, "mobilenet": 224, "efficientnet-b0": 224}
SIZES |= {"efficientnet-lite0": 224}
TIMM = {"xception": "legacy_xception", "mobilenet": "mobilenetv1_100"}
TIMM |= {"efficientnet-b0": "efficientnet_b0", "efficientnet-lite0": "efficientnet_lite0"}
BATCH = {"encode": 32, "train": 16}
SIDES = ("ours", "torch", "torch, channels_last")
CLASSES = 10
# EfficientNet-Lite0: repeats, kernel, stride, expansion, width of each stage
STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80))
STAGES += ((3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320))


def batch(network: str, work: str) -> tuple[np.ndarray, np.ndarray]:
    rng, size = np.random.default_rng(0), SIZES[network]
    shape = (BATCH[work], size, size, 3)
    return rng.integers(0, 256, shape, np.uint8), rng.integers(0, CLASSES, BATCH[work])


def ours(network: str, work: str) -> Callable[[], object]:
    from pipelines.runs import runtime

    runtime.import_tensorflow()
    import classifiers
    import dual_encoder

    if network == "efficientnet-lite0":
        tower = dual_encoder.as_image_tower(efficientnet_lite0(SIZES[network]))
        model = classifiers.from_model(tower, classes=CLASSES)
    else:
        model = classifiers.build(network, CLASSES, weights=None)
    images, labels = batch(network, work)
    if work == "encode":
        return lambda: np.asarray(model.encode_image(images))
    model.compile(dual_encoder.AdamW(1e-4))
    return lambda: float(model.train_on_batch(images, labels))


def efficientnet_lite0(size: int):
    import keras
    from keras import layers

    def normed(x, layer, act=True):
        x = layers.BatchNormalization(epsilon=1e-3)(layer(x))
        return layers.ReLU(6.0)(x) if act else x

    def dense(width: int, kernel: int = 1, stride: int = 1):
        return layers.Conv2D(width, kernel, stride, padding="same", use_bias=False)

    pixels = keras.Input((size, size, 3))
    x, before = normed(pixels, dense(32, 3, 2)), 32
    for repeats, kernel, stride, expansion, width in STAGES:
        for repeat in range(repeats):
            y = normed(x, dense(before * expansion)) if expansion > 1 else x
            stride = 1 if repeat else stride
            depthwise = layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False)
            y = normed(normed(y, depthwise), dense(width), act=False)
            x = layers.Add()([x, y]) if repeat else y
            before = width
    return keras.Model(pixels, layers.GlobalAveragePooling2D()(normed(x, dense(1280))))


def torchs(network: str, work: str, *, channels_last: bool) -> Callable[[], object]:
    import timm
    import torch

    model = timm.create_model(TIMM.get(network, network), num_classes=CLASSES)
    if network == "resnet50":
        for block in model.modules():
            if isinstance(block, timm.models.resnet.Bottleneck) and block.conv2.stride == (2, 2):
                block.conv1.stride, block.conv2.stride = (2, 2), (1, 1)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = model.to(memory_format=layout)
    images, labels = batch(network, work)

    def pixels() -> torch.Tensor:
        x = torch.from_numpy(images).permute(0, 3, 1, 2).to(memory_format=layout)
        return x.float().div_(127.5).sub_(1)

    def encode() -> object:
        with torch.inference_mode():
            return model.forward_head(model.forward_features(pixels()), pre_logits=True).numpy()

    if work == "encode":
        model.eval()
        return encode
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, fused=True)
    truth = torch.from_numpy(labels)

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(model(pixels()), truth)
        loss.backward()
        optimizer.step()
        return float(loss)

    return step


def serve(side: str, network: str, work: str) -> None:
    """Time a call for every line of standard input."""
    options = {} if side == "ours" else {"channels_last": "last" in side}
    run = (ours if side == "ours" else torchs)(network, work, **options)
    run(), run()
    print("ready", flush=True)
    for _ in sys.stdin:
        begun, used = time.perf_counter(), time.process_time()
        run()
        elapsed, used = time.perf_counter() - begun, time.process_time() - used
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(elapsed, used, peak, flush=True)


def measure(network: str, work: str, *, rounds: int, torch: str | None) -> dict[str, np.ndarray]:
    """Seconds elapsed and of the processor and peak GiB [rounds, 3] of each side."""
    pythons = {side: sys.executable if side == "ours" else torch for side in SIDES}
    words = [Path(__file__), f"--networks={network}", f"--works={work}"]
    return side_by_side.race(
        {side: [python, *words, f"--side={side}"] for side, python in pythons.items() if python},
        rounds=rounds,
    )


def rows(network: str, work: str, found: dict[str, np.ndarray]) -> list[str]:
    medians = {side: np.median(each, axis=0) for side, each in found.items()}
    lines = []
    for side, (elapsed, used, peak) in medians.items():
        spread = statistics.median(found[side][:, 0]) / found[side][:, 0].min() - 1
        lines.append(
            f"| {network} | {work} | {side} | {BATCH[work] / elapsed:.1f} | {used:.2f} | "
            f"{peak:.2f} | {100 * spread:.0f} % |"
        )
    if len(medians) > 1:
        best = np.min([each for side, each in medians.items() if side != "ours"], axis=0)
        elapsed, used, peak = best / medians["ours"]
        lines.append(
            f"| {network} | {work} | **torch's best / ours** | {elapsed:.2f} | {used:.2f} | "
            f"{peak:.2f} | |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--works", nargs="+", choices=BATCH, default=list(BATCH))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--torch")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        serve(given.side, given.networks[0], given.works[0])
        return
    print("| network | work | side | images/s | processor's seconds | peak GiB | spread |")
    print("| --- | --- | --- | ---: | ---: | ---: | ---: |")
    for network in given.networks:
        for work in given.works:
            found = measure(network, work, rounds=given.rounds, torch=given.torch)
            print("\n".join(rows(network, work, found)), flush=True)


if __name__ == "__main__":
    main()
