"""The recipes of fine-tuning: the studies' tables to the number, and runs on stand-ins."""

import json
from dataclasses import asdict

import keras
import numpy as np
import pytest
import yaml
from huggingface_hub import constants
from recipe_commands import commands, jpeg, options, put, recipe
from tfds_folders import old_protobuf, prepare_tfds
from tiny_models import scrambled, vit

import dual_encoder
from pipelines.__main__ import main
from pipelines.runs import option_parsing
from tfrecords import Manifest
from tfrecords.published_names_and_templates import RENAMES
from tfrecords.sources.catalog import DATASETS

pytestmark = pytest.mark.usefixtures("all_eagerly")

# Fei, "Transformer-Based Fine-Tuning and Zero-Shot Learning", tables 1 and 2, section 2.2; base
# models by the names of our table of checkpoints.
FOOD101 = {
    "held_out": 10,
    "validation": 0.2,
    "learning_rate": 1e-4,
    "weight_decay": 0.05,
    "epochs": 10,
    "optimizer": "adamw",
    "epsilon": 1e-6,
    "beta_1": 0.9,
}
TABLE_1 = {"model": "vit-base-patch16-224", "batch_size": 256, "beta_2": 0.99, **FOOD101}
TABLE_2 = {"model": "clip-vit-base-patch32", "batch_size": 2048, "beta_2": 0.999, **FOOD101}
# Dong et al. 2022, script for ViT-B/16 at 224 px.
FT_CLIP = {
    "model": "clip-vit-base-patch16",
    "batch_size": 2048,
    "optimizer": "adamw",
    "epsilon": 1e-8,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "learning_rate": 6e-4,
    "layer_decay": 0.6,
    "epochs": 50,
    "min_learning_rate": 1e-6,
    "weight_decay": 0.05,
    "mixup": 0,
    "cutmix": 0,
    "rand_augment": 9,
    "label_smoothing": 0.1,
    "random_erasing": 0.25,
    "crop_scale": 0.08,
}
FT_CLIP_AVERAGE, FT_CLIP_STEPS, FT_CLIP_WARMUP = 0.9998, 50 * 625, 10 / 50
# Besser 2024; what it leaves to WiSE-FT is that code's default (args.py).
NINE_CLIP = {"model": "clip-vit-base-patch32", "epochs": 10, "learning_rate": 3e-5}
NINE_CLIP |= {"batch_size": 512, "method": "zero-shot-head"}
WISE_FT = {"weight_decay": 0.1, "warmup_steps": 500, "schedule": "cosine", "clip_norm": 1}
WISE_FT |= {"crop_scale": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "optimizer": "adamw"}
NINE_RESNET = {"model": "resnet50", "epochs": 20, "learning_rate": 0.001, "head_multiplier": 10}
NINE_RESNET |= {"batch_size": 256, "crop_scale": 1, "flip": False, "weights": "imagenet"}
NINE = ["cifar10", "cifar100", "dtd", "fgvc_aircraft", "oxford_flowers102", "food101", "stl10"]
NINE += ["fmow", "iwildcam"]
# Monti and Mariani: epochs in sections 3.2 and 6.4, Table 1 for the rest.
ANIMALS = {"epochs": 8, "optimizer": "adamw", "weight_decay": 0.001, "schedule": "constant"}
ANIMALS |= {"early_stopping": 5, "plateau": 3, "plateau_factor": 0.2, "weights": "imagenet"}
STUDIES = {
    "food101_vit": TABLE_1 | {"method": "full"},
    "food101_clip": TABLE_2 | {"method": "flyp"},
    "food101_clip_ft": FT_CLIP | {"method": "full", "held_out": 10, "validation": 0.2},
    "nine_datasets_clip": NINE_CLIP | WISE_FT,
    "nine_datasets_resnet50": NINE_RESNET | {"method": "full"},
    "animals10_xception": ANIMALS | {"model": "xception"},
    "animals10_efficientnet": ANIMALS | {"model": "efficientnet-b7"},
    "pets_vit": {"model": "vit-base-patch16-224", "method": "last-blocks", "last_blocks": 1},
    "multilabel_vit": {"model": "vit-base-patch16-224", "method": "full"},
}


def loaded(name, *more, monkeypatch, folder):
    """The options of a recipe where its records are: any folder will do."""
    monkeypatch.chdir(folder)
    (folder / yaml.safe_load(recipe(name).read_text())["data"]).mkdir(parents=True, exist_ok=True)
    return options("finetune", "--config", name, *more)


@pytest.mark.parametrize("name", STUDIES)
def test_a_recipe_is_its_study_to_the_number(name, tmp_path, monkeypatch):
    found = asdict(loaded(name, monkeypatch=monkeypatch, folder=tmp_path))
    assert {key: found[key] for key in STUDIES[name]} == STUDIES[name]
    known = {**dual_encoder.CHECKPOINTS, **dict.fromkeys(dual_encoder.IMAGE_TOWERS)}
    assert found["model"] in known
    assert found["out"].startswith(f"runs/{name}")
    head = recipe(name).read_text().split("\ndata:")[0]
    assert "Published" in head and "Cost" in head
    assert "PFLOP" in head and "ot run here" in head


def test_every_recipe_of_fine_tuning_is_checked_here():
    tuned = [p.stem for p in option_parsing.RECIPES.glob("*.yaml") if "method" in read(p)]
    assert sorted(tuned) == sorted(STUDIES)


def read(path):
    return yaml.safe_load(path.read_text())


def test_what_counts_steps_in_ft_clip_is_scaled_to_fewer_images(tmp_path, monkeypatch):
    found = loaded("food101_clip_ft", monkeypatch=monkeypatch, folder=tmp_path)
    images = 0.8 * 750 * (101 - found.held_out)
    steps = found.epochs * int(np.ceil(images / found.batch_size))
    assert found.warmup_steps == FT_CLIP_WARMUP * steps
    remembered = 1 / (1 - FT_CLIP_AVERAGE) / FT_CLIP_STEPS  # as a share of the run
    assert found.ema == pytest.approx(1 - 1 / (remembered * steps), abs=1e-4)


@pytest.mark.parametrize("which", ["clip", "resnet50"])
def test_the_nine_sets(which, tmp_path, monkeypatch):
    name = f"nine_datasets_{which}"
    assert set(NINE) <= set(DATASETS)
    head = recipe("nine_datasets_clip").read_text()
    assert all(dataset in head for dataset in NINE)
    for _, *argv in commands(recipe(name))[1:]:
        loaded(name, monkeypatch=monkeypatch, folder=tmp_path)
        options("finetune", *argv)
    if which == "clip":  # the study's other settings for two of the sets
        aircraft, flowers = (options(*line) for line in commands(recipe(name))[2:])
        assert (aircraft.batch_size, aircraft.learning_rate) == (128, 3e-5)
        assert (flowers.batch_size, flowers.learning_rate) == (128, 3e-3)


@pytest.mark.parametrize("name", STUDIES)
def test_without_records_or_weights_the_command_says_what_to_fetch(
    name, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(["finetune", "--config", name]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "holds no records" in error
    assert f"recipe {name} makes them with: python -m pipelines prepare --" in error


# --- run, on stand-ins in the layouts in which the sets are published

# In place of networks that take a minute to compile.
CONVOLUTIONS = ("--model", "convnet-tiny", "--weights", "null", "--image-size", "32")


@pytest.fixture(scope="module")
def models(tmp_path_factory, spelling_clip):
    """A tiny ViT in the layout of its published checkpoint, and a tiny CLIP."""
    folder = tmp_path_factory.mktemp("models")
    keras.utils.set_random_seed(0)
    dual_encoder.save_pretrained(scrambled(vit(keras.layers.Dense(3))), folder / "vit")
    return {"vit": folder / "vit", "clip": spelling_clip}


@pytest.fixture(scope="module")
def food101(tmp_path_factory):
    root = tmp_path_factory.mktemp("food")
    names = [f"dish_{chr(97 + i)}" for i in range(13)]
    put(root / "meta/classes.txt", "\n".join(names).encode())
    for split, count in (("train", 5), ("test", 2)):
        listing = [f"{name}/{split}{i}" for name in names for i in range(count)]
        put(root / f"meta/{split}.txt", "\n".join(listing).encode())
        for i, line in enumerate(listing):
            put(root / f"images/{line}.jpg", jpeg(i))
    return prepared("food101_vit", "--data-dir", root)


@pytest.fixture(scope="module")
def cifar10(tmp_path_factory):
    root = tmp_path_factory.mktemp("cifar")
    image = np.random.default_rng(0).integers(256, size=(40, 32, 32, 3), dtype=np.uint8)
    rows = [{"id": str(i), "image": image[i], "label": i % 10} for i in range(40)]
    prepare_tfds(root, "cifar10", {"train": rows[:30], "test": rows[30:]})
    return prepared("nine_datasets_clip", "--data-dir", root)


@pytest.fixture(scope="module")
def animals10(tmp_path_factory):
    root = tmp_path_factory.mktemp("animals")
    for name in RENAMES["animals10"]:
        for i in range(10):
            put(root / "raw-img" / name / f"{i}.jpeg", jpeg(i))
    return prepared("animals10_xception", "--data-dir", root)


@pytest.fixture(scope="module")
def posters(tmp_path_factory):
    root = tmp_path_factory.mktemp("posters")
    rows = [f"tt{i},\"['x']\",{int(i % 2)},{int(i % 3 == 0)},{int(i % 5 < 3)}" for i in range(40)]
    put(root / "train.csv", "\n".join(["Id,Genre,Drama,Action,Comedy", *rows]).encode())
    for i in range(40):
        put(root / f"Images/tt{i}.jpg", jpeg(i))
    where = ("--labels", root / "train.csv", "--images", root / "Images")
    return prepared("multilabel_vit", *where)


def prepared(name, *places):
    """Records, by the recipe's own command but for the places."""
    first = commands(recipe(name))[0]
    root = next(place for place in places if not isinstance(place, str))
    out = (root if root.is_dir() else root.parent) / "records"
    assert main([*first, *map(str, places), "--out", str(out), "--workers", "1"]) == 0
    return out


def run(name, records, out, *more):
    """The results of a recipe with small options."""
    small = ("--epochs", "1", "--bootstrap", "5", "--batch-size", "8", "--out", str(out))
    argv = ["finetune", "--config", name, "--data", str(records), *small, *map(str, more)]
    assert main(argv) == 0
    assert (out / "model.keras").is_file() and (out / "report.html").is_file()
    return json.loads((out / "results.json").read_text())


@pytest.mark.parametrize(
    ("name", "model", "more"),
    [
        ("food101_vit", "vit", ()),
        ("food101_clip", "clip", ()),
        ("food101_clip_ft", "clip", ("--rand-augment", "0")),  # seconds to compile
    ],
)
def test_food101(name, model, more, food101, models, tmp_path):
    found = run(name, food101, tmp_path / "run", "--model", models[model], *more)
    assert found["parts"]["held_out"] == list(range(10)) and found["classes"] == 3
    assert found["images"] == 6  # test images of the seen classes
    assert ("unseen_top1" in found["metrics"]) == (model == "clip")
    assert [row["epoch"] for row in found["history"]] == [-1, 0]


def test_without_weights_the_command_says_what_to_fetch(
    food101, hub, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    argv = ["finetune", "--config", "food101_vit", "--data", str(food101), "--batch-size", "8"]
    assert main([*argv, "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "google/vit-base-patch16-224: the cache has not what is needed" in error
    assert "HF_HUB_OFFLINE" in error
    assert not (tmp_path / "run").exists()


@old_protobuf
@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("nine_datasets_clip", ()),
        ("nine_datasets_resnet50", CONVOLUTIONS),
    ],
)
def test_cifar10_as_tfds_prepares_it(name, more, cifar10, spelling_clip, tmp_path):
    more = more or ("--model", spelling_clip)
    found = run(name, cifar10, tmp_path / "run", *more)
    assert found["classes"] == 10 and found["images"] == 10
    assert found["per_class"][0]["name"] == "airplane"


@pytest.mark.parametrize("name", ["animals10_xception", "animals10_efficientnet"])
def test_animals10(name, animals10, tmp_path):
    found = run(name, animals10, tmp_path / "run", *CONVOLUTIONS, "--no-flip")
    assert found["classes"] == 10 and "val_loss" in found["history"][-1]


@old_protobuf
def test_pets_as_tfds_prepares_them(models, tmp_path):
    import tensorflow_datasets as tfds

    image = tmp_path / "0.jpg"
    put(image, jpeg(0))
    box = tfds.features.BBox(0.0, 0.0, 1.0, 1.0)
    others = {"segmentation_mask": np.ones((30, 40, 1), np.uint8), "head_bbox": box, "species": 0}
    rows = [
        {"image": str(image), "label": i % 37, "file_name": f"{i}.jpg", **others}
        for i in range(111)
    ]
    prepare_tfds(tmp_path / "tfds", "oxford_iiit_pet", {"train": rows[:74], "test": rows[74:]})
    records = prepared("pets_vit", "--data-dir", tmp_path / "tfds")
    found = run("pets_vit", records, tmp_path / "run", "--model", models["vit"])
    assert found["judged_by"] == "mean_per_class" and found["classes"] == 37


def test_posters(posters, models, tmp_path):
    assert Manifest.read(posters).multi_label
    found = run("multilabel_vit", posters, tmp_path / "run", "--model", models["vit"])
    assert found["multi_label"] and found["judged_by"] == "map" and found["classes"] == 3
    assert [row["name"] for row in found["per_class"]] == ["Drama", "Action", "Comedy"]
    assert all("val_map" in row for row in found["history"]) and len(found["history"]) == 2
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Average precision per class" in page and "Threshold" in page and "forgot" not in page
