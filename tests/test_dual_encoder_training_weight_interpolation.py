"""Interpolation between two sets of weights."""

import keras
import numpy as np
import pytest
import tiny_models

from dual_encoder.training import weight_interpolation


def model(units=2, seed=0):
    keras.utils.set_random_seed(seed)
    layers = [
        keras.layers.Input((3,)),
        keras.layers.Dense(units, name="first"),
        keras.layers.BatchNormalization(name="norm"),
        keras.layers.Dropout(0.5),
    ]
    return keras.Sequential(layers, name="net")


def test_the_ends_are_bit_equal_and_the_middle_is_the_mean():
    net = model()
    start = weight_interpolation.weights(model(seed=1))
    end = [value + np.float32(1 / 3) for value in start]
    seen = {}
    for alpha in weight_interpolation.along(net, start, end, alphas=(0, 0.5, 1)):
        seen[alpha] = weight_interpolation.weights(net)
    for i, (first, last) in enumerate(zip(start, end, strict=True)):
        np.testing.assert_array_equal(seen[0][i], first)
        np.testing.assert_array_equal(seen[1][i], last)
        np.testing.assert_allclose(seen[0.5][i], (first + last) / 2, atol=1e-7)
    assert len(start) == 6  # kernel, bias, and the four of the norm; no seed of dropout


def test_weights_of_another_model():
    net = model()
    start, other = weight_interpolation.weights(net), weight_interpolation.weights(model(units=4))
    before = weight_interpolation.weights(net)
    with pytest.raises(ValueError, match=r"kernel: expected shape \[3, 2\]; got \[3, 4\]"):
        weight_interpolation.interpolate(net, start, other, alpha=0.5)
    with pytest.raises(ValueError, match="expected 6 of this model; got 1"):
        weight_interpolation.interpolate(net, start, start[:1], alpha=0.5)
    for value, kept in zip(weight_interpolation.weights(net), before, strict=True):
        np.testing.assert_array_equal(value, kept)


@pytest.mark.parametrize("alpha", [float("nan"), "0.5", None])
def test_a_share_that_is_no_number_is_refused(alpha):
    net = model()
    start = weight_interpolation.weights(net)
    with pytest.raises(ValueError, match="alpha: expected a number; got"):
        weight_interpolation.interpolate(net, start, start, alpha=alpha)


def test_a_model_of_towers_has_weights_before_it_was_called():
    assert weight_interpolation.weights(tiny_models.vit())
