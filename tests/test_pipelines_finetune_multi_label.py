"""`finetune` where images have several labels each."""

import json

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

import tfrecords
from pipelines.__main__ import main
from pipelines.methods import several_labels
from pipelines.runs import models, predictions
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


@pytest.mark.parametrize("given", ["auto", "text-probe --views 2", "linear-probe", "zero-shot"])
def test_a_method_on_features_is_a_classifier_of_several_labels(home, given, capsys):
    out = given.replace(" ", "")
    assert finetune(home, out, "--method", *given.split()) == 0
    assert ("probe: C = " in capsys.readouterr().out) == (given != "zero-shot")
    found = json.loads((home / out / "results.json").read_text())
    assert found["multi_label"] and found["judged_by"] == "map" and found["images"] == 20
    assert found.get("auto", {}).get("method") == ("text-probe" if given == "auto" else None)
    model = models.load(str(home / out))
    assert model.multi_label and model.class_names == [row["name"] for row in found["per_class"]]
    batches = tfrecords.load(home / "multi", "test", batch_size=20, **model.preprocessing)
    x, y, _ = next(iter(batches))
    said = expit(np.asarray(model.predict_on_batch(x), np.float64))
    for place, row in enumerate(found["per_class"]):
        assert row["count"] == int(y.numpy()[:, place].sum())
        assert row["predicted"] == int((said[:, place] >= row["threshold"]).sum())
    kept = predictions.read(home / out)
    np.testing.assert_array_equal(kept.labels, y)
    np.testing.assert_allclose(kept.probabilities, said, atol=1e-5)


def test_class_names_are_put_on_the_scale_of_labels():
    """As scikit-learn's regression of one number without a penalty."""
    rng = np.random.default_rng(0)
    labels = (rng.random((80, 5)) < 0.2).astype(int)
    logits = 25 + 2 * rng.normal(size=labels.shape) + labels
    factor, offset = several_labels.label_scale(logits, labels)
    wanted = LogisticRegression(C=np.inf).fit(logits.reshape(-1, 1), labels.ravel())
    assert factor == pytest.approx(wanted.coef_.item(), rel=0.01)
    assert expit(factor * logits + offset).mean() == pytest.approx(labels.mean(), rel=1e-3)
    factor, _ = several_labels.label_scale(-logits, labels)
    assert 0 < factor < 0.01  # worse than guessing is made guessing, not its opposite


def test_training_from_the_class_names_begins_where_they_answer_labels(home):
    """The logits of the class names alone are near 0 and up to 100, of all labels at once."""
    arguments = ["--epochs", "1", "--batch-size", "16", "--learning-rate", "1e-9"]
    assert finetune(home, "names", "--method", "zero-shot") == 0
    assert finetune(home, "paint", "--method", "paint", *arguments) == 0
    names, paint = (predictions.read(home / out).probabilities for out in ("names", "paint"))
    np.testing.assert_allclose(paint, names, atol=1e-3)


def test_the_way_back_of_a_run_that_went_on_begins_at_the_same_head(home):
    """That of class names on the scale of labels, which no checkpoint has as it was."""
    steps = ["--epochs", "1", "--batch-size", "16", "--learning-rate", "0.003"]
    given = ["--method", "zero-shot-head", "--wise-ft", "curve", *steps]
    assert finetune(home, "way", *given) == 0
    results = home / "way" / "results.json"
    whole = json.loads(results.read_text())["wise_ft"]
    results.unlink()
    assert finetune(home, "way", *given) == 0
    again = json.loads(results.read_text())["wise_ft"]
    assert [row["map"] for row in again] == pytest.approx([row["map"] for row in whole])


def test_options_of_steps_are_of_no_use_to_a_method_without_any(home, capsys):
    assert finetune(home, "steps", "--method", "auto", "--epochs", "3", "--flip") == 0
    said = capsys.readouterr().out
    assert "text-probe has no training steps, which --epochs, --flip would change." in said


def test_methods_of_one_class_name_those_of_several(home, capsys):
    assert finetune(home, "no", "--method", "gaussian") == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "gaussian takes one class per image" in error
    assert "Expected one of zero-shot, linear-probe, text-probe, full, " in error
