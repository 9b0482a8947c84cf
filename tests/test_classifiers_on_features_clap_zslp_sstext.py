"""CLAP, ZS-LP and SS-Text against their formulas."""

import numpy as np
from feature_tasks import World, unit

from classifiers.on_features import Task
from classifiers.on_features.clap_zslp_sstext import clap, ss_text, zero_shot_confidence

WORLD = World(classes=4)
TASK = WORLD.task(shots=3)
TEST = WORLD.images(5, seed=7)[0][0]


def test_no_epoch_is_zero_shot():
    np.testing.assert_allclose(
        clap(TASK, epochs=0).logits(TEST), TASK.zero_shot(TEST), rtol=1e-5, atol=1e-5
    )


def test_one_step_is_that_of_the_loss():
    """The first epoch's step, at its own rate, against the loss by finite differences."""
    rows = clap(TASK, epochs=1, penalty=False).rows / TASK.scale
    texts = TASK.class_texts.astype(np.float64)

    def loss(w):
        logits = TASK.scale * TASK.features.astype(np.float64) @ unit(w).T
        right = logits[np.arange(TASK.images), TASK.labels]
        return (np.log(np.exp(logits).sum(axis=1)) - right).mean()

    slope = np.zeros_like(texts)
    for place in np.ndindex(*texts.shape):
        moved = texts.copy()
        moved[place] += 1e-5
        slope[place] = (loss(moved) - loss(texts)) / 1e-5
    np.testing.assert_allclose(unit(texts - 1e-5 * slope), rows, atol=2e-7)


def test_the_class_whose_name_is_right_moves_least():
    """Two classes far from their names, one at its own, as surely as one can be."""
    texts = np.eye(3, 8)
    features = np.eye(8)[[0, 0, 5, 5, 6, 6]] + 0.05
    task = Task(features, [0, 0, 1, 1, 2, 2], texts, 30.0)
    sure = zero_shot_confidence(task)
    assert sure[0] > 0.99 > 0.5 > sure[1:].max()
    moved = np.linalg.norm(clap(task, 0).rows / 30.0 - texts, axis=1)
    assert moved[0] < 0.5 * moved[1:].min()


def test_the_pull_keeps_rows_nearer_to_the_names():
    def moved(**options):
        rows = clap(TASK, 0, **options).rows / TASK.scale
        return np.linalg.norm(rows - TASK.class_texts)

    assert moved() < moved(penalty=False)


def test_plain_ss_text_is_names_plus_image_sums_and_keeps_a_name_without_images():
    rows = TASK.labels != 1
    task = Task(TASK.features[rows], TASK.labels[rows], TASK.class_texts, 20.0)
    found = ss_text(task, plus=False).rows
    np.testing.assert_allclose(found[1], 20.0 * TASK.class_texts[1], rtol=1e-5)
    of_zero = task.features[task.labels == 0].sum(axis=0)
    expected = 20.0 * unit(TASK.class_texts[0] + 20.0 * of_zero)
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-5)


def test_ss_text_plus_is_its_formula():
    n, s = TASK.images, TASK.scale
    w = np.array(
        [
            TASK.class_texts[c] + 3 / n * s * TASK.features[TASK.labels == c].sum(axis=0)
            for c in range(4)
        ]
    )
    w = w - unit(2 * w - w.mean(axis=0))
    np.testing.assert_allclose(ss_text(TASK).rows, s * unit(w), rtol=1e-3, atol=1e-4)


def test_weights_that_make_classes_alike_make_sums_means():
    twice = np.concatenate([np.arange(TASK.images), np.flatnonzero(TASK.labels == 2)])
    weights = np.where(TASK.labels[twice] == 2, 0.5, 1.0)
    doubled = Task(
        TASK.features[twice], TASK.labels[twice], TASK.class_texts, 20.0, weights=weights
    )
    np.testing.assert_allclose(
        ss_text(doubled, plus=False).rows, ss_text(TASK, plus=False).rows, rtol=1e-4, atol=1e-5
    )
