"""Rotary positions: angles of places, and what they do to queries and keys."""

import numpy as np
import pytest

from dual_encoder.towers.rotary_positions import centered_angles, grid_angles, turned, waves

ROWS = np.random.default_rng(0).normal(size=(1, 5, 8)).astype("float32")


def test_angles_count_places_along_both_axes():
    angles = grid_angles(2, 8, reference=4, base=100.0)
    np.testing.assert_allclose(angles[1], [0, 0, 2, 0.2], rtol=1e-6)  # x is the second half
    np.testing.assert_allclose(angles[2], [2, 0.2, 0, 0], rtol=1e-6)
    swapped = grid_angles(2, 8, reference=4, base=100.0, order="xy", offset=1.0)
    np.testing.assert_allclose(swapped[1], [4, 0.4, 2, 0.2], rtol=1e-6)


def test_centres_of_patches_lie_in_a_square_around_zero():
    angles = centered_angles(2, 4)
    np.testing.assert_allclose(angles, np.pi * np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]]))


@pytest.mark.parametrize("layout", ["pairs", "halves"])
def test_scores_depend_on_the_distance_alone(layout):
    """Of the first head's first frequency: turning both by the same angle changes no product."""
    angles = np.array([[0.3, 0], [1.3, 0], [0.9, 0], [1.9, 0]], "float32")
    x = np.broadcast_to(ROWS[:, :1], (1, 4, 8))
    cosines, sines = waves(angles, prefix=0, layout=layout)
    found = np.array(turned(x, cosines, sines, heads=2, layout=layout))[0]
    assert found[0] @ found[1] == pytest.approx(found[2] @ found[3], rel=1e-5)
    assert found[0] @ found[1] != pytest.approx(found[0] @ found[2], rel=1e-3)


def test_tokens_without_a_place_stay_as_they_are():
    cosines, sines = waves(grid_angles(2, 4, reference=2), prefix=1, layout="pairs")
    found = np.array(turned(ROWS, cosines, sines, heads=2, layout="pairs"))
    np.testing.assert_array_equal(found[:, 0], ROWS[:, 0])
    np.testing.assert_allclose(found[:, 1], ROWS[:, 1], atol=1e-6)  # the place 0, 0
    assert np.abs(found[:, 2] - ROWS[:, 2]).max() > 0.1
