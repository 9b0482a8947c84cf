"""Runs of several seeds averaged by Model Stock, in place of a training."""

import json
import shutil

import numpy as np
import pytest
from colours import RATE, finetune
from saved_runs import valid_results

import dual_encoder
from dual_encoder.training import weight_interpolation
from pipelines.runs import models

pytestmark = pytest.mark.usefixtures("all_eagerly")
SPLIT = ("--split-seed", "0", "--held-out", "2", "--epochs", "1")


@pytest.fixture(scope="module")
def runs(home):
    """A run of paint, and another seed that ended a little elsewhere; and a run by itself."""
    first, second = home / "stock/paint/seed-1", home / "stock/paint/seed-2"
    status, _, error = finetune(
        home, "stock/paint/seed-1", "--method", "paint", "--seed", "1", *RATE, *SPLIT
    )
    assert status == 0, error
    shutil.copytree(first, second)
    shutil.copytree(first, home / "stock/alone/seed-1")
    model = models.load(str(second / "model.keras"))
    rng = np.random.default_rng(0)
    for weight in model.image_tower.trainable_variables:
        weight.assign_add(1e-3 * rng.normal(size=weight.shape))
    model.save(second / "model.keras")
    document = json.loads((second / "results.json").read_text())
    document["config"]["seed"] = 2
    (second / "results.json").write_text(json.dumps(document))
    return home / "stock"


@pytest.fixture(scope="module")
def averaged(home, runs):
    folders = [str(runs / name) for name in ("alone", "paint")]
    status, _, error = finetune(home, "averaged", "--stock", *folders, *SPLIT)
    assert status == 0, error
    return home / "averaged"


def test_the_model_that_is_saved_is_the_average_and_answers(averaged, runs, home):
    document = valid_results(averaged)
    assert document["method"] == "model-stock"
    assert document["stock"] == {"method": "paint", "seeds": [1, 2]}
    cost = [valid_results(runs / "paint" / f"seed-{i}")["cost"]["seconds"] for i in (1, 2)]
    assert document["cost"]["seconds"] == pytest.approx(sum(cost))
    tuned = [models.load(str(runs / "paint" / f"seed-{i}/model.keras")) for i in (1, 2)]
    first, second = (weight_interpolation.weights(each) for each in tuned)
    found = weight_interpolation.weights(models.load(str(averaged / "model.keras")))
    start = [*weight_interpolation.weights(dual_encoder.load(str(home / "clip.keras")).image_tower)]
    expected = dual_encoder.model_stock(start, [first[: len(start)], second[: len(start)]])
    for one, other in zip(found, expected, strict=False):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert any((one != other).any() for one, other in zip(found, first, strict=True))
    assert (averaged / "dual_encoder.keras").is_file()
    assert document["metrics"]["unseen_among_all"] is not None


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--stock", "alone"), "two or more finished runs, seed-1, seed-2 and so on; got"),
        (("--stock", "paint", "--split-seed", "1"), "seed-1 divides the images otherwise"),
        (("--stock", "paint", "--templates", "{}"), "seed-1 has templates None, not ['{}']"),
        (("--stock", "paint", "--method", "flyp"), "leave out --method and --wise-ft"),
    ],
)
def test_what_cannot_be_averaged_is_refused(home, runs, more, message):
    given = [str(runs / word) if word in ("alone", "paint") else word for word in more]
    status, _, error = finetune(home, "refused", *SPLIT, *given)
    assert status == 2 and message in error and error.count("\n") == 1
    assert not (home / "refused").exists()
