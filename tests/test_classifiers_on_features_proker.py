"""ProKeR against scikit-learn's kernel ridge regression."""

import numpy as np
import pytest
from feature_tasks import World
from sklearn.kernel_ridge import KernelRidge

from classifiers.on_features import proker

WORLD = World(classes=4)
TEST = WORLD.images(5, seed=7)[0][0]


@pytest.mark.parametrize("strength", [0.05, 1.0])
def test_what_is_added_is_kernel_ridge_regression_of_the_residual(strength):
    task = WORLD.task(shots=5, weights=np.linspace(0.5, 2, 20))
    found = proker.fit(task, beta=2.0, strength=strength)
    features = task.features.astype(float)
    kernel = np.exp(2.0 * (features @ features.T - 1))
    residual = np.eye(4)[task.labels] - features @ task.class_texts.T
    reference = KernelRidge(alpha=strength, kernel="precomputed")
    reference.fit(kernel, residual, sample_weight=task.weights)
    tested = np.exp(2.0 * (TEST @ features.T - 1))
    expected = task.zero_shot(TEST) + task.scale * strength * reference.predict(tested)
    np.testing.assert_allclose(found.logits(TEST), expected, atol=2e-3)


def test_a_vanishing_strength_is_zero_shot():
    task = WORLD.task()
    found = proker.fit(task, beta=2.0, strength=1e-7)
    np.testing.assert_allclose(found.logits(TEST), task.zero_shot(TEST), atol=1e-4)


def test_settings_are_those_published_for_so_many_shots_without_validation():
    for shots, wanted in ((1, (3.0, 0.05)), (6, (1.5, 0.05)), (30, (1.7, 0.1))):
        chosen = proker.fit(WORLD.task(shots=shots, held=0)).chosen
        assert (chosen["beta"], chosen["strength"]) == wanted


def test_validation_brings_the_logits_to_the_scale_of_probabilities():
    task = World(classes=4, noise=1.5).task(shots=8, held=50)
    found = proker.fit(task)
    assert found.text_scale == pytest.approx(task.scale / found.chosen["temperature"])
    from classifiers.temperature_scaling import temperature

    assert temperature(found.logits(task.validation[0]), task.validation[1]) == pytest.approx(
        1.0, rel=0.1
    )


def test_more_images_than_it_solves_for_are_drawn_by_the_seed(monkeypatch):
    monkeypatch.setattr(proker, "MOST_IMAGES", 12)
    task = WORLD.task(shots=6, held=0)
    first, again, other = (proker.fit(task, seed) for seed in (0, 0, 1))
    assert len(first.keys) == 12
    np.testing.assert_array_equal(first.keys, again.keys)
    assert not np.array_equal(first.keys, other.keys)
