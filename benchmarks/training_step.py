"""One training step of the same model, ours and `transformers`', side by side: time and memory.

- `vit`: ViT-B/16 with a head of 101 classes, cross-entropy.
- `clip`: CLIP ViT-B/32, contrastive loss, texts of 77 tokens on every side.
- `prompts`: the same with class prompts of 12 tokens. Ours reads rows as long as the longest
prompt, which its causal mask makes exact; theirs gets what the processors of CLIP and open_clip
make, rows padded to 77.

AdamW, float32, random weights, images of 224 pixels, all cores of a CPU. Ours is what `fit` runs
(`train_on_batch`). Theirs is `ViTForImageClassification` and `CLIPModel` with sdpa attention and
torch's fused AdamW, as they are (`eager`) and under torch.compile (`compiled`).

Each side runs in a separate process, and its first step includes compilation. Rounds are
interleaved, so that other load affects all sides alike. A ratio above 1 means that ours is
faster: the median over rounds of their time per step divided by ours in the same round. Memory is
the peak of the whole process, libraries included; JAX, which TensorFlow imports if installed but
Duet does not need, is disabled for ours.

python benchmarks/training_step.py [--models vit clip] [--rounds 5] [--sides ours ...]

The other library is not among Duet's dependencies: `make parity` installs it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

BATCH = {"vit": 8, "clip": 16, "prompts": 16}
SIDES = ("ours", "eager", "compiled")
CLASSES, TOKENS, VOCABULARY = 101, 77, 49_408
WORDS = {"clip": TOKENS, "prompts": 12}  # tokens of a text
Step = Callable[[], Any]


# --- Ours -------------------------------------------------------------------------------------


def ours(name: str) -> Step:
    """A step of Duet's model."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.modules["jax"] = None  # type: ignore[assignment]  # not to be found
    import dual_encoder

    model = our_vit() if name == "vit" else our_clip()
    model.compile(dual_encoder.AdamW(1e-4))
    pixels, ids, labels = batch(name)
    ids = ids[:, : WORDS.get(name)]
    x = {"image": pixels} if name == "vit" else {"image": pixels, "token_ids": ids}
    return lambda: float(model.train_on_batch(x, labels))


def our_vit() -> Any:
    import classifiers
    import dual_encoder

    return classifiers.from_model(dual_encoder.image_tower("vit-base-16"), classes=CLASSES)


def our_clip() -> Any:
    import dual_encoder

    common = {"depth": 12, "activation": "gelu"}
    image = dual_encoder.VisionTransformer(224, 32, width=768, heads=12, pre_norm=True, **common)
    text = dual_encoder.TextTransformer(
        VOCABULARY, TOKENS, end_id=VOCABULARY - 1, width=512, heads=8, **common
    )
    model = dual_encoder.DualEncoder(image, text, embed_dim=512)
    model.build()
    return model


# --- transformers -----------------------------------------------------------------------------


def theirs(name: str, *, compiled: bool) -> Step:
    """A step of the same model in `transformers`."""
    import torch

    torch.manual_seed(0)
    model = their_vit() if name == "vit" else their_clip()
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, fused=True)
    pixels, ids, labels = batch(name)
    images = torch.from_numpy(pixels.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1)
    inputs: dict[str, Any] = {"pixel_values": images}
    if name == "vit":
        inputs["labels"] = torch.from_numpy(labels.astype(np.int64))
    else:
        tokens = torch.from_numpy(ids.astype(np.int64))
        inputs |= {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
        inputs["return_loss"] = True
    call = torch.compile(model) if compiled else model

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = call(**inputs).loss
        loss.backward()
        optimizer.step()
        return float(loss)

    return step


def their_vit() -> Any:
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(num_labels=CLASSES, attn_implementation="sdpa")
    return ViTForImageClassification(config)


def their_clip() -> Any:
    from transformers import CLIPConfig, CLIPModel

    vision = {"patch_size": 32, "image_size": 224, "hidden_act": "gelu"}
    config = CLIPConfig(vision_config=vision, text_config={"hidden_act": "gelu"})
    config._attn_implementation = "sdpa"
    return CLIPModel(config)


# --- Both -------------------------------------------------------------------------------------


def batch(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels uint8 [b, 224, 224, 3], token ids int32 [b, 77], labels int32 [b]."""
    rng = np.random.default_rng(0)
    count = BATCH[name]
    ids = rng.integers(1, VOCABULARY - 2, (count, TOKENS)).astype(np.int32)
    ids[:, WORDS.get(name, TOKENS) - 1 :] = VOCABULARY - 1  # the end, which pads as well
    labels = rng.integers(0, CLASSES, count) if name == "vit" else np.arange(count)
    pixels = rng.integers(0, 256, (count, 224, 224, 3)).astype(np.uint8)
    return pixels, ids, labels.astype(np.int32)


def serve(side: str, name: str, pipe: Connection) -> None:
    """Runs a step whenever it is asked to; sends seconds and peak memory."""
    start = time.perf_counter()
    step = ours(name) if side == "ours" else theirs(name, compiled=side == "compiled")
    built = time.perf_counter() - start
    while pipe.recv():
        start = time.perf_counter()
        step()
        seconds = time.perf_counter() - start
        pipe.send((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, built))


def measure(name: str, sides: list[str], rounds: int) -> dict[str, dict[str, Any]]:
    """Seconds of the first step and of every round, and peak memory, of each side."""
    context = multiprocessing.get_context("spawn")
    found: dict[str, dict[str, Any]] = {side: {"rounds": []} for side in sides}
    pipes, processes = {}, []
    for side in sides:
        pipes[side], theirs_end = context.Pipe()
        process = context.Process(target=serve, args=(side, name, theirs_end), daemon=True)
        process.start()
        processes.append(process)
        pipes[side].send(True)  # one after the other: compiling takes all cores
        found[side]["first_step"], _, found[side]["built"] = pipes[side].recv()
        pipes[side].send(True)  # a second one, still not counted
        pipes[side].recv()
    for number in range(rounds):
        for side in sides if number % 2 == 0 else sides[::-1]:
            pipes[side].send(True)
            seconds, found[side]["peak_rss"], _ = pipes[side].recv()
            found[side]["rounds"].append(seconds)
    for side in sides:
        pipes[side].send(False)
    for process in processes:
        process.join()
    return found


def table(name: str, found: dict[str, dict[str, Any]]) -> str:
    """One line per side; ratios against ours."""
    lines = [f"{name}, batch {BATCH[name]}"]
    for side, row in found.items():
        pairs = zip(row["rounds"], found["ours"]["rounds"], strict=True)
        ratio = statistics.median(theirs / ours for theirs, ours in pairs)
        memory = found["ours"]["peak_rss"] / row["peak_rss"]
        lines.append(
            f"  {side:9} {BATCH[name] / statistics.median(row['rounds']):6.2f} images/s"
            f"   theirs/ours {ratio:5.2f}   first step {row['first_step']:6.1f} s"
            f"   peak {row['peak_rss'] / 2**30:5.2f} GiB (ours/theirs {memory:4.2f})"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=list(BATCH), default=list(BATCH))
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", help="file for all numbers")
    options = parser.parse_args()
    missing = importlib.util.find_spec("transformers") is None
    sides = [side for side in options.sides if side == "ours" or not missing]
    if "ours" not in sides:
        sys.exit("--sides: expected ours among them, which the others are compared with")
    if missing:
        print("transformers is not installed: nothing to compare with (see `make parity`)")
    print(f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}")
    document = {}
    for name in options.models:
        document[name] = measure(name, sides, options.rounds)
        print(table(name, document[name]), flush=True)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)


if __name__ == "__main__":
    main()
