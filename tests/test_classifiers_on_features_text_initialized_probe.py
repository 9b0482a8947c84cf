"""The probe from the class names: its two limits, its optimum, and what it promises at one shot."""

import numpy as np
import pytest
from feature_tasks import World, accuracy

from classifiers.on_features import Task, text_initialized_probe, zero_shot_and_plain_probe

WORLD = World(classes=5)


def test_an_infinite_pull_is_zero_shot_at_the_calibrated_scale():
    task = WORLD.task()
    fitted = text_initialized_probe.fit(task, precision=np.inf)
    test = WORLD.images(3, seed=7)[0][0]
    expected = task.calibrated_scale() * test @ task.class_texts.T
    np.testing.assert_allclose(fitted.logits(test), expected, rtol=1e-5, atol=1e-5)
    strong = text_initialized_probe.fit(task, precision=1e9)
    np.testing.assert_allclose(strong.logits(test), expected, atol=1e-4)


def test_rows_are_where_the_gradient_is_zero():
    task = WORLD.task(shots=6, held=0, weights=np.linspace(0.5, 1.5, 30))
    fitted = text_initialized_probe.fit(task, precision=0.3)
    logits = fitted.logits(task.features).astype(float)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    wrong = (shares - np.eye(5)[task.labels]) * task.weights[:, None]
    moved = fitted.rows - fitted.text_scale * task.class_texts
    np.testing.assert_allclose(-wrong.T @ task.features / 0.3, moved, atol=0.02)
    assert np.abs(moved).max() > 0.5


def test_without_validation_names_that_say_more_are_trusted_more():
    """CLAP's rule: the pull is twice the mean zero-shot probability of the right class."""
    pulls = []
    for off in (0.3, 2.0):
        task = World(classes=5, off=off).task(held=0)
        logits = task.zero_shot(task.features) * (task.calibrated_scale() / task.scale)
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        right = shares[np.arange(task.images), task.labels].mean()
        pulls.append(text_initialized_probe.fit(task).chosen["precision"])
        assert pulls[-1] == pytest.approx(2 * right, rel=1e-3)
    assert pulls[0] > 1.5 * pulls[1]


@pytest.mark.parametrize("held", [0, 1])
@pytest.mark.parametrize(("off", "more"), [(0.5, 0.3), (1.5, -0.02), (4.0, -0.17)])
def test_at_one_shot_it_is_never_under_the_names_and_mostly_over_the_plain_probe(off, more, held):
    """Mean of draws. Names say much, something, next to nothing: there it trusts them too much."""
    world = World(classes=12, width=32, off=off, noise=1.5)
    test, labels = world.images(40, seed=77)
    found = []
    for seed in range(5):
        task = world.task(shots=1, held=held, seed=seed)
        fits = (
            text_initialized_probe.fit(task),
            zero_shot_and_plain_probe.zero_shot(task),
            zero_shot_and_plain_probe.linear_probe(task),
        )
        found.append([accuracy(fit.logits(test[0]), labels) for fit in fits])
    ours, names, probe = np.mean(found, axis=0)
    assert ours >= names - 0.01 and ours >= probe + more


def test_many_validation_images_choose_the_pull():
    world = World(classes=5, off=4.0, noise=0.5)  # names say little here
    task = world.task(shots=16, held=100)
    fitted = text_initialized_probe.fit(task)
    default = text_initialized_probe.fit(world.task(shots=16, held=0)).chosen["precision"]
    assert fitted.chosen["precision"] < default
    tried = fitted.chosen["tried"]
    assert tried[fitted.chosen["precision"]] == min(tried.values())


def test_classes_weigh_alike_with_weights_whatever_their_sizes():
    """Duplicating a class's images and halving their weight changes nothing."""
    task = WORLD.task(shots=3, held=0)
    twice = np.flatnonzero(task.labels == 2)
    rows = np.concatenate([np.arange(task.images), twice])
    weights = np.where(task.labels[rows] == 2, 0.5, 1.0)
    doubled = Task(
        task.features[rows], task.labels[rows], task.class_texts, task.scale, weights=weights
    )
    test = WORLD.images(3, seed=7)[0][0]
    np.testing.assert_allclose(
        text_initialized_probe.fit(doubled).logits(test),
        text_initialized_probe.fit(task).logits(test),
        atol=0.02,
    )
