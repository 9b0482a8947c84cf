"""Layers alike in a training step: compiled once, and a gradient that keeps little."""

import keras
import numpy as np
import pytest

from dual_encoder import Bert, TextTransformer, VisionTransformer
from dual_encoder.towers import layer_stack

pytestmark = pytest.mark.usefixtures("as_for_users")  # what is kept is theirs to decide
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(256, size=(4, 16, 16, 3), dtype="uint8")
TEXTS = np.array([[1, 5, 6, 9, 0], [1, 7, 9, 0, 0], [1, 2, 3, 4, 9]], "int32")  # 9 ends, 0 pads
TEXT = {"width": 8, "depth": 4, "heads": 2}
TOWERS = {
    "images": lambda: VisionTransformer(16, 8, pooling="average", **TEXT),
    "causal": lambda: TextTransformer(10, 5, end_id=9, **TEXT),
    "bert": lambda: Bert(10, 5, pad_id=0, **TEXT),
}


def tower(kind="images"):
    made = TOWERS[kind]()
    made.build()
    for weight in made.weights:
        weight.assign(RNG.normal(0, 0.5, weight.shape) + (weight.name == "gamma"))
    return made


def step_of(layer, batch):
    """A training step of fixed shape, traced: gradients of one loss."""
    import tensorflow as tf

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            features = layer(x, training=True)
            loss = tf.reduce_sum(features * tf.range(1.0, features.shape[-1] + 1))
        return tape.gradient(loss, layer.trainable_variables)

    return step.get_concrete_function(tf.constant(batch))


def gradients(layer):
    import tensorflow as tf

    batch = IMAGES if isinstance(layer, VisionTransformer) else TEXTS
    return [
        np.array(tf.convert_to_tensor(each)) for each in step_of(layer, batch)(tf.constant(batch))
    ]


def check_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert np.abs(other).max() > 0
        np.testing.assert_allclose(one, other, atol=1e-4 * np.abs(other).max())


@pytest.mark.parametrize("kind", TOWERS)
def test_blocks_of_a_deep_tower_are_traced_once_with_the_same_gradients(
    monkeypatch, block_calls, kind
):
    layer = tower(kind)
    expected = gradients(layer)
    assert set(block_calls) == {f"block_{i}" for i in range(4)}
    block_calls.clear()
    monkeypatch.setattr(layer_stack, "DEEP", 3)
    found = gradients(layer)
    last = {"block_3"} if kind == "causal" else set()  # which makes the wanted tokens alone
    assert set(block_calls) == {"block_0"} | last
    check_same(found, expected)


def test_frozen_weights_have_no_gradient_and_the_others_the_same(monkeypatch, block_calls):
    layer = tower()
    for block in layer.blocks:
        block.mlp_hidden.trainable = False
        block.norm_1.trainable = False
    expected = gradients(layer)
    block_calls.clear()
    monkeypatch.setattr(layer_stack, "DEEP", 4)
    found = gradients(layer)
    assert set(block_calls) == {"block_0"}
    check_same(found, expected)


def test_of_a_block_is_kept_what_it_says_and_no_more(monkeypatch):
    monkeypatch.setattr(layer_stack, "DEEP", 4)
    graph = step_of(tower(), IMAGES).graph
    calls = [op for op in graph.get_operations() if op.type.endswith("PartitionedCall")]
    given = [sorted(output.shape[-1] for output in op.outputs) for op in calls[:4]]
    # The next block's tokens; queries, keys and values; their mix; the sum; the hidden layer.
    assert given == [[8, 8, 8, 24, 32]] * 4


def test_blocks_of_different_kinds_and_with_dropout_are_trained_as_they_are(
    monkeypatch, block_calls
):
    monkeypatch.setattr(layer_stack, "DEEP", 4)
    frozen = tower()
    frozen.blocks[0].trainable = False
    dropping = VisionTransformer(16, 8, pooling="average", dropout=0.1, **TEXT)
    dropping.build()
    for layer in (frozen, dropping):
        block_calls.clear()
        gradients(layer)
        assert set(block_calls) == {f"block_{i}" for i in range(4)}


def test_the_gradient_is_the_same_a_few_rows_at_a_time(monkeypatch):
    import classifiers

    monkeypatch.setattr(layer_stack, "DEEP", 4)
    model = classifiers.from_model(tower(), classes=3)
    found = []
    labels = np.array([0, 1, 2, 1])
    before = model.get_weights()
    for micro_batch in (None, 2):
        model.set_weights(before)
        model.compile(keras.optimizers.SGD(0.1), micro_batch=micro_batch)
        model.train_on_batch(IMAGES, labels)
        found.append(model.get_weights())
    for whole, parts in zip(*found, strict=True):
        np.testing.assert_allclose(parts, whole, atol=1e-5)
    assert any(
        np.abs(one - other).max() > 1e-3 for one, other in zip(before, found[0], strict=True)
    )
