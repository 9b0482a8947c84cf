"""The threshold for "none of these", against scikit-learn's curve."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from classifiers import none_of_these

RNG = np.random.default_rng(0)
KNOWN, OTHER = RNG.normal(1.5, 1, 200).round(1), RNG.normal(0, 1, 300).round(1)  # with ties


def test_it_keeps_as_many_as_asked_and_says_what_else_passes():
    found = none_of_these.threshold(KNOWN, OTHER, kept=0.95)
    assert found.kept >= 0.95 > (found.threshold < KNOWN).mean()
    assert found.false_positive_rate == (found.threshold <= OTHER).mean()


def test_the_area_under_the_curve_is_scikit_learns():
    labels = np.repeat([1, 0], [200, 300])
    expected = roc_auc_score(labels, np.concatenate([KNOWN, OTHER]))
    assert none_of_these.threshold(KNOWN, OTHER).auroc == pytest.approx(expected)


def test_by_hand():
    found = none_of_these.threshold(np.array([1.0, 2, 3, 4]), np.array([0.0, 2.5]), kept=0.75)
    assert (found.threshold, found.kept) == (2.0, 0.75)
    assert found.auroc == 6 / 8
    assert found.false_positive_rate == 0.5
    assert none_of_these.threshold(np.array([1.0, 2]), np.array([0.0]), kept=1).threshold == 1


@pytest.mark.parametrize(
    ("known", "other", "kept", "message"),
    [
        ([1.0], [0.0], 0.0, "kept: expected a number above 0, up to 1; got 0"),
        ([], [0.0], 0.9, r"known: expected scores \[n\] of images; got \[0\]"),
        ([1.0], [[0.0]], 0.9, r"other: expected scores \[n\] of images; got \[1, 1\]"),
    ],
)
def test_what_does_not_fit_is_refused(known, other, kept, message):
    with pytest.raises(ValueError, match=message):
        none_of_these.threshold(np.array(known), np.array(other), kept=kept)
