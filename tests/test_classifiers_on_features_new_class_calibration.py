"""The offset at which names that were never seen compete with trained ones."""

import numpy as np
import pytest
from feature_tasks import World

from classifiers.on_features import (
    METHODS,
    prolip_projection,
    text_initialized_probe,
    training_free_tip_adapter,
    with_new_names,
    zero_shot_and_plain_probe,
)
from classifiers.on_features.new_class_calibration import FEW, SetAside, offset, offset_in_turn

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


@pytest.mark.parametrize("fit", [training_free_tip_adapter.fit, METHODS["ss-text"].fit])
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
    """Zero-shot logits whose known classes were raised by 5: the offset takes them back, as far as
    its prior at 0 believes in so many images of new names."""

    def raised(task, seed):
        found = zero_shot_and_plain_probe.zero_shot(task, seed)
        return found.__class__(rows=found.rows, bias=found.bias + 5, text_scale=found.text_scale)

    task = World(classes=12, width=32, off=0.3).task(shots=4, held=4)
    fair = with_new_names(task, zero_shot_and_plain_probe.zero_shot).offset
    images = len(task.labels) + len(task.validation[1])  # each is of a new name once
    moved = with_new_names(task, raised).offset - fair
    assert moved == pytest.approx(5 * images / (images + FEW), abs=1e-3)


def test_it_is_the_same_for_the_same_seed_and_reads_what_the_method_reads():
    task = WORLD.before(WORLD.task(shots=4, held=4)).only(KNOWN)
    first, again = (with_new_names(task, prolip_projection.fit, 3) for _ in range(2))
    assert first.offset == again.offset != 0
    assert first.reads == "before"


@pytest.mark.parametrize("held", [0, 4])
def test_new_names_are_found_as_often_as_by_zero_shot(held):
    """Also without validation, which says what known classes lose by it."""
    task = WORLD.task(shots=8, held=held).only(KNOWN)
    placed, named = (
        with_new_names(task, fit)
        for fit in (METHODS["ss-text"].fit, zero_shot_and_plain_probe.zero_shot)
    )
    assert among_all(placed, new=True) > among_all(named, new=True) - 0.05
    assert among_all(placed, new=False) > among_all(named, new=False)


def test_the_offset_is_in_the_middle_of_what_neither_side_loses_by():
    """One fitted class, one new name: new images want 2, 1 or -3, fitted ones bear 4, 3 or 1."""
    fitted = [[4.0, 0.0], [3.0, 0.0], [1.0, 0.0]]
    new = [[2.0, 0.0], [1.0, 0.0], [-3.0, 0.0]]
    wanted, right = np.array([0, 0, 0, 1, 1, 1]), np.array([1, 1, 0, 1, 1, 0], bool)
    part = SetAside(np.array(fitted + new), wanted, 1, right)  # zero-shot: two of three of each
    assert offset([part]) == pytest.approx((1 + 3) / 2 * 3 / (3 + FEW))
    new_alone = SetAside(np.array(new), wanted[3:], 1, right[3:])
    assert offset([new_alone]) == pytest.approx(1 * 3 / (3 + FEW))


def test_classes_are_taken_for_new_names_in_turn():
    logits = np.array([[5.0, 1.0], [2.0, 8.0]])
    named = np.array([[0.5, 0.0], [0.0, 0.5]])
    # Image 0 as new needs 1 - 0.5, image 1 2 - 0.5; as fitted they bear 5 - 0 and 8 - 0.
    assert offset_in_turn(logits, named, np.arange(2)) == pytest.approx(
        (1.5 + 5) / 2 * 2 / (2 + FEW)
    )


def test_where_it_cannot_be_found_it_is_zero():
    three = WORLD.task(shots=4, held=4).only(np.arange(3))
    assert with_new_names(three, text_initialized_probe.fit).offset == 0
    probe = with_new_names(world_task(), METHODS["linear-probe"].fit)
    assert not probe.answers_new_names
