"""The text probe and the Gaussians together."""

import numpy as np
import pytest
from feature_tasks import World, accuracy

from classifiers.on_features import gaussian, probe_gaussian_ensemble, text_initialized_probe
from classifiers.temperature_scaling import temperature

WORLD = World(classes=6, width=24)


@pytest.fixture(scope="module")
def task():
    return WORLD.task(shots=4, held=6)


def test_it_is_the_mean_of_both_at_their_temperatures(task):
    held, wanted = task.validation
    logits = []
    for method in (text_initialized_probe, gaussian):
        found = method.fit(task).known(held)
        logits.append(found / temperature(found, wanted, spread=1.0))
    mean = sum(logits) / 2
    expected = mean / temperature(mean, wanted, spread=1.0)
    np.testing.assert_allclose(
        probe_gaussian_ensemble.fit(task).known(held), expected, rtol=1e-3, atol=1e-3
    )


def test_new_names_have_the_mean_of_what_both_say(task):
    found, names = probe_gaussian_ensemble.fit(task), World(classes=3, width=24, seed=9).texts
    parts = (text_initialized_probe.fit(task), gaussian.fit(task))
    pairs = zip(found.shares, parts, strict=True)
    expected = sum(share * part.new(task.features, names) for share, part in pairs)
    np.testing.assert_allclose(found.new(task.features, names), expected, rtol=1e-5)


def test_it_is_about_as_good_as_the_better_one(task):
    test, labels = WORLD.images(60, seed=9)
    found, probe, other = (
        accuracy(method.fit(task).known(test[0]), labels)
        for method in (probe_gaussian_ensemble, text_initialized_probe, gaussian)
    )
    assert found > max(probe, other) - 0.01


def test_a_class_without_images_leaves_the_text_probe():
    task = WORLD.task(shots=2, held=2)
    rows = task.labels > 0
    bare = type(task)(task.features[rows], task.labels[rows], task.class_texts, task.scale)
    np.testing.assert_array_equal(
        probe_gaussian_ensemble.fit(bare).rows, text_initialized_probe.fit(bare).rows
    )
