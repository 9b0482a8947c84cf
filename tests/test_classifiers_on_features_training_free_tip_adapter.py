"""Tip-Adapter among the others: its own logits, and a new name's text beside them."""

import numpy as np
from feature_tasks import World

from classifiers import TipAdapter
from classifiers.on_features import training_free_tip_adapter

WORLD = World(classes=4)
TEST = WORLD.images(5, seed=7)[0][0]


def test_known_classes_have_tip_adapters_logits_and_new_ones_their_texts():
    task = WORLD.task(held=0)
    found = training_free_tip_adapter.fit(task)
    reference = TipAdapter(task.features, task.labels, task.scale * task.class_texts.T)
    np.testing.assert_allclose(found.logits(TEST), reference.logits(TEST), atol=1e-5)
    new = World(classes=2, seed=8).texts
    np.testing.assert_allclose(found.logits(TEST, new)[:, 4:], task.scale * TEST @ new.T, atol=1e-5)


def test_validation_chooses_alpha_and_beta():
    task = WORLD.task(held=20)
    reference = TipAdapter(task.features, task.labels, task.scale * task.class_texts.T)
    reference.search(*task.validation)
    chosen = training_free_tip_adapter.fit(task).chosen
    assert chosen == {"alpha": reference.alpha, "beta": reference.beta}
