"""Two ways to a minimum, and the cross-entropy that they share."""

import keras
import numpy as np
import pytest
from traced_memory import traced_memory

from classifiers.on_features import solvers

TARGET = np.array([[1.0, -2.0], [0.5, 3.0]])


def bowl(values):
    return float(((values - TARGET) ** 2).sum()), 2 * (values - TARGET)


def test_lbfgs_finds_the_minimum():
    np.testing.assert_allclose(solvers.minimise(bowl, np.zeros((2, 2))), TARGET, atol=1e-4)


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_adam_takes_keras_steps(decay):
    steps = 12
    schedule = keras.optimizers.schedules.CosineDecay(0.1, steps)
    reference = keras.optimizers.AdamW(schedule, weight_decay=decay, epsilon=1e-8)
    variable = keras.Variable(np.ones((2, 2)), dtype="float32")
    for _ in range(steps):
        gradient = 2 * (keras.ops.convert_to_numpy(variable) - TARGET)
        reference.apply([keras.ops.convert_to_tensor(gradient.astype("float32"))], [variable])
    ours = solvers.adam(bowl, np.ones((2, 2)), steps=steps, rate=0.1, decay=decay)
    np.testing.assert_allclose(ours, keras.ops.convert_to_numpy(variable), atol=1e-4)


def test_watching_sees_every_step_and_the_end():
    seen = []
    solvers.adam(bowl, np.zeros((2, 2)), steps=3, rate=0.1, watch=lambda n, x: seen.append(n))
    assert seen == [0, 1, 2, 3]


def test_cross_entropy_and_its_gradient():
    logits = np.array([[1.0, 2.0, 0.5], [0.0, -1.0, 300.0]])
    labels, weights = np.array([1, 2]), np.array([2.0, 0.5])
    shares = np.exp(logits[0]) / np.exp(logits[0]).sum()
    cost, slope = solvers.cross_entropy(logits, labels, weights)
    assert cost == pytest.approx(-2 * np.log(shares[1]))
    np.testing.assert_allclose(slope[0], 2 * (shares - [0, 1, 0]))
    np.testing.assert_allclose(slope[1], 0, atol=1e-12)


def test_the_gradient_of_many_classes_is_made_in_one_place():
    rng = np.random.default_rng(0)
    labels, logits = rng.integers(500, size=2000), rng.normal(size=(2000, 500))
    with traced_memory() as peak:
        solvers.cross_entropy(logits, labels, np.ones(2000))
    assert peak() < 1.5 * logits.nbytes
