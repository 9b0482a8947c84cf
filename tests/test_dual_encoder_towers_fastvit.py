"""FastViT, whose outputs are compared with timm's in test_dual_encoder_pretrained.py."""

import keras
import numpy as np
import pytest

from dual_encoder.towers.fastvit import FastViT

pytestmark = pytest.mark.usefixtures("all_eagerly")

SIZES = dict(depths=(1, 1), widths=(8, 32), mlp_ratio=2, squeezed=1)


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(256, size=(2, 32, 32, 3), dtype="uint8")


@pytest.fixture(scope="module")
def tower():
    made = FastViT(32, **SIZES)
    made.build()
    return made


def test_features_are_twice_as_wide_as_the_last_stage(tower, pixels):
    found = tower(pixels)
    assert found.shape == (2, tower.output_dim) == (2, 64)
    assert tower.compute_output_shape(pixels.shape) == (2, 64)
    assert np.abs(found[0] - found[1]).max() > 0


def test_images_of_another_size_are_refused(tower):
    with pytest.raises(ValueError, match=r"expected pixels \[b, 32, 32, 3\].*got \[2, 64, 64, 3\]"):
        tower(np.zeros((2, 64, 64, 3), "uint8"))


def test_sides_need_no_divisor(pixels):
    tower = FastViT(30, **SIZES)
    assert tower(pixels[:, :30, :30]).shape == (2, 64)


def test_every_weight_is_trained_and_matters(tower, pixels):
    import tensorflow as tf

    weights = tower.trainable_variables
    assert len(weights) == len(tower.variables)  # no moving statistics
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tower(pixels, training=True) ** 2)
    gradients = tape.gradient(loss, [weight.value for weight in weights])
    for weight, gradient in zip(weights, gradients, strict=True):
        assert np.abs(gradient).max() > 0, weight.path


def test_half_precision_stays_near(tower, pixels):
    half = FastViT(32, **SIZES, dtype="mixed_bfloat16")
    half.build()
    half.set_weights(tower.get_weights())
    found = np.array(half(pixels)).astype("float32")
    assert half(pixels).dtype == "bfloat16"
    np.testing.assert_allclose(found, np.array(tower(pixels)), atol=0.03 * np.abs(found).max())


def test_a_configuration_makes_the_same_tower(tower):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(tower))
    shapes = [tuple(weight.shape) for weight in again.weights]
    assert shapes == [tuple(weight.shape) for weight in tower.weights]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"widths": (8,)}, "widths: expected 2, one a stage; got 1"),
        ({"widths": (8, 40)}, "widths: expected multiples of 32; got 40"),
    ],
)
def test_sizes_that_do_not_fit(change, message):
    with pytest.raises(ValueError, match=message):
        FastViT(32, **SIZES | change)
