"""What the methods are measured against."""

import numpy as np
from feature_tasks import World

from classifiers import probe
from classifiers.on_features import zero_shot_and_plain_probe

WORLD = World(classes=4)
TEST = WORLD.images(5, seed=7)[0][0]


def test_zero_shot_is_the_names_alone():
    task = WORLD.task()
    np.testing.assert_allclose(
        zero_shot_and_plain_probe.zero_shot(task).logits(TEST), task.zero_shot(TEST), atol=1e-5
    )
    assert zero_shot_and_plain_probe.zero_shot(task).trained == 0


def test_the_linear_probe_is_the_one_of_the_probe_module():
    task = WORLD.task(held=10)
    found = zero_shot_and_plain_probe.linear_probe(task)
    reference = probe.fit(task.features, task.labels, validation=task.validation)
    np.testing.assert_allclose(found.logits(TEST), reference.logits(TEST), atol=1e-4)
    assert found.chosen["strength"] == reference.strength
