"""AdamW: what Keras' own makes of the same gradients."""

import keras
import numpy as np
import pytest

import classifiers
import dual_encoder

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(256, size=(4, 16, 16, 3), dtype="uint8")
OPTIONS = {
    "plain": {},
    "decayed and clipped": {"weight_decay": 0.1, "global_clipnorm": 0.5, "beta_2": 0.95},
    "amsgrad": {"amsgrad": True},
    "averaged": {"use_ema": True, "ema_momentum": 0.5},
}


def trained(kind, **options):
    """Weights after three steps of one model, and the state of the optimizer."""
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    layer = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(5), keras.layers.Dense(3)])
    layer.build((None, 16, 16, 3))
    optimizer = kind(0.01, **options)
    optimizer.build(layer.trainable_variables)

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(layer(x) ** 2)
        optimizer.apply(tape.gradient(loss, layer.trainable_variables))

    for _ in range(3):
        step(tf.constant(IMAGES, "float32") / 255)
    return layer.get_weights(), [np.array(variable) for variable in optimizer.variables]


@pytest.mark.parametrize("options", OPTIONS)
def test_weights_and_state_are_those_of_keras(options):
    found = trained(dual_encoder.AdamW, **OPTIONS[options])
    expected = trained(keras.optimizers.AdamW, **OPTIONS[options])
    for mine, theirs in zip(found, expected, strict=True):
        for one, other in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6, rtol=1e-4)


def test_a_step_is_one_operation_for_each_weight_and_the_name_means_it():
    import tensorflow as tf

    model = classifiers.build("convnet-tiny", classes=3, weights=None, image_size=16)
    model.compile("adamw")
    optimizer, weights = model.optimizer, model.trainable_variables
    assert type(optimizer) is dual_encoder.AdamW
    optimizer.build(weights)
    step = tf.function(lambda: optimizer.apply([tf.ones(weight.shape) for weight in weights]))
    kinds = [op.type for op in step.get_concrete_function().graph.get_operations()]
    assert kinds.count("ResourceApplyAdam") == len(weights) > 3


def needs(op) -> set:
    """Every operation that has to come before this one."""
    found, left = set(), [op]
    while left:
        each = left.pop()
        for before in (*(tensor.op for tensor in each.inputs), *each.control_inputs):
            if before not in found:
                found.add(before)
                left.append(before)
    return found


def step_of_a_deep_tower(optimizer) -> list:
    """The operations of a training step of eight blocks, which `in_turn` compiles."""
    import tensorflow as tf

    tower = dual_encoder.VisionTransformer(16, 8, width=8, depth=8, heads=2, pooling="average")
    tower.build()
    optimizer.build(tower.trainable_variables)

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tower(x, training=True) ** 2)
        optimizer.apply(tape.gradient(loss, tower.trainable_variables))

    return step.get_concrete_function(tf.constant(IMAGES)).graph.get_operations()


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: dual_encoder.AdamW(0.1, weight_decay=0.1), "ResourceApplyAdam"),
        (lambda: classifiers.ScaledAdamW(0.1, weight_decay=0.1), "ResourceApplyAdam"),
        (lambda: classifiers.ScaledSGD(0.1, weight_decay=0.1), "AssignSubVariableOp"),
    ],
)
def test_a_weight_decays_and_is_updated_once_its_own_gradient_is_there(make, kind):
    operations = step_of_a_deep_tower(make())
    calls = {op for op in operations if op.type == "PartitionedCall"}
    waits = [len(calls & needs(op)) for op in operations if op.type == kind]
    decays = [len(calls & needs(op)) for op in operations if op.type == "AssignSubVariableOp"]
    assert len(calls) == 16  # forwards and backwards of each block
    assert min(decays) == 9  # nothing decays before the last block has its gradient
    assert set(waits) == {*range(9, 17)}  # and the others follow, block by block
