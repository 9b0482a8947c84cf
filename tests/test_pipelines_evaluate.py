"""`python -m pipelines evaluate`, on a few drawn images and a tiny model with random weights."""

import csv
import json
import os
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml

import tfrecords
from dual_encoder import (
    DualEncoder,
    TextTransformer,
    Tokenizer,
    VisionTransformer,
    ZeroShotClassifier,
)
from pipelines.__main__ import main
from pipelines.evaluation import zero_shot
from pipelines.evaluation.zero_shot import FILES
from pipelines.metrics import confusion as metrics_confusion
from pipelines.metrics import multilabel
from pipelines.metrics.multilabel import average_precision, sigmoid
from pipelines.runs import models
from tfrecords.sources.shapes.multi_label import ShapesMultiSource
from tfrecords.sources.shapes.source import CLASS_NAMES, TEMPLATES, ShapesSource

COUNT = 130  # not a multiple of the batch: classes have one or two images


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with `records` of shapes and `model.keras`."""
    home = tmp_path_factory.mktemp("evaluate")
    source = ShapesSource(counts={"train": 4, "test": COUNT})
    tfrecords.write(source, home / "records", shard_size=60, workers=1, progress=False)
    keras.utils.set_random_seed(1)
    tokenizer = Tokenizer.learn(CLASS_NAMES, context_length=16, vocabulary_size=200)
    image = VisionTransformer(32, 8, width=16, depth=1, heads=2)
    text = TextTransformer(
        tokenizer.vocabulary_size, 16, end_id=tokenizer.end_id, width=16, depth=1, heads=2
    )
    model = DualEncoder(image, text, embed_dim=8, tokenizer=tokenizer)
    model.build()
    model.save(home / "model.keras")
    return home


RUN = ("--batch-size", "32", "--bootstrap", "50", "--seed", "3")


def arguments(home, out, *more):
    data, model = home / "records", home / "model.keras"
    return ["evaluate", "--data", str(data), "--model", str(model), "--out", str(out), *more]


@pytest.fixture(scope="module")
def run(home):
    """The folder of one run."""
    assert main(arguments(home, home / "run", *RUN)) == 0
    return home / "run"


def test_a_run_leaves_its_files_and_nothing_else(run):
    assert sorted(path.name for path in run.iterdir()) == sorted(FILES)
    assert (run / "report.html").read_text().startswith("<!doctype html>")
    assert (run / "confusion_matrix.png").read_bytes()[:4] == b"\x89PNG"


def test_figures_are_those_of_the_classifier_on_every_image_once(home, run):
    found = json.loads((run / "results.json").read_text())
    model = keras.saving.load_model(home / "model.keras")
    classifier = ZeroShotClassifier.from_names(model, CLASS_NAMES, TEMPLATES)
    classifier.compile(metrics=["accuracy", "sparse_top_k_categorical_accuracy"])
    batches = tfrecords.load(home / "records", "test", batch_size=50, image_size=32)
    _, top1, top5 = classifier.evaluate(batches, verbose=0)
    assert found["metrics"]["top1"] == pytest.approx(top1)
    assert found["metrics"]["top5"] == pytest.approx(top5)
    assert found["images"] == np.sum(found["confusion_matrix"]) == COUNT
    assert [row["name"] for row in found["per_class"]] == list(CLASS_NAMES)
    assert (found["dataset"], found["split"], found["seed"]) == ("shapes", "test", 3)
    assert found["templates"] == list(TEMPLATES)
    assert found["judged_by"] == "top1"


def test_predictions_list_every_image_in_order(run):
    found = json.loads((run / "results.json").read_text())
    with open(run / "predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["id"]) for row in rows] == list(range(COUNT))
    assert rows[7]["filename"] == "test/000007.jpg"
    right = np.mean([row["true"] == row["predicted"] for row in rows])
    assert right == pytest.approx(found["metrics"]["top1"])


def test_config_is_what_to_type_again(home, run):
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["batch_size"] == 32 and config["bootstrap"] == 50
    again = ["evaluate", "--config", str(run / "config.yaml"), "--out", str(home / "again")]
    assert main(again) == 0
    one, two = (json.loads((path / "results.json").read_text()) for path in (run, home / "again"))
    assert one["metrics"] == two["metrics"] and one["intervals"] == two["intervals"]


def test_another_precision_than_the_one_that_was_measured_is_not_finished_already(
    home, run, tmp_path, capsys
):
    out = shutil.copytree(run, tmp_path / "run")
    assert main(arguments(home, out, *RUN)) == 0
    assert "finished already" in capsys.readouterr().out
    assert main(arguments(home, out, *RUN, "--precision", "mixed_bfloat16")) == 2
    assert f"{out} already holds results.json" in capsys.readouterr().err


def test_a_run_is_measured_in_its_own_templates(home, tmp_path):
    """On the records that it learnt from; and in others where they are given."""
    shutil.copy(home / "model.keras", tmp_path)
    begun = {"data": str(home / "records"), "templates": ["{} it is"]}
    (tmp_path / "config.yaml").write_text(json.dumps(begun))
    shutil.copytree(home / "records", tmp_path / "others")
    given = ["evaluate", "--model", str(tmp_path), "--bootstrap", "0"]
    for name, data, more, expected in (
        ("out-own", home / "records", (), ["{} it is"]),
        ("out-given", home / "records", ("--templates", "a {}"), ["a {}"]),
        ("out-others", tmp_path / "others", (), list(TEMPLATES)),
    ):
        out = tmp_path / name
        assert main([*given, "--data", str(data), "--out", str(out), *more]) == 0
        assert json.loads((out / "results.json").read_text())["templates"] == expected


def test_names_and_templates_can_be_given(home):
    names = tfrecords.Manifest.read(home / "records").spoken_names
    (home / "names.txt").write_text("".join(f"thing {name}\n" for name in names))
    (home / "templates.txt").write_text("a {}\n\nthe {}\n")
    more = ("--class-names", str(home / "names.txt"), "--templates", str(home / "templates.txt"))
    assert main(arguments(home, home / "given", *more, "--bootstrap", "0")) == 0
    found = json.loads((home / "given" / "results.json").read_text())
    assert found["per_class"][3]["name"] == f"thing {names[3]}"
    assert found["templates"] == ["a {}", "the {}"]
    assert found["intervals"] == {}
    assert found["equal_names"] == {}


def test_class_names_are_taken_as_predict_takes_them(home, tmp_path, capsys):
    more = ("--class-names", *(f"the {name}" for name in CLASS_NAMES[:99]), "--bootstrap", "0")
    assert main(arguments(home, tmp_path / "out", *more)) == 2
    assert "expected 100 names, one for each class of shapes; got 99" in capsys.readouterr().err


def test_published_names_with_one_twice_are_measured_if_asked_and_the_figures_say_so(home, capsys):
    names = list(CLASS_NAMES)
    names[1] = names[-1] = f"the {names[0]}"
    (home / "twice.txt").write_text("\n".join(names))
    more = ("--class-names", str(home / "twice.txt"), "--bootstrap", "0")
    assert main(arguments(home, home / "twice", *more)) == 2
    assert "expected each name once" in capsys.readouterr().err
    assert main(arguments(home, home / "twice", *more, "--allow-equal-names")) == 0
    assert f"not told apart: 'the {names[0]}' (2)" in capsys.readouterr().out
    found = json.loads((home / "twice" / "results.json").read_text())
    assert found["equal_names"] == {f"the {names[0]}": 2}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--split", "tset"), "no split 'tset'"),
        (
            ("--split", "train", "--protocol", "zero-shot"),
            "has no labels to measure against; splits with labels: test",
        ),
        (("--captions-per-image", "1"), "--captions-per-image goes with another --protocol than"),
        (("--batch-size", "0"), "--batch-size: expected 1 or more; got 0"),
        (("--bootstrap", "-1"), "--bootstrap: expected 0 or more; got -1"),
        (("--templates", "a photo"), "--templates: no file a photo"),
        (("--templates", "{}", "photo"), "expected {} where the name goes; got 'photo'"),
        (("--class-names", "nowhere.txt"), "--class-names: no file nowhere.txt"),
        (("--data", "nowhere"), "nowhere holds no records"),
        (("--model", "no-such-model"), "no-such-model"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(home, tmp_path, capsys, more, message):
    assert main(arguments(home, tmp_path / "out", *more)) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1 and error[0].startswith("error: ") and message in error[0]
    assert not list(tmp_path.glob("out/*"))


def test_class_names_of_another_number_are_refused(home, tmp_path, capsys):
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    more = ("--class-names", str(tmp_path / "names.txt"))
    assert main(arguments(home, tmp_path / "out", *more)) == 2
    assert "expected 100 lines, one for each class of shapes" in capsys.readouterr().err


def test_a_folder_with_results_is_never_overwritten(home, run, capsys):
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    (run / ".lock").touch()  # killed as it ended
    assert main(arguments(home, run, *RUN)) == 0
    assert capsys.readouterr().out == f"{run} is finished already; nothing is left to do\n"
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    said = f"error: {run} already holds results.json; give another --out\n"
    assert main(arguments(home, run)) == 2
    assert capsys.readouterr().err == said
    assert main(arguments(home, home / "records")) == 2
    assert "records already holds manifest.json; give another --out" in capsys.readouterr().err
    manifest = home / "records" / "manifest.json"
    times = manifest.stat()
    os.utime(manifest)  # other records, perhaps
    assert main(arguments(home, run, *RUN)) == 2
    os.utime(manifest, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert capsys.readouterr().err == said
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_out_may_hold_other_files_but_not_be_one(home, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert main(arguments(home, tmp_path / "file")) == 2
    assert "is a file; --out takes a folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("vit", "message"),
    [
        ("vit_pooler", "vit_pooler has one tower (ImageEncoder)"),
        ("vit_classifier", "has none of the classes of shapes: expected red circle, "),
    ],
)
def test_a_model_with_one_tower_is_refused(home, tmp_path, capsys, vit, message):
    """Unless it has classes of its own, and the records have one of them."""
    model = Path(__file__).parent / "fixtures" / "pretrained" / vit
    given = ["evaluate", "--data", str(home / "records"), "--model", str(model)]
    assert main([*given, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_several_labels_per_image_are_measured_by_names(home, tmp_path):
    """Each class by itself; what an image has in common with all names speaks for none."""
    counts = {"train": 2, "validation": 12, "test": 20}
    records = tmp_path / "records"
    tfrecords.write(ShapesMultiSource(counts=counts), records, workers=1, progress=False)
    more = ["--data", str(records), "--model", str(home / "model.keras")]
    assert main(["evaluate", *more, "--out", str(tmp_path / "out")]) == 0
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert found["protocol"] == "zero-shot" and found["judged_by"] == "map"
    assert found["thresholds_from"] == "validation"

    model = models.load(str(home / "model.keras"))
    manifest = tfrecords.Manifest.read(records)
    classifier = ZeroShotClassifier.from_names(model, manifest.spoken_names, found["templates"])
    data = tfrecords.load(records, "test", batch_size=20, **classifier.preprocessing)
    x, labels, _ = next(iter(data))
    logits = classifier.predict_on_batch(x)
    relative = logits - logits.mean(axis=1, keepdims=True)
    expected = average_precision(labels.numpy(), sigmoid(relative))
    assert [row["average_precision"] for row in found["per_class"]] == pytest.approx(
        [None if np.isnan(each) else each for each in expected], abs=1e-6
    )
    features = ["--features", str(tmp_path / "features")]
    assert main(["evaluate", *more, *features, "--out", str(tmp_path / "cached")]) == 0
    again = json.loads((tmp_path / "cached" / "results.json").read_text())
    assert again["metrics"] == pytest.approx(found["metrics"], abs=1e-6)
    assert "told by their names alone" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize("cached", [False, True])
def test_thresholds_by_names_are_chosen_on_some_of_train_without_validation(
    home, tmp_path, monkeypatch, cached
):
    """Nothing is trained on it."""
    source = ShapesMultiSource(counts={"train": 50, "test": 20})
    tfrecords.write(source, tmp_path / "records", workers=1, progress=False)
    monkeypatch.setattr(zero_shot, "ENOUGH", 20)
    asked, choose = [], multilabel.choose_thresholds
    monkeypatch.setattr(
        multilabel, "choose_thresholds", lambda *given: asked.append(given) or choose(*given)
    )
    more = ["--features", str(tmp_path / "features")] if cached else []
    where = ["--data", str(tmp_path / "records"), "--model", str(home / "model.keras")]
    given = ["--batch-size", "8", "--out", str(tmp_path / "out"), *more]
    assert main(["evaluate", *where, *given]) == 0
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert found["thresholds_from"] == "train" and found["images"] == 20
    ((labels, probabilities),) = asked
    expected = tfrecords.labels(tmp_path / "records", "train")[1][:20]
    np.testing.assert_array_equal(labels, expected)
    assert probabilities.shape == labels.shape


def test_a_run_can_be_held_against_published_figures(run, capsys):
    assert main(["expected", "--run", str(run)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("nothing published for this run: shapes with ")


def test_the_order_of_similar_classes_is_computed_once(home, monkeypatch):
    found, order = [], metrics_confusion.similar_order
    monkeypatch.setattr(
        metrics_confusion, "similar_order", lambda matrix: found.append(1) or order(matrix)
    )
    assert main(arguments(home, home / "ordered", *RUN)) == 0
    assert found == [1]
