"""Discriminant analysis beside the names: zero-shot at one end, scikit-learn's at the other."""

import numpy as np
import pytest
from feature_tasks import World, accuracy
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from classifiers.on_features import gaussian

WORLD = World(classes=4, width=8)


def test_weight_zero_is_zero_shot_at_the_calibrated_scale():
    task = WORLD.task()
    test = WORLD.images(5, seed=7)[0][0]
    found = gaussian.fit(task, alpha=0.0)
    expected = task.calibrated_scale() * test @ task.class_texts.T
    np.testing.assert_allclose(found.logits(test), expected, rtol=1e-5, atol=1e-5)
    assert found.trained == 0


def test_rows_are_scikit_learns_with_the_same_covariance_up_to_a_common_shift():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 200)
    centres = rng.normal(size=(3, 6))
    features = centres[labels] + rng.normal(size=(600, 6)) @ np.diag([1, 2, 0.5, 1, 1, 3])
    means, inverse = gaussian.gaussians(features, labels, classes=3)
    # What (M - 1) cov + trace(cov) 1 amounts to as scikit-learn shrinks: (1 - a) cov + a mean 1
    centred = features - means[labels]
    scatter = centred.T @ centred
    ridge = np.trace(scatter) / 599
    np.testing.assert_allclose(inverse, 6 * np.linalg.inv(scatter + ridge * np.eye(6)), rtol=1e-8)
    share = 6 / (599 + 6) * 600 / 600
    pooled = scatter / 600
    shrunk = (scatter + ridge * np.eye(6)) / (600 + 600 * 6 / 599)
    expected = (1 - 6 / 605) * pooled + 6 / 605 * np.trace(pooled) / 6 * np.eye(6)
    np.testing.assert_allclose(shrunk, expected, rtol=1e-8)
    reference = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=share, priors=np.ones(3) / 3)
    reference.fit(features, labels)
    rows = means @ inverse
    bias = -0.5 * (rows * means).sum(axis=1)
    ours = features @ rows.T + bias
    theirs = reference.decision_function(features)
    ratio = (605 / 599 * 600) / 6  # of the two scales of a precision
    np.testing.assert_allclose(
        ratio * (ours - ours[:, :1]), theirs - theirs[:, :1], rtol=2e-3, atol=2e-2
    )


def test_the_precision_is_symmetric_and_positive_and_nothing_is_known_of_one_image_per_class():
    centred = np.random.default_rng(0).normal(size=(5, 12))
    found = gaussian.precision(centred)
    np.testing.assert_allclose(found, found.T, atol=1e-9)
    assert np.linalg.eigvalsh(found).min() > 0
    assert not gaussian.precision(np.zeros((5, 12))).any()
    task = WORLD.task(shots=1)
    test = WORLD.images(5, seed=7)[0][0]
    zero_shot = task.zero_shot(test)
    np.testing.assert_array_equal(
        gaussian.fit(task).logits(test).argmax(axis=1), zero_shot.argmax(axis=1)
    )


@pytest.mark.parametrize("held", [0, 20])
def test_validation_or_folds_of_the_training_images_choose_the_weight(held):
    world = World(classes=4, width=8, off=3.0, noise=0.5)
    found = gaussian.fit(world.task(shots=8, held=held))
    test, labels = world.images(50, seed=7)
    assert found.alpha > gaussian.ALPHAS[0]
    assert found.chosen["tried"][found.alpha] < min(found.chosen["tried"].values()) + 0.01
    assert accuracy(found.logits(test[0]), labels) > 0.9


def test_a_new_name_is_a_gaussian_about_the_training_images_nearest_to_it():
    task = World(classes=20, width=8).task(shots=8, held=0)
    found = gaussian.fit(task, alpha=2.0)
    name = np.random.default_rng(4).normal(size=8)
    name /= np.linalg.norm(name)
    mean = task.features[np.argsort(-(task.features @ name))[:64]].mean(axis=0)
    test = WORLD.images(2, seed=7)[0][0]
    row = found.inverse @ mean
    expected = found.text_scale * test @ name + 2 * (test @ row - row @ mean / 2 - np.log(20))
    np.testing.assert_allclose(found.logits(test, name[None])[:, 20], expected, rtol=1e-3)
