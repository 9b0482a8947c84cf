"""Every recipe loads, its commands can be typed, the studies' tables are in it to the number."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from recipe_commands import commands, jpeg, options, put, recipe
from tiny_models import bert, scrambled

import dual_encoder
from pipelines.__main__ import main
from pipelines.runs import option_parsing
from tfrecords import Manifest
from tfrecords.published_names_and_templates import RENAMES
from tfrecords.sources.catalog import dataset

pytestmark = pytest.mark.usefixtures("all_eagerly")

RECIPES = sorted(option_parsing.RECIPES.glob("*.yaml"))
# Monti and Mariani, Table 1; 30,000 and 6,000 images in section 3.2.
TABLE_1 = {
    "embed_dim": 256,  # projection dimensions
    "batch_size": 256,
    "epochs": 8,
    "captions_per_image": 3,
    "dropout": 0.1,
    "learning_rate": 0.001,
    "weight_decay": 0.001,
    "early_stopping": 5,
    "plateau": 3,
    "plateau_factor": 0.2,
}
VALIDATION_SPLIT, IMAGES = 0.2, 30_000


@pytest.fixture
def anywhere(tmp_path, monkeypatch):
    """A folder to be in that holds the records every recipe asks for, empty."""
    monkeypatch.chdir(tmp_path)
    for path in RECIPES:
        Path(yaml.safe_load(path.read_text())["data"]).mkdir(parents=True, exist_ok=True)
    return tmp_path


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_loads_and_its_commands_can_be_typed(path, anywhere):
    head = path.read_text().split("\ndata:")[0]
    assert all(line.startswith("#") for line in head.splitlines())
    typed = commands(path) or [["train", "--config", path.stem]]
    for command, *argv in typed:
        options(command, *argv)
    if commands(path):
        assert any(path.stem in argv for argv in typed), "no command of it names the recipe"
        prepared = options(*commands(path)[0])
        assert prepared.out == yaml.safe_load(path.read_text())["data"]
        assert "xpect" in head or "Published" in head, "no result to expect"


def test_coco_bert_xception_is_table_1(anywhere):
    found = options("train", "--config", "coco_bert_xception")
    assert {name: getattr(found, name) for name in TABLE_1} == TABLE_1
    assert (found.image_tower, found.image_weights) == ("xception", "imagenet")
    assert (found.text_tower, found.text_weights) == ("bert-base", "bert-base-uncased")
    assert found.schedule == "constant" and found.freeze == "both"
    prepared = options(*commands(recipe("coco_bert_xception"))[0])
    assert (prepared.limit, prepared.validation_share) == (IMAGES, VALIDATION_SPLIT)
    assert prepared.dataset == "coco_captions"


def test_the_other_coco_recipes(anywhere):
    clip = options("train", "--config", "coco_clip_finetune")
    assert clip.model in dual_encoder.CHECKPOINTS and clip.freeze == "none"
    lit = options("train", "--config", "coco_lit")
    assert lit.freeze == "image" and lit.image_weights in dual_encoder.CHECKPOINTS
    assert lit.text_weights in dual_encoder.CHECKPOINTS


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("animals10", "dog cat horse spider butterfly chicken sheep cow squirrel elephant"),
        ("common10", "fruit motorbike person flower car airplane cat food house dog"),
    ],
)
def test_the_zero_shot_recipes_have_the_studys_classes_and_prompt(name, classes, anywhere):
    found = options("evaluate", "--config", f"{name}_zero_shot")
    assert found.templates == ["A photo of a {}"] and found.split == "test"
    prepared = options(*commands(recipe(f"{name}_zero_shot"))[0])
    assert (prepared.dataset, prepared.all_as) == (name, "test")
    assert sorted(dataset(name).class_names) == sorted(classes.split())


@pytest.mark.parametrize("name", ["coco_bert_xception", "animals10_zero_shot"])
def test_without_records_the_recipe_says_how_to_make_them(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = commands(recipe(name))[1][0]
    assert main([command, "--config", name]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "makes them with: python -m pipelines prepare --dataset" in error
    assert main(commands(recipe(name))[0]) == 2  # nor is there what to make them of
    error = capsys.readouterr().err.splitlines()[-1]
    expected = {"coco_bert_xception": "unpack train2014.zip, val2014.zip and annotations_trainval"}
    assert expected.get(name, "animals10 is not a folder") in error


# --- run, on stand-ins


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    """COCO captions as published, twenty images and eight, five captions each."""
    root = tmp_path_factory.mktemp("coco")
    for split, numbers in (("train2014", range(20)), ("val2014", range(100, 108))):
        names = {number: f"COCO_{split}_{number:012d}.jpg" for number in numbers}
        for number, name in names.items():
            put(root / split / name, jpeg(number))
        captions = {
            "images": [{"id": number, "file_name": name} for number, name in names.items()],
            "annotations": [
                {"image_id": number, "caption": f"Image {number}, told for the {i}th time."}
                for number in numbers
                for i in range(5)
            ],
        }
        put(root / f"annotations/captions_{split}.json", json.dumps(captions).encode())
    return root


def test_coco_bert_xception_from_coco_as_published(coco, tmp_path):
    first = commands(recipe("coco_bert_xception"))[0]
    small = ("--data-dir", str(coco), "--limit", "10", "--out", str(tmp_path / "records"))
    assert main([*first, *small, "--workers", "1"]) == 0
    manifest = Manifest.read(tmp_path / "records")
    assert {name: info.count for name, info in manifest.splits.items()} == {
        "train": 10,
        "validation": 2,
    }
    text = scrambled(bert(width=128, heads=2, mlp_ratio=4, positions=48))
    dual_encoder.save_pretrained(text, tmp_path / "bert")
    run, data = tmp_path / "run", ("--data", str(tmp_path / "records"))
    towers = ("--text-tower", "bert-tiny", "--text-weights", str(tmp_path / "bert"))
    towers += ("--image-tower", "convnet-tiny", "--image-weights", "null", "--freeze", "text")
    small = ("--epochs", "1", "--batch-size", "10", "--out", str(run))
    assert main(["train", "--config", "coco_bert_xception", *data, *towers, *small]) == 0
    found = json.loads((run / "results.json").read_text())
    assert found["steps"] == 3 and "val_loss" in found["metrics"]  # three captions of each
    model = dual_encoder.load(run)
    assert model.embed_dim == 256 and model.projection_depth == 1 and model.dropout_rate == 0.1
    scored = ("--split", "validation", "--bootstrap", "0", "--out", str(tmp_path / "scored"))
    assert main(["evaluate", *data, "--model", str(run), *scored]) == 0
    figures = json.loads((tmp_path / "scored" / "results.json").read_text())
    assert figures["captions"] == 10 and figures["metrics"]["text_to_image_recall5"] == 1.0


def test_animals10_from_the_folders_as_published(tmp_path, spelling_clip):
    for name in RENAMES["animals10"]:
        for i in range(10):
            put(tmp_path / "animals10" / "raw-img" / name / f"{i}.jpeg", jpeg(i))
    data = ("--data-dir", str(tmp_path / "animals10"), "--out", str(tmp_path / "records"))
    first = commands(recipe("animals10_zero_shot"))[0]
    assert main([*first, *data, "--workers", "1"]) == 0
    own = ("--data", str(tmp_path / "records"), "--model", str(spelling_clip), "--bootstrap", "0")
    out = tmp_path / "run"
    assert main(["evaluate", "--config", "animals10_zero_shot", *own, "--out", str(out)]) == 0
    found = json.loads((out / "results.json").read_text())
    assert found["images"] == 100 and found["templates"] == ["A photo of a {}"]
    names = {row["name"] for row in found["per_class"]}
    assert names == set(dataset("animals10").class_names)
    assert {"top1", "macro_precision", "macro_recall", "macro_f1"} <= set(found["metrics"])
    assert np.sum(found["confusion_matrix"]) == 100
