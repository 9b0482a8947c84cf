"""ProLIP: zero-shot at one end, a dual encoder at the other."""

import numpy as np
import pytest
from feature_tasks import World, accuracy

from classifiers.on_features import prolip_projection

WORLD = World(classes=5, off=1.5)
TEST, LABELS = WORLD.images(20, seed=7)
TEST = TEST[0]
BACK = np.linalg.pinv(WORLD.before(WORLD.task()).before.matrix)


@pytest.fixture(params=["features", "before"])
def given(request):
    """A task, and the test images in what its method reads."""
    task = WORLD.task(shots=6)
    if request.param == "features":
        return task, TEST
    return WORLD.before(task), TEST @ BACK


@pytest.mark.parametrize("pull", [1e9, np.inf])
def test_an_endless_pull_is_zero_shot_at_the_calibrated_scale(given, pull):
    task, test = given
    found = prolip_projection.fit(task, pull=pull)
    expected = task.calibrated_scale() * TEST @ task.class_texts.T
    np.testing.assert_allclose(found.logits(test), expected, rtol=1e-4, atol=1e-4)


def test_the_objective_falls_and_its_gradient_is_right(given):
    task, _ = given
    weak, strong = (prolip_projection.fit(task, pull=pull) for pull in (1e-3, 1.0))
    reads = task.features if weak.reads == "features" else task.before.features
    start = np.eye(16) if weak.reads == "features" else task.before.matrix

    def objective(found, pull):
        logits = found.logits(reads).astype(float)
        right = logits[np.arange(task.images), task.labels]
        moved = ((found.matrix - start) ** 2).sum()
        return (np.log(np.exp(logits).sum(axis=1)) - right).mean() + pull * moved

    at_start = prolip_projection.fit(task, pull=np.inf)
    for pull, found in ((1e-3, weak), (1.0, strong)):
        assert objective(found, pull) < objective(at_start, pull)
    assert objective(weak, 1e-3) < objective(strong, 1e-3)
    assert objective(strong, 1.0) < objective(weak, 1.0)


def test_the_result_is_the_model_with_another_projection(given):
    task, test = given
    found = prolip_projection.fit(task)
    values = test @ found.matrix
    values = values / np.linalg.norm(values, axis=1, keepdims=True)
    new = World(classes=3, seed=8).texts
    texts = np.concatenate([task.class_texts, new])
    np.testing.assert_allclose(
        found.logits(test, new), found.text_scale * values @ texts.T, rtol=1e-4, atol=1e-4
    )
    assert found.matrix.shape == ((16, 16) if found.reads == "features" else (24, 16))
    assert accuracy(found.logits(test), LABELS) > accuracy(task.zero_shot(TEST), LABELS)


def test_without_validation_the_pull_is_one_over_the_images_per_class():
    assert prolip_projection.fit(WORLD.task(shots=5, held=0)).chosen["pull"] == pytest.approx(0.2)


def test_a_bias_is_kept():
    task = WORLD.before(WORLD.task(shots=3, held=0))
    given = task.before.__class__(task.before.features, task.before.matrix, np.full(16, 0.3))
    with_bias = task.__class__(
        task.features, task.labels, task.class_texts, task.scale, before=given
    )
    found = prolip_projection.fit(with_bias, pull=np.inf)
    values = TEST @ BACK @ given.matrix + 0.3
    values = values / np.linalg.norm(values, axis=1, keepdims=True)
    np.testing.assert_allclose(found.embeddings(TEST @ BACK), values, atol=1e-5)
