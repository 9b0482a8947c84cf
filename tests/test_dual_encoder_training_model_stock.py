"""Model Stock: its two ends, the formula between them, and what it refuses."""

import numpy as np
import pytest

from dual_encoder.training.model_stock import model_stock, share

START = [np.zeros((2, 2), np.float32), np.ones(3, np.float32), np.array([7])]


def tuned(first, second, counter=9):
    return [np.array(first, np.float32), np.array(second, np.float32), np.array([counter])]


def test_models_that_agree_are_their_mean_and_orthogonal_ones_the_start():
    same = tuned([[1, 2], [3, 4]], [2, 2, 2])
    found = model_stock(START, [same, same])
    np.testing.assert_allclose(found[0], same[0], rtol=1e-6)
    np.testing.assert_allclose(found[1], same[1], rtol=1e-6)
    crossed = model_stock(
        START, [tuned([[1, 0], [0, 0]], [2, 1, 1]), tuned([[0, 1], [0, 0]], [1, 2, 1])]
    )
    np.testing.assert_array_equal(crossed[0], START[0])
    np.testing.assert_array_equal(crossed[1], START[1])
    assert crossed[0].dtype == np.float32


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_share_of_the_mean_is_the_formula(count):
    """Differences with a cosine of 1/2 between each pair: one part in common, one each own."""
    common = np.eye(6)[0]
    models = [common + np.eye(6)[1 + i] for i in range(count)]
    found = share(np.zeros(6), models)
    assert found == pytest.approx(count * 0.5 / ((count - 1) * 0.5 + 1))


def test_models_that_pull_apart_are_the_start_and_so_is_a_tensor_that_never_moved():
    assert share(np.zeros(2), [np.array([1.0, 0.2]), np.array([-1.0, 0.2])]) == 0
    assert share(np.ones(2), [np.ones(2), np.ones(2)]) == 0
    found = model_stock(START, [START, START])
    assert all(np.array_equal(a, b) for a, b in zip(found, START, strict=True))


def test_counters_stay_as_they_were():
    assert model_stock(START, [tuned([[1, 0], [0, 1]], [1, 1, 1])] * 2)[2].tolist() == [7]


def test_tensors_are_averaged_one_by_one():
    one, two = tuned([[1, 0], [0, 0]], [3, 1, 1]), tuned([[1, 0], [0, 0]], [1, 3, 1])
    found = model_stock(START, [one, two])
    np.testing.assert_allclose(found[0], [[1, 0], [0, 0]])  # agree
    np.testing.assert_allclose(found[1], [1, 1, 1])  # do not


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([START], "two or more models; got 1"),
        ([START, START[:2]], "expected 3 tensors of each model; number 1 has 2"),
        (
            [START, [START[0], np.ones(4), START[2]]],
            r"tensor 1 of shape \[3\]; number 1 has \[4\]",
        ),
    ],
)
def test_what_does_not_fit_is_refused(models, message):
    with pytest.raises(ValueError, match=message):
        model_stock(START, models)
