"""Rows of unit length, and the gradient through them."""

import numpy as np

from duet import unit_rows


def test_rows_are_divided_by_their_lengths_and_rows_of_zeros_stay():
    found = unit_rows.unit(np.array([[[3.0, 4.0]], [[0.0, 0.0]]]))
    np.testing.assert_allclose(found, [[[0.6, 0.8]], [[0.0, 0.0]]])


def test_the_gradient_is_that_of_small_steps():
    rng = np.random.default_rng(0)
    rows, to = rng.normal(size=(3, 5)), rng.normal(size=(3, 5))
    step = 1e-6 * np.eye(15).reshape(15, 3, 5)
    costs = [[(to * unit_rows.unit(rows + sign * e)).sum() for e in step] for sign in (1, -1)]
    found = unit_rows.gradient(to, unit_rows.unit(rows), unit_rows.lengths(rows))
    np.testing.assert_allclose(found.ravel(), np.subtract(*costs) / 2e-6, atol=1e-8)
