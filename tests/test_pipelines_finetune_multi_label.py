"""`finetune --method linear-probe` where images have several labels each."""

import json

import numpy as np
import pytest
from scipy.special import expit

import tfrecords
from pipelines.__main__ import main
from pipelines.runs import models
from tfrecords.sources.shapes.multi_label import ShapesMultiSource

pytestmark = pytest.mark.usefixtures("all_eagerly")


@pytest.fixture(scope="module")
def home(home):
    multi = ShapesMultiSource(counts={"train": 60, "test": 20})
    tfrecords.write(multi, home / "multi", workers=1, progress=False)
    return home


def finetune(home, out, *more):
    where = ["--data", str(home / "multi"), "--model", str(home / "clip.keras")]
    return main(["finetune", *where, "--out", str(home / out), "--bootstrap", "10", *more])


@pytest.mark.parametrize(("method", "views"), [("auto", "1"), ("linear-probe", "2")])
def test_a_linear_probe_is_a_classifier_of_several_labels(home, method, views, capsys):
    assert finetune(home, f"out{views}", "--method", method, "--views", views) == 0
    assert "linear probe: C = " in capsys.readouterr().out
    found = json.loads((home / f"out{views}" / "results.json").read_text())
    assert found["multi_label"] and found["judged_by"] == "map" and found["images"] == 20
    model = models.load(str(home / f"out{views}"))
    assert model.multi_label and model.class_names == [row["name"] for row in found["per_class"]]
    batches = tfrecords.load(home / "multi", "test", batch_size=20, **model.preprocessing)
    x, y, _ = next(iter(batches))
    said = expit(np.asarray(model.predict_on_batch(x), np.float64))
    for place, row in enumerate(found["per_class"]):
        assert row["count"] == int(y.numpy()[:, place].sum())
        assert row["predicted"] == int((said[:, place] >= row["threshold"]).sum())


def test_methods_of_one_class_name_those_of_several(home, capsys):
    assert finetune(home, "no", "--method", "text-probe") == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "text-probe takes one class per image" in error
    assert "Expected one of linear-probe, full, " in error
