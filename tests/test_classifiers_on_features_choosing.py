"""Choosing by validation: when it may leave the default, and folds in its place."""

import numpy as np
from feature_tasks import World

from classifiers.on_features.choosing import choose, folds, rose


def test_the_best_leaves_the_default_only_if_the_images_agree():
    default = np.array([1.0, 1.0, 1.0, 1.0])
    sure, lucky = default - 0.1, default - np.array([1.0, -0.4, 0.0, 0.0])
    assert choose({"default": default, "sure": sure}, "default") == "sure"
    assert lucky.mean() < default.mean()
    assert choose({"default": default, "lucky": lucky}, "default") == "default"
    assert choose({"a": default, "b": default}, "b") == "b"


def test_one_validation_image_changes_nothing():
    assert choose({1: np.array([2.0]), 2: np.array([0.0])}, 1) == 1


def test_a_search_ends_after_two_rises():
    assert rose([3.0, 1.0, 2.0, 2.5])
    assert not rose([3.0, 2.0, 2.5, 2.4]) and not rose([1.0, 2.0])


def test_folds_hold_every_image_back_once_and_keep_every_class():
    task = World(classes=3).task(shots=5, held=0, views=2)
    seen = []
    for rest, held, labels in folds(task):
        assert (rest.counts > 0).all() and rest.images + len(labels) == 15
        assert held.shape == (len(labels), 16)
        seen += [row.tobytes() for row in held]
    assert len(seen) == len(set(seen)) == 15
