"""Prediction sets: the rank by hand, and coverage within what chance allows."""

import numpy as np
import pytest
from scipy.stats import binom

from classifiers import prediction_sets


def drawn(n, *, classes=6, seed=0):
    """Probabilities, and labels drawn by others than they say: the model is wrong."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, classes))
    wrong = np.exp(3 * logits)
    true = np.exp(logits + 0.5 * rng.normal(size=logits.shape))
    true /= true.sum(axis=1, keepdims=True)
    labels = (true.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return wrong / wrong.sum(axis=1, keepdims=True), labels


def test_the_threshold_is_the_rank_of_the_formula():
    """Nine scores of 0.1 to 0.9: the ceil(10 * 0.8)-th smallest is 0.8."""
    right = 1 - np.arange(1, 10) / 10
    probabilities = np.stack([right, 1 - right], axis=1)
    found = prediction_sets.calibrate(probabilities, np.zeros(9, int), coverage=0.8)
    assert found.threshold == pytest.approx(0.8) and found.images == 9
    np.testing.assert_array_equal(
        found.of([[0.25, 0.75], [0.15, 0.85]]), [[True, True], [False, True]]
    )


@pytest.mark.parametrize("coverage", [0.8, 0.95])
def test_new_images_are_covered_as_often_as_asked(coverage):
    """Whatever the model: over many draws, within binomial bounds of what was asked for."""
    hits = 0
    for seed in range(400):
        probabilities, labels = drawn(60, seed=seed)
        sets = prediction_sets.calibrate(probabilities[:59], labels[:59], coverage=coverage)
        hits += sets.of(probabilities[59:])[0, labels[59]]
    low, high = binom.interval(0.999, 400, coverage)
    assert low <= hits <= min(high + 400 / 60, 400)  # at least coverage, at most 1/(n + 1) more


def test_too_few_images_for_the_coverage_hold_every_class():
    sets = prediction_sets.calibrate(np.full((5, 3), 1 / 3), np.zeros(5, int), coverage=0.9)
    assert sets.threshold == float("inf")
    assert sets.of(np.array([[1.0, 0.0, 0.0]])).all()


def test_figures_by_hand():
    sets = prediction_sets.PredictionSets(threshold=0.7, coverage=0.8, images=10)
    probabilities = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.25, 0.25]])
    found = prediction_sets.measure(sets, probabilities, np.array([0, 1, 1, 0]))
    assert found["coverage"] == 0.5
    assert found["mean_size"] == 1.0  # 2, 1, 1 and none
    assert found["empty"] == 0.25
    assert found["class_coverage_gap"] == pytest.approx(0.3)  # both classes 0.5


@pytest.mark.parametrize(
    ("probabilities", "labels", "coverage", "message"),
    [
        (np.full((2, 2), 0.5), [0, 1], 1.0, "coverage: expected a number between 0 and 1"),
        (np.full((2, 2), 0.5), [0], 0.9, r"got \[2, 2\] and \[1\]"),
        (np.full((2, 2), 0.5), [0, 2], 0.9, "labels: expected 0 to 1; got 0 to 2"),
    ],
)
def test_what_does_not_fit_is_refused(probabilities, labels, coverage, message):
    with pytest.raises(ValueError, match=message):
        prediction_sets.calibrate(probabilities, np.array(labels), coverage=coverage)
