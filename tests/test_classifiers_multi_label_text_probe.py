"""The probe of several labels that starts at the class names."""

import numpy as np
import pytest
from scipy.special import expit

from classifiers import multi_label_text_probe


def scenes(n, *, seed):
    """Features in which each of 4 classes is a direction, what each of n images has, and a
    classifier that knows the directions roughly."""
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(9).normal(size=(8, 4)).astype(np.float32)
    labels = (rng.random((n, 4)) < 0.4).astype(np.int32)
    features = labels @ directions.T + rng.normal(size=(n, 8))
    prior = 0.5 * directions + 0.3, np.full(4, -2.0, np.float32)
    return features.astype(np.float32), labels, prior


def losses(found, features, labels):
    said = expit(np.asarray(features @ found[0] + found[1], np.float64))
    return -np.log(np.where(labels > 0, said, 1 - said))


def test_one_strength_is_the_lowest_objective():
    features, labels, prior = scenes(60, seed=0)
    held = scenes(400, seed=1)[:2]
    found = multi_label_text_probe.fit(
        features, labels, prior=prior, validation=held, strengths=[1]
    )
    assert found.strength == 1

    def objective(weights, bias):
        moved = (weights - prior[0]) * features.std()
        shift = bias - prior[1] + features.mean(axis=0) @ (weights - prior[0])
        pull = (moved**2).sum() + (shift**2).sum()
        return losses((weights, bias), features, labels).sum() + pull / 2

    best, rng = objective(found.weights, found.bias), np.random.default_rng(0)
    for _ in range(20):
        other = found.weights + 0.02 * rng.normal(size=found.weights.shape)
        assert objective(other, found.bias) > best
        assert objective(found.weights, found.bias + 0.02 * rng.normal(size=4)) > best


def test_the_names_are_left_only_where_validation_is_sure():
    features, labels, prior = scenes(200, seed=0)
    (few, wanted), many = (scenes(n, seed=1)[:2] for n in (2, 300))
    kept = multi_label_text_probe.fit(
        features[:5], labels[:5], prior=prior, validation=(few, wanted)
    )
    assert kept.strength == 0
    np.testing.assert_array_equal(kept.weights, prior[0])
    learnt = multi_label_text_probe.fit(features, labels, prior=prior, validation=many)
    assert learnt.strength > 0
    before, after = (losses(each, *many).mean() for each in (prior, (learnt.weights, learnt.bias)))
    assert after < before and learnt.losses[learnt.strength] == pytest.approx(after, rel=1e-4)


def test_a_class_that_no_image_has_stays_finite_and_other_labels_are_refused():
    features, labels, prior = scenes(100, seed=0)
    labels[:, 2] = 0
    held = scenes(100, seed=1)[:2]
    found = multi_label_text_probe.fit(features, labels, prior=prior, validation=held)
    assert np.isfinite(found.weights).all() and np.isfinite(found.bias).all()
    with pytest.raises(ValueError, match="expected 0 and 1, one for every class; got 2"):
        multi_label_text_probe.fit(features, 2 * labels, prior=prior, validation=held)
