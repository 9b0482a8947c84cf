"""The Food-101 study by its own recipe, for a few steps, on stand-ins of all that it needs.

    python tests/parity/food101_study.py [--methods zero-shot vit ...]

Data: 101 class folders of noise in the published layout, 3 images each. Weights: the recipe's two
checkpoints at their real size, random, written by `transformers` as published, on a stand-in of the
hub from which the command fetches them by name. Nothing of the recipes is changed but what makes
them short: one epoch, one seed, pieces of 8 images. Accuracies are those of guessing; what is
shown is that the one command runs to its tables. Needs the extra `parity`, 10 GB of memory and, on
2 cores, half an hour.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import reference
import yaml
from hub_server import HubServer
from PIL import Image
from tokenizers_real import open_clip_tokenizers, write_clip

from dual_encoder import CHECKPOINTS
from pipelines.runs import option_parsing

NAMES = ("clip-vit-base-patch32", "vit-base-patch16-224")
CLASSES, HELD_OUT = 101, 10
COUNTS = {"train": 2, "test": 1}  # images of each class
PREPARE = "prepare --dataset food101 --data-dir food-101 --short-side 256 --out records/food101"
COMPARE = "compare --config food101_study"  # both as the recipe's header has them
SHORT = "--seeds 0 --epochs 1 --micro-batch 8 --validation 0.5 --bootstrap 50 --serving-seconds 0.5"


def write_images(root: Path) -> None:
    """Food-101 as its archive has it: images/CLASS/NUMBER.jpg, listed in meta/."""
    names, rng = [f"dish_{i:03d}" for i in range(CLASSES)], np.random.default_rng(0)
    (root / "meta").mkdir(parents=True)
    (root / "meta" / "classes.txt").write_text("\n".join(names), encoding="utf-8")
    for split, count in COUNTS.items():
        listing = [f"{name}/{split}{i}" for name in names for i in range(count)]
        (root / "meta" / f"{split}.txt").write_text("\n".join(listing), encoding="utf-8")
        for line in listing:
            file = root / "images" / f"{line}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            noise = rng.integers(256, size=(16, 16, 3), dtype=np.uint8)
            Image.fromarray(noise).resize((300, 280)).save(file)


def shortened(home: Path) -> list[str]:
    """The recipes that the study's own takes options from, with one epoch: METHOD=FILE."""
    study = option_parsing.read_config(option_parsing.recipe_path("food101_study", option="config"))
    found = []
    for text in study["recipes"]:
        method, _, name = text.partition("=")
        recipe = option_parsing.read_config(option_parsing.recipe_path(name, option="recipes"))
        file = home / f"{name}_short.yaml"
        file.write_text(yaml.safe_dump(recipe | {"epochs": 1}), encoding="utf-8")
        found.append(f"{method}={file.name}")
    return found


def publish(name: str, hub: HubServer) -> None:
    """A random checkpoint of real size in the repository that the table names."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent)
        reference.build(name, folder)
        if CHECKPOINTS[name].context_length is not None:
            (folder / "tokenizer.json").unlink()  # of a few words
            write_clip(folder, open_clip_tokenizers())
        row = CHECKPOINTS[name]
        hub.publish(str(row.repository), folder, reference=row.revision or "main")


def check(results: dict, methods: list[str]) -> None:
    """Every method has its figures, over the study's parts of the classes."""
    assert [row["method"] for row in results["rows"]] == methods
    for row in results["rows"]:
        assert not row["error"], f"{row['method']}: {row['error']}"
    assert len(results["parts"]["held_out"]) == HELD_OUT
    assert len(results["parts"]["seen"]) == CLASSES - HELD_OUT


def main(methods: list[str]) -> int:
    with tempfile.TemporaryDirectory() as parent, HubServer() as hub:
        home = Path(parent)
        write_images(home / "food-101")
        for name in NAMES:
            publish(name, hub)
        own = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(home / "cache")}
        root = str(Path(__file__).parents[2])
        short = [SHORT, "--methods", *methods, "--recipes", *shortened(home)]
        for words in (PREPARE, " ".join([COMPARE, *short])):
            command = [sys.executable, "-m", "pipelines", *words.split()]
            environment = os.environ | own | {"PYTHONPATH": root}
            subprocess.run(command, cwd=home, env=environment, check=True)
        run = home / "runs" / "food101_study"
        results = json.loads((run / "results.json").read_text(encoding="utf-8"))
        check(results, methods)
        assert (run / "report.html").is_file() and (run / "results.csv").is_file()
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    every = ["zero-shot", "linear-probe", "fine-tune", "wise-ft", "auto", "vit"]
    parser.add_argument("--methods", nargs="+", default=every)
    sys.exit(main(parser.parse_args().methods))
