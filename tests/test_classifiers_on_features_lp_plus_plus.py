"""LP++: where it starts, that it learns, and which step it takes."""

import numpy as np
from feature_tasks import World

from classifiers.on_features import lp_plus_plus

WORLD = World(classes=4)


def test_it_starts_at_image_sums_and_weighted_names():
    task = WORLD.task(held=0)
    found = lp_plus_plus.fit(task, steps=0)
    cosines = task.features @ task.class_texts.T
    own = [cosines[task.labels == c, c].mean() for c in range(4)]
    weight = 2.5 * task.scale * np.mean(own)
    sums = np.array([task.features[task.labels == c].sum(axis=0) for c in range(4)])
    np.testing.assert_allclose(found.rows, sums + weight * task.class_texts, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.text_scale, weight, rtol=1e-5)
    assert not found.bias.any()


def test_the_loss_falls_and_validation_takes_its_best_step():
    task = WORLD.task(held=0, shots=6)

    def loss(found, features, labels):
        logits = found.logits(features).astype(float)
        logits -= logits.max(axis=1, keepdims=True)
        right = logits[np.arange(len(labels)), labels]
        return (np.log(np.exp(logits).sum(axis=1)) - right).mean()

    losses = [
        loss(lp_plus_plus.fit(task, steps=n), task.features, task.labels) for n in (0, 50, 300)
    ]
    assert losses[0] > losses[1] > losses[2]
    held = WORLD.task(held=30, shots=6)
    chosen = lp_plus_plus.fit(held)
    ends = [lp_plus_plus.fit(task, steps=n) for n in (0, 300)]
    assert loss(chosen, *held.validation) <= min(loss(end, *held.validation) for end in ends)
