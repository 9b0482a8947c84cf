"""Cross-modal probe and TaskRes: zero-shot before the first step, less loss afterwards."""

import numpy as np
import pytest
from feature_tasks import World, unit

from classifiers.on_features import cross_modal_and_taskres
from classifiers.temperature_scaling import losses

WORLD = World(classes=4)
TEST = WORLD.images(5, seed=7)[0][0]
METHODS = [cross_modal_and_taskres.cross_modal, cross_modal_and_taskres.task_residual]


@pytest.mark.parametrize("method", METHODS)
def test_no_step_is_zero_shot(method):
    task = WORLD.task()
    expected = task.zero_shot(TEST) * (task.calibrated_scale() / task.scale)
    np.testing.assert_allclose(method(task, steps=0).logits(TEST), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_the_loss_on_the_images_falls(method):
    task = World(classes=4, off=3.0).task(held=0)

    def loss(logits):
        right = logits[np.arange(task.images), task.labels]
        return (np.log(np.exp(logits.astype(float)).sum(axis=1)) - right).mean()

    assert loss(method(task).logits(task.features)) < 0.7 * loss(task.zero_shot(task.features))


def test_a_cross_modal_row_is_half_its_name():
    task = WORLD.task(held=0)
    scale = task.calibrated_scale()
    rows = cross_modal_and_taskres.cross_modal(task, steps=20).rows / scale
    trained = 2 * rows - task.class_texts
    assert np.abs(trained - task.class_texts).max() > 0.005
    # without images of their own the texts alone are fitted: all have the same pull
    texts_loss = np.log(np.exp(scale * task.class_texts @ trained.T).sum(axis=1))
    before = np.log(np.exp(scale * task.class_texts @ task.class_texts.T).sum(axis=1))
    right = scale * (task.class_texts * trained).sum(axis=1)
    assert (texts_loss - right).mean() < (before - scale).mean() + 0.5


def test_a_residual_row_has_the_length_of_its_name():
    task = WORLD.task(held=0)
    rows = cross_modal_and_taskres.task_residual(task).rows
    scale = task.calibrated_scale()
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), scale, rtol=1e-4)
    assert np.abs(rows - scale * unit(task.class_texts)).max() > 0.1


@pytest.mark.parametrize("method", METHODS)
def test_validation_chooses_where_to_stop(method):
    task = WORLD.task(shots=1, held=40, scale=40.0)
    stopped = method(task)
    to_the_end = method(WORLD.task(shots=1, held=0, scale=40.0))

    def loss(found):
        logits = found.logits(task.validation[0]).astype(float)
        right = logits[np.arange(len(logits)), task.validation[1]]
        return (np.log(np.exp(logits).sum(axis=1)) - right).mean()

    assert loss(stopped) <= loss(to_the_end)


@pytest.mark.parametrize("method", METHODS)
def test_names_that_say_little_do_not_outvote_the_images(method):
    world = World(classes=6, off=4.0)
    task = world.task(shots=16, held=4, scale=100.0)
    features, labels = world.images(50, seed=9)
    found = method(task).logits(features[0])
    assert (found.argmax(axis=1) == labels).mean() > 0.82  # of zero-shot 0.68
    assert losses(found, labels).mean() < 0.5
