"""The linear probe: what scikit-learn finds, on features of any scale."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from classifiers import probe


def clouds(n, *, classes=3, seed=0, scale=1.0, shift=0.0):
    """Points of classes whose centres are a deviation apart."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = np.random.default_rng(9).normal(size=(classes, 8))
    return scale * (centres[labels] + rng.normal(size=(n, 8))) + shift, labels


@pytest.mark.parametrize("classes", [2, 3])
def test_one_strength_is_scikit_learns_logistic_regression(classes):
    features, labels = clouds(60, classes=classes)
    found = probe.fit(features, labels, strengths=[0.5])
    scaled = (features - features.mean(axis=0)) / features.std()
    expected = LogisticRegression(C=0.5, max_iter=1000).fit(scaled, labels)
    logits = found.logits(features.astype(np.float32))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(
        powers / powers.sum(axis=1, keepdims=True), expected.predict_proba(scaled), atol=1e-3
    )


def test_the_scale_of_features_does_not_matter():
    features, labels = clouds(60)
    large, _ = clouds(60, scale=1000.0, shift=50.0)
    logits = probe.fit(features, labels, strengths=[1.0]).logits(features)
    np.testing.assert_allclose(
        probe.fit(large, labels, strengths=[1.0]).logits(large), logits, atol=2e-3
    )


def test_the_strength_is_the_best_on_validation():
    features, labels = clouds(24)
    held_back = clouds(300, seed=1)
    found = probe.fit(features, labels, validation=held_back)
    tried, losses = list(found.accuracies), list(found.losses.values())
    assert tried == list(probe.SWEPT[: len(tried)]) and 3 < len(tried) < len(probe.SWEPT)
    assert losses[-3] < losses[-2] < losses[-1]  # what would be tried next is worse still
    best = min(found.losses.values())
    assert found.losses[found.strength] == best < max(found.losses.values())
    logits = found.logits(held_back[0])
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    right = (powers / powers.sum(axis=1, keepdims=True))[np.arange(300), held_back[1]]
    assert -np.log(right).mean() == pytest.approx(best, rel=1e-3)
    accuracy = (logits.argmax(axis=1) == held_back[1]).mean()
    assert accuracy == pytest.approx(found.accuracies[found.strength], abs=0.01)


def test_with_class_weights_it_does_not_matter_how_often_a_class_is_there():
    """A class three times as often: the same logits, at the same penalty for each image."""
    features, labels = clouds(60)
    often = np.concatenate([np.arange(60), *[np.flatnonzero(labels == 1)] * 2])
    found = probe.fit(features, labels, strengths=[0.5], class_weight=1)
    more = probe.fit(
        features[often], labels[often], strengths=[0.5 * 60 / len(often)], class_weight=1
    )
    np.testing.assert_allclose(more.logits(features), found.logits(features), atol=2e-3)
    plain = probe.fit(features[often], labels[often], strengths=[0.5 * 60 / len(often)])
    assert np.abs(plain.logits(features) - found.logits(features)).max() > 0.1


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (np.zeros((3, 2)), [0, 0, 2], "got none of label 1"),
        (np.zeros((3, 2)), [0, 0, 0], "two or more classes; got one class"),
        (np.zeros((3, 2)), [0, 1], r"expected features \[n, d\] and labels \[n\]"),
        (np.zeros((2, 2)), [0, 1], "expected one where there is no validation; got 9"),
        (np.zeros((0, 2)), [], r"of one or more images; got \[0, 2\] and \[0\]"),
    ],
)
def test_what_cannot_be_fitted(features, labels, message):
    with pytest.raises(ValueError, match=message):
        probe.fit(features, np.array(labels))


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (np.zeros((2, 2)), [0, 2], "validation labels: expected 0 to 1, .* got 0 to 2"),
        (np.zeros((2, 3)), [0, 1], r"validation: expected features \[m, 2\] .* got \[2, 3\]"),
        (np.zeros((0, 2)), [], "validation: expected features"),
    ],
)
def test_validation_that_does_not_fit(features, labels, message):
    with pytest.raises(ValueError, match=message):
        probe.fit(np.eye(2), np.arange(2), validation=(features, np.array(labels)))


def test_an_image_of_twice_the_weight_is_there_twice():
    features, labels = clouds(12)
    weights = np.where(np.arange(len(labels)) % 3 == 0, 2.0, 1.0)
    twice = np.repeat(np.arange(len(labels)), weights.astype(int))
    strength = len(twice) / len(labels)  # the penalty beside a mean of 1, not a sum
    found = probe.fit(features, labels, strengths=[1.0], weights=weights / weights.mean())
    expected = probe.fit(features[twice], labels[twice], strengths=[1 / strength])
    np.testing.assert_allclose(found.logits(features), expected.logits(features), atol=1e-2)
