"""Duet's own towers against the same sums in plain NumPy."""

import math

import keras
import numpy as np
import pytest

from dual_encoder import TextTransformer, VisionTransformer
from dual_encoder.towers.transformer import (
    TransformerBlock,
    attention,
    attention_of_few,
    quick_gelu,
)

END = 2


def randomised(layer, *, seed=0):
    """Every weight off its usual start, so that no bias or scale can be forgotten."""
    rng = np.random.default_rng(seed)
    layer.build(None)
    for weight in layer.weights:
        weight.assign(rng.normal(0, 0.5, weight.shape) + (weight.name == "gamma"))
    return layer


def text_tower(**options):
    sizes = {"width": 8, "depth": 2, "heads": 2} | options
    return randomised(TextTransformer(20, 10, end_id=END, **sizes))


def norm(x, layer):
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return scaled * np.array(layer.gamma) + np.array(layer.beta)


def dense(x, layer):
    return x @ np.array(layer.kernel) + (0 if layer.bias is None else np.array(layer.bias))


def gelu(x):
    return x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def expected_block(block, tokens):
    """One image's tokens [n, d], head by head."""
    query, key, value = np.split(dense(norm(tokens, block.norm_1), block.query_key_value), 3, -1)
    size = tokens.shape[1] // block.heads
    mixed = []
    for head in range(block.heads):
        part = slice(head * size, (head + 1) * size)
        weights = softmax(query[:, part] @ key[:, part].T / math.sqrt(size))
        mixed.append(weights @ value[:, part])
    x = tokens + dense(np.concatenate(mixed, -1), block.attention_output)
    return x + dense(gelu(dense(norm(x, block.norm_2), block.mlp_hidden)), block.mlp_output)


def test_block_is_what_the_paper_says():
    block = randomised(TransformerBlock(6, 2, 10))
    tokens = np.random.default_rng(1).normal(size=(2, 5, 6)).astype("float32")
    expected = [expected_block(block, row) for row in tokens]
    np.testing.assert_allclose(block(tokens), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("asking", [1, 3])
def test_a_few_that_ask_need_no_keys_and_values_of_all_tokens(asking):
    rng = np.random.default_rng(0)
    query, x, kernel, shift = (
        rng.normal(size=size).astype("float32")
        for size in ((2, asking, 6), (2, 5, 6), (6, 12), (12,))
    )
    bias = np.where(rng.random((2, 1, asking, 5)) < 0.3, -1e9, 0.0).astype("float32")
    key, value = np.split(x @ kernel + shift, 2, axis=-1)
    for given in (None, bias):
        found = attention_of_few(query, x, (kernel, shift), heads=2, bias=given)
        expected = attention(query, key, value, heads=2, bias=given)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm_first", [True, False])
def test_wanted_tokens_of_a_block_are_those_it_makes_among_all(norm_first):
    block = randomised(TransformerBlock(6, 2, 10, norm_first=norm_first))
    tokens = np.random.default_rng(1).normal(size=(2, 5, 6)).astype("float32")
    found = block(tokens, wanted=tokens[:, 1:3])
    np.testing.assert_allclose(found, block(tokens)[:, 1:3], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fraction", [[1], None, 0, "1", 1.2])
def test_the_fraction_of_a_crop_is_a_number(fraction):
    with pytest.raises(ValueError, match=r"crop_fraction: .* above 0, at most 1; got"):
        VisionTransformer(16, 8, width=8, depth=1, heads=2, crop_fraction=fraction)


def test_heads_have_to_divide_the_width():
    with pytest.raises(ValueError, match="heads: expected a divisor of the width 6; got 4"):
        TransformerBlock(6, 4, 10)


def test_quick_gelu():
    np.testing.assert_allclose(quick_gelu(np.array([-1.0, 0.0, 2.0], "float32")),
        [-1 / (1 + math.exp(1.702)), 0, 2 / (1 + math.exp(-3.404))], rtol=1e-6)  # fmt: skip


@pytest.mark.parametrize("pooling", ["token", "average"])
def test_vision_transformer_is_what_the_paper_says(pooling):
    tower = VisionTransformer(
        4, 2, width=6, depth=2, heads=2, pooling=pooling, pre_norm=True,
        mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4),
    )  # fmt: skip
    randomised(tower)
    image = np.random.default_rng(1).integers(256, size=(4, 4, 3), dtype=np.uint8)
    pixels = (image / 255 - (0.5, 0.4, 0.3)) / (0.2, 0.3, 0.4)
    patches = [pixels[y : y + 2, x : x + 2].reshape(-1) for y in (0, 2) for x in (0, 2)]
    tokens = dense(np.array(patches), tower.patch_embedding)
    if pooling == "token":
        tokens = np.concatenate([np.array(tower.class_token)[None], tokens])
    tokens = norm(tokens + np.array(tower.positions), tower.norm_pre)
    for block in tower.blocks:
        tokens = expected_block(block, tokens)
    pooled = tokens[0] if pooling == "token" else tokens.mean(0)
    expected = norm(pooled, tower.norm_post)
    np.testing.assert_allclose(tower(image[None])[0], expected, rtol=1e-3, atol=1e-4)


def test_pixels_may_be_integers_or_floats_and_any_number_of_images():
    tower = randomised(VisionTransformer(8, 4, width=8, depth=1, heads=2, stem="convolutions"))
    images = np.random.default_rng(0).integers(256, size=(3, 8, 8, 3), dtype=np.uint8)
    together = np.array(tower(images))
    assert together.shape == (3, 8)
    np.testing.assert_array_equal(tower(images.astype("float32")), together)
    np.testing.assert_allclose(tower(images[1:2]), together[1:2], rtol=1e-4, atol=1e-5)


def test_convolutions_end_on_the_grid_of_the_patches():
    tower = VisionTransformer(32, 8, width=48, depth=0, heads=2, stem="convolutions")
    tower.build()
    assert tower.convolutions.widths == (16, 24, 48)
    assert tower.positions.shape == (1 + 4 * 4, 48)
    assert tower(np.zeros((1, 32, 32, 3), "uint8")).shape == (1, 48)


def test_pixels_that_fill_no_patch_may_be_left_out():
    options = {"width": 8, "depth": 1, "heads": 2, "patch_bias": True}
    tower = randomised(VisionTransformer(22, 7, crop_to_patches=True, **options))
    smaller = VisionTransformer(21, 7, **options)
    smaller.build()
    for ours, theirs in zip(smaller.weights, tower.weights, strict=True):
        ours.assign(theirs)
    images = np.random.default_rng(0).integers(256, size=(2, 22, 22, 3), dtype=np.uint8)
    np.testing.assert_array_equal(tower(images), smaller(images[:, :21, :21]))
    again = VisionTransformer.from_config(tower.get_config())
    assert again.crop_to_patches and again.grid == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 30}, "image_size: expected a multiple of the patch size 8; got 30"),
        ({"stem": "conv"}, "stem: expected one of patch, convolutions, nested; got 'conv'"),
        (
            {"pooling": "max"},
            "pooling: expected one of token, average, attention, query; got 'max'",
        ),
        (
            {"image_size": 36, "patch_size": 12, "stem": "convolutions"},
            'patch_size: stem="convolutions" expects a power of two; got 12',
        ),
        (
            {"image_size": 36, "patch_size": 6, "stem": "nested"},
            'patch_size: stem="nested" expects a multiple of 4; got 6',
        ),
    ],
)
def test_impossible_vision_transformers(options, message):
    with pytest.raises(ValueError) as caught:
        VisionTransformer(
            **{"image_size": 32, "patch_size": 8, "width": 8, "depth": 1, "heads": 2} | options
        )
    assert str(caught.value) == message


def test_text_is_read_at_its_first_end():
    tower = text_tower(depth=0)
    ids = np.array([[1, 5, 6, END, END, 0]])
    before_norm = np.array(tower.token_embedding)[END] + np.array(tower.positions)[3]
    expected = norm(before_norm, tower.norm_post)
    np.testing.assert_allclose(tower(ids)[0], expected, rtol=1e-4, atol=1e-6)


def test_what_follows_the_end_changes_nothing():
    tower = text_tower()
    ids = np.array([[1, 5, 6, END, 0, 0, 0, 0], [1, 7, END, 0, 0, 0, 0, 0]])
    expected = np.array(tower(ids))
    other = ids.copy()
    other[:, 4:] = [[9, END, 3, 1], [4, 4, 4, 4]]
    np.testing.assert_array_equal(tower(other), expected)
    assert tower.trims_exactly
    np.testing.assert_allclose(tower(ids[:, :4]), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(tower(ids[1:, :3]), expected[1:], rtol=1e-5, atol=1e-6)


def test_what_comes_before_the_end_matters():
    tower = text_tower()
    ids = np.array([[1, 5, 6, END]])
    for place in range(3):
        other = ids.copy()
        other[0, place] = 11
        assert np.abs(np.array(tower(other)) - np.array(tower(ids))).max() > 0.01


def test_text_of_unknown_length_in_a_graph():
    import tensorflow as tf

    tower = text_tower()
    ids = np.array([[1, 5, 6, END]], "int32")
    traced = tf.function(tower, input_signature=[tf.TensorSpec((None, None), tf.int32)])
    np.testing.assert_allclose(traced(ids), tower(ids), rtol=1e-5, atol=1e-6)


def test_more_tokens_than_positions_are_refused():
    with pytest.raises(ValueError, match="expected at most 10 tokens per text; got 11"):
        text_tower()(np.zeros((1, 11), "int32"))


def test_dropout_is_for_training_alone():
    tower = text_tower(dropout=0.5)
    ids = np.array([[1, 5, 6, END]])
    np.testing.assert_array_equal(tower(ids), tower(ids, training=False))
    assert np.abs(np.array(tower(ids, training=True)) - np.array(tower(ids))).max() > 0.01


def test_half_precision_computes_in_half_and_keeps_weights_in_full():
    policy = keras.DTypePolicy("mixed_bfloat16")
    sizes = {"width": 8, "depth": 1, "heads": 2}
    image = VisionTransformer(8, 4, **sizes, dtype=policy)
    text = TextTransformer(20, 10, end_id=END, **sizes, dtype=policy)
    for tower, batch in ((image, np.zeros((1, 8, 8, 3), "uint8")), (text, np.array([[1, END]]))):
        tower.build()
        assert keras.backend.standardize_dtype(tower(batch).dtype) == "bfloat16"
        assert {weight.dtype for weight in tower.weights} == {"float32"}
