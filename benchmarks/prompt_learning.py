"""CoOp with a frozen image tower embedded once, against the published way, side by side.

    python benchmarks/prompt_learning.py                 # 10 classes x 16 shots, ViT-B/32
    python benchmarks/prompt_learning.py --memory        # peak memory of 100 classes x 16 shots

The published way (github.com/KaiyangZhou/CoOp) runs the image tower on every image in every
step and the text tower on 77 tokens; here it is written plainly in torch on `open_clip`. Both have
random weights of the same size, the same batches, SGD and schedule; rounds are interleaved, and
seconds of the whole run are the measured seconds of a step, times the steps, plus what is done
once. Accuracy is compared on `shapes-wild` by the tests and the README, where weights mean
something. Needs the extra `parity`.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "parity"))
NAME, CONTEXT, BATCH, EPOCHS = "clip-vit-base-patch32-laion2b", 16, 32, 200
WORDS = ["cat", "dog", "car", "tree", "house", "boat", "bird", "fish", "road", "lamp"]


def duet(folder: Path, classes: int, shots: int):
    """Seconds of embedding all images once, and a function that takes one step."""
    import keras
    import numpy as np

    import dual_encoder

    model = dual_encoder.load(folder)
    images = np.random.default_rng(0).integers(256, size=(BATCH, 224, 224, 3), dtype="uint8")
    model.encode_image(images)  # compiles
    start = time.perf_counter()
    embeddings = np.array(model.encode_image(images))
    once = (time.perf_counter() - start) * classes * shots / BATCH
    model.tokenizer = tokenizer(classes)
    coop = dual_encoder.CoOp(model, names(classes), n_ctx=CONTEXT)
    coop.compile(keras.optimizers.SGD(0.002, momentum=0.9))
    labels = np.arange(BATCH) % classes
    return once, lambda: float(coop.train_on_batch(embeddings, labels))


def names(classes: int) -> list[str]:
    return [f"{WORDS[i % 10]} {WORDS[i // 10 % 10]}" for i in range(classes)]


def tokenizer(classes: int):
    """Of a few words, with the ids of start and end that the tower knows."""
    import tokenizers
    from tokenizers import models, pre_tokenizers, processors

    import dual_encoder

    words = {word: 1000 + i for i, word in enumerate([*WORDS, ".", "zq"])}
    words |= {"<start>": 49_406, "<end>": 49_407, "<pad>": 0}
    made = tokenizers.Tokenizer(models.WordLevel(words, unk_token="zq"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("<start>", 49_406), ("<end>", 49_407)]
    made.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=ends
    )
    return dual_encoder.Tokenizer(made.to_str(), context_length=77, pad_id=0, end_id=49_407)


def published(reference, classes: int):
    """A function that takes one step: both towers, all 77 tokens."""
    import torch

    model = reference.model.requires_grad_(False)
    ids = torch.from_numpy(tokenizer(classes)(names(classes), length=77).astype("int64"))
    ids = torch.cat([ids[:, :1], torch.full((classes, CONTEXT), 1000), ids[:, 1 : 77 - CONTEXT]], 1)
    ends = (ids == 49_407).float().argmax(1)
    frozen = model.token_embedding(ids)
    context = torch.nn.Parameter(0.02 * torch.randn(CONTEXT, frozen.shape[-1]))
    optimizer = torch.optim.SGD([context], 0.002, momentum=0.9, weight_decay=5e-4)
    images, labels = torch.randn(BATCH, 3, 224, 224), torch.arange(BATCH) % classes
    rows = torch.arange(classes)

    def step() -> float:
        with torch.no_grad():
            embeddings = model.encode_image(images, normalize=True)
        learnt = context.expand(classes, -1, -1)
        x = torch.cat([frozen[:, :1], learnt, frozen[:, 1 + CONTEXT :]], 1)
        x = model.transformer(x + model.positional_embedding, attn_mask=model.attn_mask)
        texts = model.ln_final(x)[rows, ends] @ model.text_projection
        texts = torch.nn.functional.normalize(texts, dim=-1)
        loss = torch.nn.functional.cross_entropy(
            model.logit_scale.exp() * embeddings @ texts.T, labels
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def seconds(step) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def compare(folder: Path, classes: int, shots: int, rounds: int) -> dict:
    """Seconds per epoch and of the whole run, medians of interleaved rounds."""
    import reference

    theirs = published(reference.build(NAME, folder), classes)
    once, ours = duet(folder, classes, shots)
    first = seconds(ours)  # traces
    theirs()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
    steps = classes * shots // BATCH
    step, their_step = (statistics.median(column) for column in zip(*pairs, strict=True))
    whole, their_whole = once + first + EPOCHS * steps * step, EPOCHS * steps * their_step
    return {
        "seconds per step": [step, their_step],
        "seconds per epoch": [steps * step, steps * their_step],
        "seconds once": [once + first, 0.0],
        "seconds of the run": [whole, their_whole],
        "times faster": their_whole / whole,
        "per round": [round(their / our, 1) for our, their in pairs],
    }


def memory(folder: Path, classes: int, shots: int) -> dict:
    """Peak memory of this process after two steps of Duet's."""
    _, step = duet(folder, classes, shots)
    for _ in range(2):
        step()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"classes": classes, "shots": shots, "peak GiB": peak / 2**30}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", type=int)
    parser.add_argument("--shots", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    if options.memory:
        with tempfile.TemporaryDirectory() as folder:
            code = f"import pathlib, reference; reference.build({NAME!r}, pathlib.Path({folder!r}))"
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
            subprocess.run([sys.executable, "-c", code], check=True, env=environment)
            found = memory(Path(folder), options.classes or 100, options.shots)
        print(json.dumps(found, indent=1))
        return
    with tempfile.TemporaryDirectory() as folder:
        found = compare(Path(folder), options.classes or 10, options.shots, options.rounds)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
