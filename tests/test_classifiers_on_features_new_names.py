"""The offset at which names that were never seen compete with trained ones."""

import numpy as np
import pytest
from feature_tasks import World

from classifiers.on_features import METHODS, memory, plain, projection, text_probe, with_new_names

WORLD = World(classes=12, width=32, off=1.5, noise=0.8)
KNOWN = np.arange(8)


def world_task(**more):
    return WORLD.task(shots=8, held=4, **more).only(KNOWN)


def among_all(found, *, new):
    """Accuracy of images of known and of new classes, among all of both."""
    test, labels = WORLD.images(40, seed=7)
    logits = found.logits(test[0], WORLD.texts[8:])
    right = logits.argmax(axis=1) == labels
    return right[labels >= 8].mean() if new else right[labels < 8].mean()


@pytest.mark.parametrize("fit", [memory.fit, METHODS["ss-text"].fit])
def test_it_gives_new_names_a_chance(fit):
    task = world_task()
    plainly, placed = fit(task, 0), with_new_names(task, fit)
    assert placed.offset > 0
    before, after = (among_all(found, new=True) for found in (plainly, placed))
    assert after > before + 0.1
    lost = among_all(plainly, new=False) - among_all(placed, new=False)
    assert lost < after - before
    np.testing.assert_array_equal(
        placed.logits(WORLD.centres), plainly.logits(WORLD.centres)
    )  # known classes are as they were


def test_it_finds_a_bias_that_was_put_in():
    """Zero-shot logits whose known classes were raised by 5: the offset takes them back."""

    def raised(task, seed):
        found = plain.zero_shot(task, seed)
        return found.__class__(rows=found.rows, bias=found.bias + 5, text_scale=found.text_scale)

    task = World(classes=12, width=32, off=0.3).task(shots=4, held=4)
    fair = with_new_names(task, plain.zero_shot).offset
    assert with_new_names(task, raised).offset == pytest.approx(fair + 5, abs=1e-3)


def test_it_is_the_same_for_the_same_seed_and_reads_what_the_method_reads():
    task = WORLD.before(WORLD.task(shots=4, held=4)).only(KNOWN)
    first, again = (with_new_names(task, projection.fit, 3) for _ in range(2))
    assert first.offset == again.offset != 0
    assert first.reads == "before"


def test_where_it_cannot_be_found_it_is_zero():
    no_validation = WORLD.task(shots=4, held=0)
    assert with_new_names(no_validation, text_probe.fit).offset == 0
    three = WORLD.task(shots=4, held=4).only(np.arange(3))
    assert with_new_names(three, text_probe.fit).offset == 0
    probe = with_new_names(world_task(), METHODS["linear-probe"].fit)
    assert not probe.answers_new_names
