"""Class weights: by hand, and as scikit-learn has them."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

import classifiers

LABELS = np.array([0] * 8 + [1] * 2 + [2] * 2)


def test_power_0_is_no_weight_and_power_1_is_scikit_learns_balanced():
    assert classifiers.class_weights(LABELS, power=0).tolist() == [1, 1, 1]
    balanced = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    np.testing.assert_allclose(classifiers.class_weights(LABELS, power=1), balanced)


def test_between_them_weights_follow_the_power():
    found = classifiers.class_weights(LABELS, power=0.5)
    assert found[1] / found[0] == pytest.approx(2)  # the root of 8 / 2
    assert found[LABELS].mean() == pytest.approx(1)


def test_a_class_without_an_image_has_no_weight():
    assert classifiers.class_weights(np.array([0, 2]), power=1).tolist() == [1, 0, 1]


@pytest.mark.parametrize("labels", [[0.0, 1.0], np.eye(2, dtype=int), [0, -1], ["cat", "dog"]])
def test_labels_are_whole_numbers(labels):
    with pytest.raises(ValueError, match=r"labels: expected whole numbers \[n\] of 0 or more; got"):
        classifiers.class_weights(labels, power=1)


@pytest.mark.parametrize(("labels", "power"), [([0, 1], 1.5), ([0, 1], -1), ([], 1)])
def test_wrong_input(labels, power):
    with pytest.raises(ValueError, match="expected"):
        classifiers.class_weights(np.array(labels, int), power=power)
