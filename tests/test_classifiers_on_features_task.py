"""What methods on cached features are given, and what is refused before any work."""

from dataclasses import replace

import numpy as np
import pytest
from feature_tasks import World

from classifiers.on_features import BeforeProjection, Task

WORLD = World()


def test_features_and_texts_come_out_at_unit_length():
    task = Task(3 * np.ones((2, 4)), [0, 1], 7 * np.eye(2, 4), 10)
    np.testing.assert_allclose(task.features, 0.5)
    np.testing.assert_allclose(task.class_texts, np.eye(2, 4))
    np.testing.assert_allclose(task.zero_shot(task.features), 5.0)


def test_views_are_stacked_one_after_another_and_an_image_keeps_its_weight():
    task = WORLD.task(shots=2, views=3, weights=np.arange(1, 11, dtype=float))
    features, labels, weights = task.stacked()
    np.testing.assert_array_equal(features, task.features.reshape(30, 16))
    np.testing.assert_array_equal(labels, np.tile(task.labels, 3))
    np.testing.assert_allclose(weights.reshape(3, 10).sum(axis=0), task.weights)
    np.testing.assert_array_equal(task.first_view, features[:10])


def test_the_calibrated_scale_is_the_one_the_labels_ask_for():
    """Of two classes at cosines 1 and 0, right 3 times in 4: the likeliest scale is ln 3."""
    features = np.tile(np.eye(2), (400, 1))
    labels = np.tile([0, 1, 0, 1, 0, 1, 1, 0], 100)
    task = Task(features, labels, np.eye(2), 50.0)
    assert task.calibrated_scale() == pytest.approx(np.log(3), rel=0.03)
    few = Task(features[:8], labels[:8], np.eye(2), 50.0)
    assert few.calibrated_scale() > 1.2 * np.log(3)  # the prior is at 50


def test_some_classes_alone_are_a_task_of_their_own():
    task = WORLD.before(WORLD.task(shots=2, held=3))
    part = task.only(np.array([3, 1]))
    assert part.classes == 2 and part.counts.tolist() == [2, 2]
    np.testing.assert_array_equal(part.class_texts, task.class_texts[[3, 1]])
    rows = np.isin(task.labels, [1, 3])
    np.testing.assert_allclose(part.features, task.features[rows], atol=1e-6)
    np.testing.assert_array_equal(part.labels, np.where(task.labels[rows] == 3, 0, 1))
    assert len(part.validation[1]) == len(part.before.validation) == 6
    assert part.before.features.shape == (4, 24)


def test_classes_without_validation_images_have_no_validation():
    task = WORLD.before(WORLD.task(shots=2, held=3))
    rows = task.validation[1] == 0
    task = replace(
        task,
        validation=(task.validation[0][rows], task.validation[1][rows].astype(np.float32)),
        before=replace(task.before, validation=task.before.validation[rows]),
    )
    assert task.validation[1].dtype == np.int64
    part = task.only(np.array([1, 2]))
    assert part.validation is None and part.before.validation is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": [0, 1]}, r"expected features \[n, d\] .* got \[3, 4\], \[2\] and \[2, 4\]"),
        ({"features": np.ones((3, 5))}, r"got \[3, 5\], \[3\] and \[2, 4\]"),
        ({"labels": [0, 1, 2]}, "labels: expected 0 to 1, the rows of class_texts; got 0 to 2"),
        ({"labels": [0, -1, 1]}, "labels: expected 0 to 1"),
        ({"labels": [0, 1.5, 1]}, "labels: expected whole numbers, the rows of .*; got 1.5"),
        ({"validation": (np.ones((2, 4)), [0, 0.5])}, "validation labels: expected whole numbers"),
        ({"class_texts": np.ones((1, 4)), "labels": [0, 0, 0]}, "two or more classes; got 1"),
        ({"weights": [1, 2]}, "weights: expected 3 positive numbers"),
        ({"weights": [1, 0, 1]}, "weights: expected 3 positive numbers"),
        ({"validation": (np.ones((2, 4)), [0, 5])}, "validation labels: expected 0 to 1"),
        ({"validation": (np.ones((2, 3)), [0, 1])}, r"validation: expected features \[m, 4\]"),
        ({"validation": (np.ones((0, 4)), [])}, r"validation: expected features \[m, 4\]"),
        ({"features": np.full((3, 4), np.nan)}, "features: expected finite numbers"),
        (
            {"before": BeforeProjection(np.ones((2, 6)), np.ones((6, 4)))},
            r"before: expected features \[3, 6\]",
        ),
        (
            {"before": BeforeProjection(np.ones((3, 6)), np.ones((6, 4)), None, np.ones((2, 6)))},
            "before.validation: expected None rows, as in validation; got 2",
        ),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    given = {"features": np.ones((3, 4)), "labels": [0, 1, 1], "class_texts": np.eye(2, 4)}
    with pytest.raises(ValueError, match=message):
        Task(**{**given, "scale": 10.0, **changes})
