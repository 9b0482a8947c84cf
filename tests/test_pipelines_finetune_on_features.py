"""`finetune` by every method on cached features: the results and the classifier are one thing."""

import numpy as np
import pytest
from saved_runs import valid_results

import tfrecords
from pipelines.__main__ import main
from pipelines.methods.registry import METHODS, taken_by
from pipelines.runs import models, predictions

pytestmark = pytest.mark.usefixtures("all_eagerly")

ROWS = [name for name in taken_by("finetune") if METHODS[name].fit is not None]


@pytest.mark.parametrize("method", ROWS)
def test_the_classifier_answers_as_the_results_say(home, method):
    where = ["--data", str(home / "records"), "--model", str(home / "clip.keras")]
    more = ["--held-out", "1", "--bootstrap", "0", "--features", str(home / "features-of-rows")]
    assert main(["finetune", *where, "--method", method, "--out", str(home / method), *more]) == 0
    found, said = valid_results(home / method), predictions.read(home / method)
    seen = found["parts"]["seen"]
    assert found["method"] == method and found["templates"]
    assert found["metrics"]["top1"] == said.right[np.isin(said.labels, seen)].mean()
    model = models.load(str(home / method))
    batches = tfrecords.load(home / "records", "test", batch_size=64, **model.preprocessing)
    logits = np.concatenate([model.predict_on_batch(x) for x, _, _ in batches])[: len(said.labels)]
    rows = np.isin(said.labels, seen)
    np.testing.assert_array_equal(np.array(seen)[logits.argmax(axis=1)][rows], said.own[rows])
