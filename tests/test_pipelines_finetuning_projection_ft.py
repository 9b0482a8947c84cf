"""`finetune --method projection-ft`: a tower that begins at the row `projection`, and its names."""

from types import SimpleNamespace

import numpy as np
import pytest
from colours import RATE, finetune
from saved_runs import valid_results

import dual_encoder
import tfrecords
from duet import unit_rows
from pipelines.finetuning import wise_ft
from pipelines.runs import image_features, models, predictions

pytestmark = pytest.mark.usefixtures("all_eagerly")


@pytest.fixture(scope="module")
def tuned(home):
    arguments = ("--method", "projection-ft", "--held-out", "2", *RATE, "--wise-ft", "choose")
    status, _, error = finetune(home, "tower", *arguments)
    assert status == 0, error
    return valid_results(home / "tower")


def test_it_begins_at_what_the_row_answers(home, tuned):
    status, _, error = finetune(home, "row", "--method", "projection", "--held-out", "2")
    assert status == 0, error
    (row,) = valid_results(home / "row")["history"]
    figures = [name for name in row if name.startswith("val_")]
    assert {"val_seen_top1", "val_unseen_among_all"} <= {*figures}
    assert [tuned["history"][0][name] for name in figures] == [row[name] for name in figures]
    assert not list((home / "tower" / "set-aside").glob("features*"))  # the run's cache does


def test_its_dual_encoder_reads_the_seen_names_as_its_classifier_does(home, tuned):
    model = models.load(str(home / "tower"))
    dual = dual_encoder.load(home / "tower" / "dual_encoder.keras")
    named = dual_encoder.ZeroShotClassifier.from_names(dual, model.class_names, tuned["templates"])
    x = np.random.default_rng(0).integers(256, size=(4, *[model.image_size] * 2, 3))
    np.testing.assert_allclose(model(x), named(x), rtol=1e-3, atol=1e-3)


def test_held_out_names_are_raised_alike_and_that_is_what_is_measured(home, tuned):
    """With the offset of the results the saved names give every answer among all classes."""
    dual = dual_encoder.load(home / "tower" / "dual_encoder.keras")
    names = tfrecords.Manifest.read(home / "records").spoken_names
    model = models.load(str(home / "tower"))
    batches = tfrecords.load(home / "records", "test", batch_size=64, **model.preprocessing)
    said = predictions.read(home / "tower")
    values = image_features.compute(model.encode_image, batches, count=len(said.labels)).values
    logits = (
        np.asarray(unit_rows.unit(values[: len(said.labels)]))
        @ np.asarray(dual_encoder.class_texts(dual, names, tuned["templates"])).T
    )
    gap = logits[:, 2:].max(axis=1) - logits[:, :2].max(axis=1)  # the first two are held out
    is_new = np.isin(said.among_all, (0, 1))
    assert is_new.any() and not is_new.all()
    offset = tuned["new_names_offset"]
    assert (gap[is_new] < offset + 1e-3).all() and (gap[~is_new] > offset - 1e-3).all()


def test_what_training_takes_from_new_names_is_given_back_in_the_middle():
    """Training lifts both seen classes by 4; two names not trained on need as much."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 100)
    before = rng.normal(size=(400, 4)) + 3 * np.eye(4)[labels]
    after = before + [4, 4, 0, 0]
    parts = SimpleNamespace(seen=(0, 1), held_out=(2, 3))
    adapted = SimpleNamespace(data=SimpleNamespace(parts=parts))
    points = [(0.0, labels, before), (1.0, labels, after)]
    found = wise_ft._offsets(adapted, points)
    assert found[0.0] == 0 and found[1.0] == pytest.approx(4, rel=0.15)
    swapped = [(alpha, labels, logits[:, ::-1]) for alpha, labels, logits in points]
    parts.seen, parts.held_out = (2, 3), (0, 1)
    swapped = [(alpha, 3 - labels, logits) for alpha, _, logits in swapped]
    assert wise_ft._offsets(adapted, swapped) == pytest.approx(found)
