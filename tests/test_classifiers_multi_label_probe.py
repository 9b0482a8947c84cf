"""The linear probe of several labels: scikit-learn's regression of each class against the rest."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from classifiers import multi_label_probe, probe


def scenes(n, *, classes=4, seed=0):
    """Features in which each class is a direction, and what each of n images has."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, classes)) < 0.4).astype(np.int32)
    directions = np.random.default_rng(9).normal(size=(classes, 8))
    return 3 + labels @ directions + rng.normal(size=(n, 8)), labels


def test_one_strength_is_scikit_learns_logistic_regression_of_each_class():
    features, labels = scenes(80)
    found = multi_label_probe.fit(features, labels, strengths=[0.5])
    scaled = (features - features.mean(axis=0)) / features.std()
    for label, logits in enumerate(found.logits(features.astype(np.float32)).T):
        model = LogisticRegression(C=0.5, max_iter=1000).fit(scaled, labels[:, label])
        np.testing.assert_allclose(expit(logits), model.predict_proba(scaled)[:, 1], atol=1e-3)


def test_the_strength_is_the_best_on_validation():
    (features, labels), held_back = scenes(40), scenes(300, seed=1)
    found = multi_label_probe.fit(features, labels, validation=held_back)
    losses = list(found.losses.values())
    assert list(found.losses) == list(probe.SWEPT[: len(losses)]) and len(losses) > 3
    assert found.losses[found.strength] == min(losses) < max(losses)
    said = expit(found.logits(held_back[0]))
    right = np.where(held_back[1] > 0, said, 1 - said)
    assert -np.log(right).mean() == pytest.approx(min(losses), rel=1e-3)


def test_a_class_that_none_or_all_have_keeps_its_share():
    features, labels = scenes(50)
    labels[:, 1], labels[:, 3] = 0, 1
    logits = multi_label_probe.fit(features, labels, strengths=[1.0]).logits(features)
    np.testing.assert_allclose(expit(logits[:, [1, 3]]), [[0.5 / 51, 50.5 / 51]] * 50, rtol=1e-5)
    assert np.ptp(logits[:, 0]) > 1


@pytest.mark.parametrize(
    ("labels", "strengths", "message"),
    [
        (np.zeros(9), [1.0], r"labels \[n, c\]; got \[9, 8\] and \[9\]"),
        (np.zeros((8, 2)), [1.0], r"got \[9, 8\] and \[8, 2\]"),
        (np.full((9, 2), 0.5), [1.0], "expected 0 and 1, one for every class; got 0.5"),
        (np.zeros((9, 2)), [1.0, 2.0], "expected one where there is no validation; got 2"),
    ],
)
def test_wrong_input(labels, strengths, message):
    with pytest.raises(ValueError, match=message):
        multi_label_probe.fit(np.zeros((9, 8)), labels, strengths=strengths)
