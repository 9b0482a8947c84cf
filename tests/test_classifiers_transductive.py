"""StatA: zero-shot at no round, its first round by hand, and what it owes to other images."""

import numpy as np
import pytest
from feature_tasks import World, accuracy, unit
from sklearn.neighbors import NearestNeighbors

from classifiers import transductive

WORLD = World(classes=6, width=32, off=1.2, noise=1.0)
IMAGES, LABELS = WORLD.images(40, seed=3)
IMAGES = IMAGES[0]


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_no_round_is_zero_shot():
    found = transductive.stata(3 * IMAGES, 2 * WORLD.texts, scale=20.0, rounds=0)
    np.testing.assert_allclose(found, softmax(20 * IMAGES @ WORLD.texts.T), rtol=1e-4)


def test_one_round_is_the_published_sums():
    """The formulas written with loops, on few images."""
    x, t = IMAGES[:9].astype(float), WORLD.texts[:3].astype(float)
    t = unit(t)
    x = unit(x)
    y = softmax(20 * x @ t.T)
    near = np.zeros((9, 9))
    for i in range(9):
        others = sorted((j for j in range(9) if j != i), key=lambda j: -(x[i] @ x[j]))
        for j in others[:3]:
            near[i, j] = x[i] @ x[j]
    v0 = sum(y[i, c] * (x[i] - t[c]) ** 2 for i in range(9) for c in range(3)) / 9

    def assigned(z, means, v):
        for _ in range(5):
            likelihood = np.array(
                [
                    [-0.5 * ((x[i] - means[c]) ** 2 / v[c] + np.log(v[c])).sum() for c in range(3)]
                    for i in range(9)
                ]
            )
            z = softmax(np.log(y) + (likelihood + 50 / 6 * (near.T @ z + near @ z)) / 50)
        return z

    z = assigned(y, t, np.tile(v0, (3, 1)))
    means, v = np.empty_like(t), np.empty_like(t)
    for c in range(3):
        m = (z.argmax(axis=1) == c).sum()
        beta = m / (1 + m)
        seen = unit((z[:, c] @ x) / z[:, c].sum())
        means[c] = unit(beta * seen + (1 - beta) * t[c])
        spread = z[:, c] @ (x - means[c]) ** 2 / z[:, c].sum()
        v[c] = beta * spread + (1 - beta) * (v0 + (t[c] - means[c]) ** 2)
    expected = assigned(z, means, v)
    found = transductive.stata(x, t, scale=20.0, rounds=1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


def test_images_that_inform_each_other_beat_the_names_alone():
    names = accuracy(IMAGES @ WORLD.texts.T, LABELS)
    assert accuracy(transductive.stata(IMAGES, WORLD.texts, scale=20.0), LABELS) > names


def test_names_without_images_do_no_harm():
    """A batch of two classes among six names: at least as good as the names alone."""
    few = np.isin(LABELS, [1, 4])
    found = transductive.stata(IMAGES[few], WORLD.texts, scale=20.0)
    assert found.shape == (80, 6)
    assert accuracy(found, LABELS[few]) >= accuracy(IMAGES[few] @ WORLD.texts.T, LABELS[few])


def test_another_order_of_images_is_another_order_of_answers():
    order = np.random.default_rng(1).permutation(len(IMAGES))
    found = transductive.stata(IMAGES, WORLD.texts, scale=20.0)
    again = transductive.stata(IMAGES[order], WORLD.texts, scale=20.0)
    np.testing.assert_allclose(again, found[order], atol=1e-4)


def test_duplicates_of_an_image_agree():
    twice = np.concatenate([IMAGES[:60], IMAGES[:1]])
    found = transductive.stata(twice, WORLD.texts, scale=20.0)
    np.testing.assert_allclose(found[0], found[60], atol=1e-3)


def test_neighbours_are_scikit_learns_in_blocks_of_any_size(monkeypatch):
    monkeypatch.setattr(transductive, "BLOCK", 1000)
    found = transductive.neighbours(IMAGES.astype(float), 3).toarray()
    reference = NearestNeighbors(n_neighbors=3, metric="cosine").fit(IMAGES)
    graph = reference.kneighbors_graph(mode="distance").toarray()
    expected = np.where(graph > 0, 1 - graph, 0)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("features", "texts"),
    [
        (np.ones((4, 3)), np.ones((2, 5))),
        (np.ones((1, 3)), np.ones((2, 3))),
        (np.ones(3), np.ones(3)),
    ],
)
def test_what_does_not_fit_is_refused(features, texts):
    with pytest.raises(ValueError, match=r"expected features \[n, d\] and class_texts \[c, d\]"):
        transductive.stata(features, texts)
