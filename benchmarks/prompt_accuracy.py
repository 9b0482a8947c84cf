"""Compare the accuracy of Duet's fast prompt learning with the published procedure.

python benchmarks/prompt_accuracy.py --data records/shapes-wild [--seeds 1 2 3]

Ours is the command `prompt --methods coop`: images are embedded once, prompts are as short as
they may be. The published way (github.com/KaiyangZhou/CoOp) cuts and flips every image anew and
runs the image tower in every step, and the text tower on its whole context; here the text tower is
written plainly in torch, with the weights of the same checkpoint, and its loop, optimizer and
schedule are torch's. Images, classes, shots and seeds are the same, the image tower is one and
the same. Test images are read at the end, by both. Needs the extra `parity`.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
MODEL, CONTEXT, BATCH, EPOCHS, RATE, WARMUP = "shapes-tiny", 16, 32, 200, 0.002, 1e-5


def ours(options: argparse.Namespace, out: Path) -> list[float]:
    """Accuracy on the classes that were learnt, one number per seed, by the command."""
    from pipelines.runs import results

    words = [sys.executable, "-m", "pipelines", "prompt", "--data", options.data, "--out", str(out)]
    words += ["--models", MODEL, "--methods", "coop", "--shots", str(options.shots)]
    words += ["--held-out", str(options.held_out), "--views", str(options.views)]
    subprocess.run([*words, "--seeds", *map(str, options.seeds)], check=True, stdout=sys.stderr)
    found = (results.read(path.parent) for path in sorted(out.rglob("prompts.safetensors")))
    return [each["metrics"]["top1"] for each in found]


class TextTower:
    """The checkpoint's text tower and projection in torch: embeddings [c, n, d] -> [c, e]."""

    def __init__(self, tower, projection):
        import torch

        def tensor(variable):
            return torch.from_numpy(np.array(variable))

        def linear(layer):
            bias = None if layer.bias is None else tensor(layer.bias)
            return tensor(layer.kernel).T.contiguous(), bias

        def norm(layer):
            return (tower.width,), tensor(layer.gamma), tensor(layer.beta), layer.epsilon

        self.tokens, self.positions = tensor(tower.token_embedding), tensor(tower.positions)
        self.heads, self.end_id = tower.heads, tower.end_id
        layers = ("query_key_value", "attention_output", "mlp_hidden", "mlp_output")
        self.blocks = [
            ([norm(block.norm_1), norm(block.norm_2)], [linear(getattr(block, n)) for n in layers])
            for block in tower.blocks
        ]
        self.norm, self.projection = norm(tower.norm_post), linear(projection.projection)

    def __call__(self, x, ids):
        import torch
        from torch.nn import functional as f

        x = x + self.positions
        for (norm_1, norm_2), (three, out, hidden, back) in self.blocks:
            parts = f.linear(f.layer_norm(x, *norm_1), *three).chunk(3, dim=-1)
            split = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
            mixed = f.scaled_dot_product_attention(*split, is_causal=True)
            x = x + f.linear(mixed.transpose(1, 2).flatten(2), *out)
            x = x + f.linear(f.gelu(f.linear(f.layer_norm(x, *norm_2), *hidden)), *back)
        end = (ids == self.end_id).int().argmax(dim=1)
        last = f.layer_norm(x, *self.norm)[torch.arange(len(x)), end]
        return f.normalize(f.linear(last, *self.projection), dim=-1)


def published(options: argparse.Namespace, seed: int) -> float:
    """Accuracy on the classes that were learnt, of a prompt learnt the published way."""
    import torch

    import dual_encoder
    import tfrecords

    model = dual_encoder.load(MODEL)
    manifest = tfrecords.Manifest.read(options.data)
    seen = list(range(options.held_out, len(manifest.class_names)))
    tower = TextTower(model.text_tower, model.text_projection)
    scale = float(model.logit_scale)
    coop = dual_encoder.CoOp(
        model, [manifest.spoken_names[i] for i in seen], n_ctx=CONTEXT, seed=seed
    )
    rows = np.full((len(seen), model.context_length), model.tokenizer.pad_id)
    short = coop.frames.token_ids
    rows[:, : short.shape[1]] = short
    ids = torch.from_numpy(rows.astype("int64"))
    words = tower.tokens[ids]
    context = torch.nn.Parameter(torch.from_numpy(np.array(coop.context)).clone())
    optimizer = torch.optim.SGD([context], RATE, momentum=0.9, weight_decay=5e-4)

    def classes():
        learnt = context.expand(len(words), -1, -1)
        return tower(torch.cat([words[:, :1], learnt, words[:, 1 + CONTEXT :]], 1), ids)

    def logits(images):
        embeddings = torch.from_numpy(np.array(model.encode_image(images)))
        return scale * embeddings @ classes().T

    np.testing.assert_allclose(classes().detach(), coop.class_embeddings(), atol=1e-5)

    for epoch, batch in enumerate(passes(options, manifest, model, seen, seed=seed)):
        rate = 0.5 * RATE * (1 + np.cos(np.pi * (epoch - 1) / EPOCHS)) if epoch else WARMUP
        optimizer.param_groups[0]["lr"] = float(rate)
        for images, labels in batch:
            target = torch.from_numpy(labels.astype("int64"))
            loss = torch.nn.functional.cross_entropy(logits(images), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    right = []
    test = dict(batch_size=100, classes=seen, **model.preprocessing)
    with torch.no_grad():
        for x, y, weight in tfrecords.load(options.data, "test", **test):
            found = logits(x["image"]).argmax(1).numpy() == y.numpy()
            right += found[weight.numpy() > 0].tolist()
    return float(np.mean(right))


def passes(options, manifest, model, seen, *, seed):
    """For each pass its batches of fresh crops: (pixels, places among the learnt classes)."""
    import keras

    import tfrecords
    from pipelines.fewshot import sampling

    ids, labels = tfrecords.labels(options.data, "train")
    drawn = sampling.sample(labels, classes=seen, shots=options.shots, seed=seed).train
    batches = iter(
        tfrecords.load(
            options.data,
            "train",
            batch_size=BATCH,
            ids=tuple(ids[np.unique(drawn)].tolist()),
            classes=seen,
            training=True,
            crop_scale=(0.08, 1.0),
            augment=keras.layers.RandomFlip("horizontal", seed=seed),
            seed=seed,
            epochs=EPOCHS,
            **model.preprocessing,
        )
    )
    for _ in range(EPOCHS):
        some = (next(batches) for _ in range(len(drawn) // BATCH))
        yield ((x["image"], y.numpy()) for x, y, _ in some)


def spread(values: list[float]) -> str:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    each = ", ".join(f"{100 * value:.1f}" for value in values)
    return f"{100 * statistics.mean(values):.1f} ± {100 * deviation:.1f} % ({each})"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", required=True, help="labelled records that fit the checkpoint")
    parser.add_argument("--shots", type=int, default=16)
    parser.add_argument("--held-out", type=int, default=80, help="classes that are not learnt")
    parser.add_argument("--views", type=int, default=0, help="of each image, of ours")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(f"ours, {options.views} views: {spread(ours(options, Path(folder) / 'grid'))}")
    found = []
    for seed in options.seeds:
        found.append(published(options, seed))
        print(f"  published way, seed {seed}: {100 * found[-1]:.1f} %", flush=True)
    print(f"published way: {spread(found)}")


if __name__ == "__main__":
    main()
