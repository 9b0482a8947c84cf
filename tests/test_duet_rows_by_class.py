"""The rows of each class, without comparing all labels with each class."""

import numpy as np

from duet import rows_by_class


def test_the_rows_are_those_of_a_comparison_with_each_class():
    labels = np.random.default_rng(0).choice([-1, 0, 3, 7], size=200)
    for value, own in zip([-1, 0, 3, 7], rows_by_class.of(labels), strict=True):
        assert own.tolist() == np.flatnonzero(labels == value).tolist()
    assert rows_by_class.of([5, 5])[0].tolist() == [0, 1]


def test_there_may_be_no_rows():
    assert rows_by_class.of(np.empty(0, np.int64)) == []
