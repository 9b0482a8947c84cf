"""How sure a model may be, as predictions use it."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import softmax

from pipelines.metrics.calibration_conformal_rejection import certainty
from pipelines.prediction import answers
from pipelines.prediction.stored_calibration import Sure, sure_of

LOGITS = np.array([[4.0, 0.0, 0.0], [1.0, 0.9, 0.0], [0.1, 0.0, 0.0]])
PETS = SimpleNamespace(class_names=("cat", "dog", "owl"), multi_label=False)


def test_probabilities_are_those_of_the_logits_over_the_temperature():
    found = Sure(2.0, 0.5, 0.3).probabilities(softmax(LOGITS, axis=1))
    np.testing.assert_allclose(found, softmax(LOGITS / 2, axis=1), atol=1e-7)


def test_it_is_read_from_what_a_run_measured():
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    logits = 2 * np.eye(3)[labels] + rng.normal(size=(300, 3))
    document = {"certainty": certainty((logits, labels), (logits, labels), seen=range(3))}
    found = sure_of(json.loads(json.dumps(document)))
    chances = found.probabilities(softmax(logits, axis=1))
    assert (chances.max(axis=1) >= found.least).mean() == pytest.approx(0.95, abs=0.01)
    held = chances[np.arange(300), labels] >= found.in_set
    assert held.mean() == pytest.approx(0.9, abs=0.01)
    assert sure_of(None) is None and sure_of({"metrics": {}}) is None
    with pytest.raises(ValueError, match="certainty"):
        sure_of({"certainty": {"temperature": 0}})


def test_an_answer_has_candidates_and_no_label_below_the_threshold(tmp_path):
    sure = Sure(1.0, 0.4, 0.3)
    found = [
        answers.answer(f"{i}.png", row, PETS, threshold=sure.least, in_set=sure.in_set)
        for i, row in enumerate(sure.probabilities(softmax(LOGITS, axis=1)))
    ]
    assert [each.label for each in found] == ["cat", "cat", ""]
    assert [each.candidates for each in found] == [("cat",), ("cat", "dog"), ("cat", "dog", "owl")]
    kept = [answers.from_json(answers.to_json(each, multi_label=False)) for each in found]
    assert kept == found
    lines = answers.table(found, tmp_path / "a.csv", top_k=1, multi_label=False).decode()
    assert lines.splitlines()[0] == "file,label,class_1,probability_1,candidates"
    assert lines.splitlines()[2].endswith(",cat;dog")
