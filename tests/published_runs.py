"""Results of runs as each command writes them, of models that the tests cannot have."""

import json

TEMPLATE = "a photo of {}, a type of food."


def evaluated(**changes):
    """Food-101, zero-shot, as `evaluate` measures it."""
    found = {
        "schema": 1,
        "command": "evaluate",
        "dataset": "food101",
        "split": "test",
        "model": "clip-vit-base-patch32",
        "protocol": "zero-shot",
        "templates": [TEMPLATE],
        "images": 25_250,
        "classes": 101,
        "metrics": {"top1": 0.8402, "top5": 0.97, "mean_per_class": 0.8402},
        "per_class": [{"name": f"dish {i}", "count": 250, "recall": 0.84} for i in range(101)],
        "config": {"class_names": None},
    }
    return {**found, **changes}


def cell(method, shots, seed, top1, **changes):
    """One cell of a grid of `prompt` on CoOp's split of Caltech-101."""
    config = {"n_ctx": None, "position": "end", "class_specific": False, "words": None}
    found = {
        "schema": 1,
        "command": "prompt",
        "dataset": "caltech101",
        "split": "test",
        "model": "clip-rn50",
        "protocol": "few-shot",
        "method": method,
        "shots": shots,
        "seed": seed,
        "images": 2465,
        "classes": 100,
        "metrics": {"top1": top1},
        "per_class": [{"name": f"thing {i}", "count": 24, "recall": top1} for i in range(100)],
        "config": {**config, "epochs": None, "templates": ["a photo of a {}."]},
    }
    return {**found, **changes}


def grid(folder, cells):
    """A folder of `prompt` with these cells."""
    rows = {}
    for each in cells:
        path = folder / "cells" / each["model"] / each["method"] / f"{each['shots']}-shot"
        write(path / f"seed-{each['seed']}", each)
        key = (each["model"], each["method"], each["shots"])
        row = rows.setdefault(key, dict(zip(("model", "method", "shots"), key, strict=True)))
        row.setdefault("seeds", []).append(each["seed"])
    own = ("schema", "command", "dataset", "split", "model", "protocol", "config")
    whole = {key: cells[0][key] for key in own}
    write(folder, {**whole, "metrics": {}, "per_class": [], "table": list(rows.values())})
    return folder


def finetuned(**changes):
    """ViT-B/16 fine-tuned on Food-101, as on the hub's model card."""
    found = evaluated(
        command="finetune",
        model="runs/vit",
        method="full",
        protocol="fine-tuned",
        parts={"seen": list(range(101)), "held_out": []},
        metrics={"top1": 0.9101, "seen_top1": 0.9101},
        config={"model": "vit-base-patch16-224", "method": "full", "epochs": 12, "batch_size": 64},
    )
    return {**found, **changes}


def row(method, command, seen, **changes):
    """A row of the table of `compare`."""
    found = {
        "method": method,
        "family": "dual",
        "command": f"python -m pipelines {command} --data records",
        "seen": seen,
        "per_class": [{"name": f"dish {i}", "count": 250, "recall": seen} for i in range(101)],
    }
    return {**found, **changes}


def compared(*rows, **changes):
    """A comparison on Food-101 with these rows."""
    found = {
        "schema": 1,
        "command": "compare",
        "dataset": "food101",
        "split": "test",
        "model": "clip-vit-base-patch32",
        "metrics": {},
        "per_class": [],
        "parts": None,
        "rows": list(rows),
        "config": {"shots": 16, "epochs": 10, "held_out": 0, "templates": None},
    }
    return {**found, **changes}


def write(folder, document):
    """The folder of a run with these results."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(document), encoding="utf-8")
    return folder
