"""How sure a classifier may be: what is chosen on validation, and measured on test."""

import numpy as np
import pytest

from pipelines.metrics.calibration_conformal_rejection import certainty


def images(count, *, seed, times=1.0):
    """Logits of five classes whose softmax, but for the factor, is the truth, and labels."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(count, 5))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(5, p=row) for row in chances])
    return times * logits, labels


@pytest.fixture(scope="module")
def found():
    others = 0.6 * np.random.default_rng(5).normal(size=(400, 5)), np.full(400, 5)
    tested = map(np.concatenate, zip(images(2000, seed=2, times=3), others, strict=True))
    return certainty(images(1000, seed=1, times=3), tuple(tested), seen=range(5))


def test_the_temperature_takes_back_the_factor_and_the_error(found):
    assert found["temperature"] == pytest.approx(3, rel=0.1)
    assert found["ece_before"] > 0.1 and found["ece_after"] < 0.03


def test_sets_hold_the_true_class_as_often_as_was_asked(found):
    assert found["sets"]["coverage"] == pytest.approx(0.9, abs=0.03)
    assert 1 < found["sets"]["mean_size"] < 4 and 0 < found["sets"]["threshold"] < 1


def test_none_of_these_is_measured_with_images_of_other_classes(found):
    none = found["none_of_these"]
    assert none["kept"] == pytest.approx(0.95, abs=0.02)
    assert none["auroc"] > 0.9 and none["false_positive_rate"] < 0.5
    without = certainty(images(100, seed=1), images(100, seed=2), seen=range(5))["none_of_these"]
    assert without["auroc"] is None and without["threshold"] > 0


def test_of_all_classes_of_a_set_only_those_that_were_trained_on_count():
    logits, labels = images(100, seed=1)
    wide = np.insert(logits, 2, 99.0, axis=1), np.where(labels >= 2, labels + 1, labels)
    few = certainty((logits, labels), (logits, labels), seen=range(5))
    assert certainty((wide[0], labels), wide, seen=(0, 1, 3, 4, 5)) == few


def test_a_few_validation_images_give_sets_of_all_classes():
    sets = certainty(images(5, seed=1), images(100, seed=2), seen=range(5))["sets"]
    assert sets["threshold"] is None and sets["mean_size"] == 5 and sets["coverage"] == 1
