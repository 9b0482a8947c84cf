"""Functions compiled for calls from plain Python, and layers alike that they compile once."""

import keras
import numpy as np
import pytest

from dual_encoder import VisionTransformer
from dual_encoder.towers import compiled_functions as module
from dual_encoder.towers.transformer import TransformerBlock

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(256, size=(4, 16, 16, 3), dtype="uint8")


def tower(**options):
    made = VisionTransformer(16, 8, width=8, depth=4, heads=2, **options)
    made.build()
    for weight in made.weights:
        weight.assign(RNG.normal(0, 0.5, weight.shape) + (weight.name == "gamma"))
    return made


def encoder(layer):
    return module.compiled(lambda x: layer(x, training=False), layer)


def test_blocks_that_are_alike_are_traced_once_and_give_the_same(block_calls):
    layer = tower(pooling="average")
    expected = np.array(layer(IMAGES))
    block_calls.clear()
    encode = encoder(layer)
    for batch in (4, 1):  # with XLA and without
        found = encode(keras.ops.convert_to_tensor(IMAGES[:batch]))
        np.testing.assert_allclose(found, expected[:batch], atol=1e-5)
        assert block_calls == ["block_0"]
        block_calls.clear()
    layer.blocks[2].mlp_hidden.kernel.assign(layer.blocks[2].mlp_hidden.kernel * 2)
    changed = np.array(encode(keras.ops.convert_to_tensor(IMAGES)))
    assert block_calls == []
    np.testing.assert_allclose(changed, layer(IMAGES), atol=1e-5)
    assert np.abs(changed - expected).max() > 1e-2


def test_a_block_that_differs_keeps_its_ways(block_calls):
    layer = tower(pooling="average")
    layer.blocks[2].activation = keras.activations.relu
    expected = layer(IMAGES)
    block_calls.clear()
    found = encoder(layer)(keras.ops.convert_to_tensor(IMAGES))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert block_calls == [f"block_{i}" for i in range(4)]


def test_shapes_beyond_the_most_do_without_xla(monkeypatch, block_calls):
    monkeypatch.setattr(module, "MOST_SHAPES", 1)
    layer = tower()
    encode, expected = encoder(layer), np.array(layer(IMAGES))
    block_calls.clear()
    for batch in (4, 3, 2, 4):
        found = encode(keras.ops.convert_to_tensor(IMAGES[:batch]))
        np.testing.assert_allclose(found, expected[:batch], atol=1e-5)
    assert block_calls == ["block_0", "block_3"] * 3  # with XLA; without for 3 images, then for any


@pytest.mark.parametrize("norm_first", [True, False])
def test_wanted_tokens_are_those_of_all(norm_first):
    block = TransformerBlock(8, 2, 16, norm_first=norm_first)
    x = RNG.normal(size=(3, 5, 8)).astype("float32")
    mask = np.where(np.arange(5) > np.arange(5)[:, None], -1e9, 0.0).astype("float32")
    every = np.array(block(x, attention_bias=mask))
    found = block(x, attention_bias=mask[[1, 3]], wanted=x[:, [1, 3]])
    np.testing.assert_allclose(found, every[:, [1, 3]], atol=1e-5)
    assert np.abs(every[:, 1] - every[:, 3]).max() > 1e-2
