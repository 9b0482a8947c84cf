"""Projection heads against the same sums in plain NumPy."""

import math

import numpy as np
import pytest

from dual_encoder import ProjectionHead


def head(**options):
    layer = ProjectionHead(4, **options)
    layer.build((None, 6))
    rng = np.random.default_rng(0)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))
    return layer


@pytest.fixture
def features():
    return np.random.default_rng(1).normal(size=(3, 6)).astype("float32")


def test_depth_0_is_one_matrix(features):
    layer = head()
    assert [weight.path.split("/")[-1] for weight in layer.weights] == ["kernel"]
    np.testing.assert_allclose(
        layer(features), features @ np.array(layer.projection.kernel), rtol=1e-5, atol=1e-5
    )


def test_depth_1_is_the_study_s_head(features):
    layer = head(depth=1, dropout=0.1)
    kernel, bias, hidden_kernel, hidden_bias, gamma, beta = map(np.array, layer.weights)
    x = features @ kernel + bias
    gelu = x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2
    x = x + gelu @ hidden_kernel + hidden_bias
    centred = x - x.mean(-1, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * gamma + beta
    np.testing.assert_allclose(layer(features), expected, rtol=1e-4, atol=1e-4)


def test_size_of_the_study_s_head():
    layer = ProjectionHead(256, depth=1, dropout=0.1)
    layer.build((None, 2048))
    assert layer.count_params() == (2048 * 256 + 256) + (256 * 256 + 256) + 2 * 256
    assert layer.compute_output_shape((7, 2048)) == (7, 256)


def test_dropout_is_for_training_alone(features):
    layer = head(depth=1, dropout=0.5)
    np.testing.assert_array_equal(layer(features), layer(features, training=False))
    assert np.abs(np.array(layer(features, training=True)) - np.array(layer(features))).max() > 0.1


def test_configuration_round_trip():
    config = head(depth=2, dropout=0.1).get_config()
    again = ProjectionHead.from_config(config)
    assert (again.units, again.depth, again.dropout_rate) == (4, 2, 0.1)
