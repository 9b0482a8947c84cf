"""Temperature and the factor for new names, against what can be worked out by hand."""

import numpy as np
import pytest
from scipy.special import log_softmax
from traced_memory import traced_memory

from classifiers import temperature_scaling


def overconfident(n=4000, *, times=3.0, classes=5, seed=0):
    """Logits `times` as large as the ones that the labels were drawn by."""
    rng = np.random.default_rng(seed)
    true = rng.normal(size=(n, classes)) * 2
    shares = np.exp(log_softmax(true, axis=1))
    labels = (shares.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return times * true, labels


@pytest.mark.parametrize("times", [0.5, 3.0])
def test_the_temperature_undoes_a_wrong_scale(times):
    logits, labels = overconfident(times=times)
    found = temperature_scaling.temperature(logits, labels)
    assert found == pytest.approx(times, rel=0.06)
    around = [
        temperature_scaling.losses(logits / t, labels).mean()
        for t in (found / 1.02, found, found * 1.02)
    ]
    assert around[1] == min(around)


def test_it_leaves_the_predicted_class_and_raises_the_likelihood():
    logits, labels = overconfident(n=200)
    found = logits / temperature_scaling.temperature(logits, labels)
    np.testing.assert_array_equal(found.argmax(axis=1), logits.argmax(axis=1))
    assert (
        temperature_scaling.losses(found, labels).mean()
        < temperature_scaling.losses(logits, labels).mean()
    )


def test_weights_count_images_so_many_times():
    logits, labels = overconfident(n=60)
    weights = np.arange(60) % 3
    repeated = np.repeat(np.arange(60), weights)
    assert temperature_scaling.temperature(logits, labels, weights=weights) == pytest.approx(
        temperature_scaling.temperature(logits[repeated], labels[repeated]), rel=1e-4
    )


def test_a_prior_keeps_a_handful_of_right_images_from_asking_for_certainty():
    logits, labels = 2 * np.eye(4), np.arange(4)
    assert temperature_scaling.temperature(logits, labels) < 0.05
    assert 0.3 < temperature_scaling.temperature(logits, labels, spread=1.0) < 1
    many = np.tile(logits, (500, 1)), np.tile(labels, 500)
    assert temperature_scaling.temperature(*many, spread=1.0) < 0.3


def test_losses_are_the_cross_entropy_of_logits_of_any_size():
    logits = np.array([[1.0, 2.0, 3.0], [0.0, 5000.0, 0.0]])
    found = temperature_scaling.losses(logits, np.array([0, 0]))
    np.testing.assert_allclose(found, [-log_softmax(logits[0])[0], 5000.0])
    np.testing.assert_allclose(
        temperature_scaling.log_probabilities(logits), log_softmax(logits, axis=1), atol=1e-9
    )


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros((2, 3)), [0], r"got \[2, 3\] and \[1\]"),
        (np.zeros((0, 3)), [], "one or more images"),
        (np.zeros((2, 3)), [0, 3], "labels: expected 0 to 2; got 0 to 3"),
    ],
)
def test_what_does_not_fit_is_refused(logits, labels, message):
    with pytest.raises(ValueError, match=message):
        temperature_scaling.temperature(logits, np.array(labels, int))


def test_losses_of_many_classes_take_no_memory_of_all_of_them_again():
    rng = np.random.default_rng(0)
    labels, logits = rng.integers(1000, size=4000), rng.normal(size=(4000, 1000))
    with traced_memory() as peak:
        found = temperature_scaling.losses(logits, labels)
    assert peak() < 0.4 * logits.nbytes
    logs = temperature_scaling.log_probabilities(logits)
    assert found.tolist() == (-logs[np.arange(4000), labels]).tolist()
