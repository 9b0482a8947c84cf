"""`evaluate` of a classifier with classes of its own, as `finetune` leaves it."""

import csv
import dataclasses
import json
import shutil
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from colours import NAMES, Colours
from tiny_models import clip, vision

import classifiers
import tfrecords
from pipelines.__main__ import main
from pipelines.evaluation import measure
from pipelines.metrics.multilabel import sigmoid
from pipelines.runs import models
from pipelines.runs.class_matching import RENAME
from tfrecords.sources.shapes.multi_label import CLASS_NAMES, ShapesMultiSource

pytestmark = pytest.mark.usefixtures("all_eagerly")

OWN = ["unicorn", "Blue_Cat", "red cat", "white cat", "dog", "black cat"]  # no green cat
PLACES = {0: 2, 2: 1, 3: 4, 4: 5, 5: 3}  # label of the records -> place in OWN


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Records of colours and of several labels, a classifier for each, and a dual encoder."""
    home = tmp_path_factory.mktemp("classifier")
    tfrecords.write(Colours(), home / "records", workers=1, progress=False)
    multi = ShapesMultiSource(counts={"train": 2, "validation": 20, "test": 30})
    tfrecords.write(multi, home / "multi", workers=1, progress=False)
    keras.utils.set_random_seed(0)
    (home / "run").mkdir()
    classifiers.from_model(vision(), classes=OWN).save(home / "run" / "model.keras")
    several = classifiers.from_model(vision(), classes=CLASS_NAMES[::-1], multi_label=True)
    several.save(home / "several.keras")
    model = clip()
    model.build()
    model.save(home / "clip.keras")
    return home


def evaluate(home, out, *more, data="records", model="run"):
    where = ["--data", str(home / data), "--model", str(home / model), "--out", str(home / out)]
    return main(["evaluate", *where, "--bootstrap", "10", *more])


def test_its_own_classes_count_and_the_others_are_said(home, capsys):
    assert evaluate(home, "out") == 0
    assert (
        "classes that the model does not have, whose images are left out: green cat; the same by"
        in (capsys.readouterr().out)
    )
    found = json.loads((home / "out" / "results.json").read_text())
    assert (found["protocol"], found["not_known"]) == ("classifier", ["green cat"])
    assert [row["name"] for row in found["per_class"]] == OWN and found["classes"] == len(OWN)
    model = models.load(str(home / "run"))
    batches = tfrecords.load(home / "records", "test", **model.preprocessing)
    said, true = [], []
    for x, y, weight in batches:
        real = weight.numpy() > 0
        said += model.predict_on_batch(x).argmax(axis=1)[real].tolist()
        true += y.numpy()[real].tolist()
    right = [PLACES[label] == guess for label, guess in zip(true, said, strict=True) if label != 1]
    assert found["images"] == len(right) == 30
    assert found["metrics"]["top1"] == pytest.approx(np.mean(right))
    with open(home / "out" / "predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [OWN.index(row["true"]) for row in rows] == [PLACES[y] for y in true if y != 1]
    shown = [OWN[guess] for label, guess in zip(true, said, strict=True) if label != 1]
    assert [row["predicted"] for row in rows] == shown
    page = (home / "out" / "report.html").read_text()
    assert "Classes of the records that the model does not have: green cat." in page


def test_several_labels_with_thresholds_of_validation(home):
    assert evaluate(home, "multi-out", data="multi", model="several.keras") == 0
    found = json.loads((home / "multi-out" / "results.json").read_text())
    assert found["multi_label"] and found["thresholds_from"] == "validation"
    assert found["images"] == 30 and found["not_known"] == []
    model = models.load(str(home / "several.keras"))
    x, y, _ = next(
        iter(tfrecords.load(home / "multi", "test", batch_size=30, **model.preprocessing))
    )
    said = sigmoid(model.predict_on_batch(x)[:, ::-1])
    (first, *_) = found["per_class"]
    assert first["name"] == CLASS_NAMES[0]
    assert first["predicted"] == int((said[:, 0] >= first["threshold"]).sum())
    assert first["count"] == int(y.numpy()[:, 0].sum())
    assert evaluate(home, "v", "--split", "validation", data="multi", model="several.keras") == 0
    found = json.loads((home / "v" / "results.json").read_text())
    assert {row["threshold"] for row in found["per_class"]} == {0.5}


def test_several_labels_with_the_thresholds_that_the_run_chose(home):
    run = home / "several-run"
    run.mkdir()
    (run / "model.keras").write_bytes((home / "several.keras").read_bytes())
    assert evaluate(home, "chosen", data="multi", model="several.keras") == 0
    document = json.loads((home / "chosen" / "results.json").read_text())
    own = {row["name"]: 0.3 + place / 100 for place, row in enumerate(document["per_class"])}
    for row in document["per_class"]:
        row["threshold"] = own[row["name"]]
    (run / "results.json").write_text(json.dumps(document))
    for model in ("several-run", "several-run/model.keras"):
        out = f"again-{len(model)}"
        assert evaluate(home, out, data="multi", model=model) == 0
        found = json.loads((home / out / "results.json").read_text())
        assert found["thresholds_from"] == "the model's run"
        assert {row["name"]: row["threshold"] for row in found["per_class"]} == own
        assert "the one that the model's run chose;" in " ".join(
            (home / out / "report.html").read_text().replace("&#39;", "'").split()
        )


@pytest.mark.parametrize(
    ("more", "options", "message"),
    [
        ((), {"data": "multi"}, "shapes-multi has several labels per image; "),
        ((), {"model": "several.keras"}, "colours has one label per image; "),
        (("--templates", "a {}"), {}, "--templates goes with another --protocol than classifier"),
        (("--protocol", "classifier"), {"model": "clip.keras"}, "(DualEncoder) has none"),
        (("--protocol", "zero-shot"), {}, "has one tower (ImageClassifier)"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(home, more, options, message, capsys):
    assert evaluate(home, "no", *more, **options) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ") and message in error
    assert not (home / "no").exists()


def test_a_model_of_other_classes(home, capsys):
    strange = classifiers.from_model(vision(), classes=["a", "b", "c", "d"])
    strange.save(home / "strange.keras")
    assert evaluate(home, "no", model="strange.keras") == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.endswith(
        f"has none of the classes of colours: expected {', '.join(NAMES[:3])} and 3 more; "
        f"it has a, b, c and 1 more; {RENAME}"
    )


def test_images_with_several_labels_are_judged_by_what_is_measured_of_them():
    """Also where a source of one's own says top1, as it does unless it is told otherwise."""
    for several, metric, expected in (
        (True, "top1", "map"),
        (True, "map", "map"),
        (False, "mean_per_class", "mean_per_class"),
        (False, "recall", "top1"),  # of sets that are published with captions
    ):
        manifest = SimpleNamespace(multi_label=several, metric=metric)
        assert measure.judged_by(manifest) == expected


@pytest.mark.parametrize(
    ("more", "model", "message"),
    [
        ((), "far.keras", "far.keras has none of the classes of colours"),
        ((), "green.keras", "split 'test' has no image of a class that the model has"),
        (("--protocol", "zero-shot"), "clip.keras", "'red cat' and 'RED CAT' are the same tokens"),
    ],
)
def test_what_no_image_is_needed_for_is_refused_before_the_first(
    home, tmp_path, monkeypatch, capsys, more, model, message
):
    for name, classes in (("far", ["sun", "moon"]), ("green", ["moon", "green cat"])):
        if model == f"{name}.keras":
            classifiers.from_model(vision(), classes=classes).save(home / model)
    shutil.copytree(home / "records", tmp_path / "records")
    manifest = tfrecords.Manifest.read(home / "records")
    first, _, *others = manifest.class_names
    if more:
        names = (first, first.upper(), *others)
        dataclasses.replace(manifest, class_names=names).write(tmp_path / "records")
    else:
        test = manifest.splits["test"]
        none = dataclasses.replace(test, class_counts=(12, 0, 6, 6, 6, 6))
        splits = {**manifest.splits, "test": none}
        dataclasses.replace(manifest, splits=splits).write(tmp_path / "records")
    monkeypatch.setattr("pipelines.inspection.leaks", None)
    assert evaluate(home, "early", *more, data=tmp_path / "records", model=model) == 2
    assert message in capsys.readouterr().err
    assert not (home / "early").exists()
