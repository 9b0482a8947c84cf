"""Rows on cached features, on any labelled records: every column, with its spread over seeds.

    python benchmarks/methods_accuracy.py --data records/mine --model M --held-out 2 --seeds 1 2 3

A seed divides the training images into those that are learnt from and those that are chosen by, and
draws few; test images are read for the figures alone. `--prompts` adds CoOp and KgCoOp on 16 images
of each class. Below the tables stand the bounds that the toolkit promises, and whether these images
keep them.
"""

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from classifiers import temperature_scaling
from classifiers.on_features import choose
from pipelines.fewshot import sampling
from pipelines.finetuning.auto_method import ROWS
from pipelines.methods.few_shot_task import PromptOptions, Task
from pipelines.methods.registry import METHODS
from pipelines.metrics import seen_unseen
from pipelines.runs import class_split, models
from pipelines.runs.feature_cache import FeatureCache
from tfrecords import Manifest

COLUMNS = seen_unseen.FIGURES
ALL = (
    *("zero-shot", "chosen-words", "transductive", "linear-probe", "text-probe", "gaussian"),
    *("blend", "projection", "cross-modal", "tip-adapter"),
)
AUTO = "auto, on features"
FEW, PROMPTS = ("zero-shot", "linear-probe", "text-probe"), ("zero-shot", "coop", "kgcoop")
SHOTS, VECTORS = 16, 4  # of learnt prompts
CHOOSE_TOP1, CHOOSE_LOSS = "validation_top1", "validation_loss"


class Images:
    """Embedded images of one set, and what is learnt from some of them."""

    def __init__(self, data: str, name: str, *, held_out: int, features: str | None, views: int):
        self.manifest, self.name, self.model = Manifest.read(data), name, models.untouched(name)
        cache = FeatureCache(None if features is None else Path(features), data, self.manifest)
        self.train = cache.read(self.model, "train", views=views)
        self.test = cache.read(self.model, "test")
        self.held_out = class_split.held_out_classes(self.manifest, count=held_out)
        self.seen = tuple(
            c for c in range(len(self.manifest.class_names)) if c not in self.held_out
        )

    def task(self, seed: int, shots: int) -> Task:
        """All training images for 0 shots, a fifth of them to choose by."""
        labels = self.train.labels
        if shots:
            drawn = sampling.sample(labels, classes=self.seen, shots=shots, seed=seed)
            places = drawn.train, drawn.validation
        else:
            ids = np.arange(len(labels))
            parts = class_split.divide(
                ids, labels, self.manifest, held_out=self.held_out, fraction=0.2, seed=seed
            )
            places = np.array(parts.train), np.array(parts.validation)
        values = self.train.values if self.train.values.ndim == 3 else self.train.values[None]
        learnt, held = (np.searchsorted(self.seen, labels[at]) for at in places)
        return Task(
            (values[:, places[0]], learnt),
            (values[0, places[1]], held),
            names=list(self.manifest.spoken_names),
            seen=self.seen,
            held_out=self.held_out,
            templates=tuple(self.manifest.prompt_templates),
            model=self.model,
            backbone=self.name,
            shots=shots,
            seed=seed,
            prompts=PromptOptions(n_ctx=VECTORS),
        )

    def figures(self, logits: np.ndarray) -> dict[str, float | None]:
        found = seen_unseen.figures(
            self.test.labels, logits, seen=self.seen, held_out=self.held_out
        )
        return {name: found[name] for name in COLUMNS}


def measure(images: Images, methods: Sequence[str], seeds: list[int], shots: int) -> dict:
    """Of every method: its figures for each seed, those of the images to choose by among them, and
    the seconds that it took."""
    found: dict = {}
    for seed in seeds:
        task, tried = images.task(seed, shots), {}
        for method in methods:
            begun = time.perf_counter()
            with tempfile.TemporaryDirectory() as folder:
                fitted = METHODS[method].fit(dataclasses.replace(task, folder=Path(folder)))
            row = found.setdefault(method, {"figures": [], "seconds": []})
            row["figures"].append(images.figures(fitted.logits(images.test.values)))
            row["seconds"].append(time.perf_counter() - begun)
            held = fitted.logits(task.validation[0])[:, list(task.seen)]
            losses = temperature_scaling.losses(held, task.validation[1])
            right = held.argmax(axis=1) == task.validation[1]
            row["figures"][-1] |= {CHOOSE_TOP1: float(right.mean()), CHOOSE_LOSS: losses.mean()}
            if method in ROWS:
                tried[method] = losses
        if set(ROWS) <= set(tried):
            chosen = choose(tried, ROWS[0])
            row = found.setdefault(AUTO, {"figures": [], "seconds": [], "chosen": []})
            row["figures"].append(found[chosen]["figures"][-1])
            row["seconds"].append(sum(found[name]["seconds"][-1] for name in ROWS))
            row["chosen"].append(chosen)
    return found


def table(found: dict) -> list[str]:
    """Lines of Markdown, per cent with the deviation over the seeds."""
    heads = [*COLUMNS, "s"]
    lines = ["| | " + " | ".join(heads) + " |", "| --- |" + " --- |" * len(heads)]
    for method, row in found.items():
        cells = []
        for name in COLUMNS:
            values = [100 * each[name] for each in row["figures"] if each[name] is not None]
            spread = np.std(values, ddof=1) if len(values) > 1 else 0.0
            cells.append(f"{np.mean(values):.1f}" + (f" ± {spread:.1f}" if spread >= 0.05 else ""))
        lines.append(
            f"| {method} | " + " | ".join([*cells, f"{np.mean(row['seconds']):.1f}"]) + " |"
        )
    return lines


def bounds(found: dict, one: dict, prompts: dict) -> dict[str, bool]:
    """What the toolkit promises, and whether it is so; `one` is of one image per class."""

    def mean(rows: dict, method: str, name: str = "seen_top1") -> float:
        return 100 * float(np.mean([each[name] for each in rows[method]["figures"]]))

    named, kept = "zero-shot", "unseen_among_all"
    holds = {
        "text-probe of 1 image >= zero-shot - 1": mean(one, "text-probe") >= mean(one, named) - 1,
        "text-probe of 1 image >= linear-probe + 5": mean(one, "text-probe")
        >= mean(one, "linear-probe") + 5,
    }
    if {AUTO, named} <= set(found):
        best = max(mean(rows, method) for rows in (found, prompts) for method in rows)
        holds["auto seen >= best row - 1"] = mean(found, AUTO) >= best - 1
        zero_shot = mean(found, named, kept)
        holds["auto held out among all >= zero-shot - 1"] = mean(found, AUTO, kept) >= zero_shot - 1
    if prompts:
        lost = {
            method: mean(prompts, named, "unseen_top1") - mean(prompts, method, "unseen_top1")
            for method in ("coop", "kgcoop")
        }
        holds["kgcoop loses at most half of what coop loses of held-out names"] = lost[
            "kgcoop"
        ] <= max(lost["coop"] / 2, 0)
    return holds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="folder of labelled records")
    parser.add_argument("--model", required=True, help="a dual encoder")
    parser.add_argument("--held-out", type=int, required=True, help="so many classes, the first")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--methods", nargs="+", default=list(ALL), choices=list(METHODS))
    parser.add_argument("--prompts", action="store_true", help="learn prompts as well: minutes")
    parser.add_argument("--views", type=int, default=1, help="of each training image")
    parser.add_argument("--features", help="folder of the feature cache")
    parser.add_argument("--json", help="file for the figures of every seed")
    options = parser.parse_args()
    images = Images(
        options.data,
        options.model,
        held_out=options.held_out,
        features=options.features,
        views=options.views,
    )
    print(f"embedding took {images.train.seconds + images.test.seconds:.1f} s")
    found = measure(images, options.methods, options.seeds, 0)
    one = measure(images, FEW, options.seeds, 1)
    prompts = measure(images, PROMPTS, options.seeds, SHOTS) if options.prompts else {}
    print("\n".join(["", *table(found), "", "One image of each class:", "", *table(one), ""]))
    if prompts:
        print("\n".join([f"{SHOTS} images of each class:", "", *table(prompts), ""]))
    if AUTO in found:
        print("auto chose", ", ".join(found[AUTO]["chosen"]))
    for promise, holds in bounds(found, one, prompts).items():
        print(f"{'holds' if holds else 'BROKEN'}: {promise}")
    if options.json:
        kept = {"all": found, "one": one, "prompts": prompts}
        Path(options.json).write_text(json.dumps(kept, indent=1))


if __name__ == "__main__":
    main()
