"""Splits are pure functions of labels and seed, and keep every class its share."""

import numpy as np
import pytest

from tfrecords.splits import few_shot, held_out_classes, parts, rarest_class, train_validation

LABELS = np.array([0] * 10 + [1] * 20 + [2] * 2 + [3])


def test_held_out_classes_are_nested_and_sorted():
    ten = held_out_classes(100, 10, seed=3)
    assert len(set(ten)) == 10 and list(ten) == sorted(ten) and max(ten) < 100
    assert set(held_out_classes(100, 5, seed=3)) < set(ten)
    assert held_out_classes(100, 10, seed=3) == ten != held_out_classes(100, 10, seed=4)


@pytest.mark.parametrize("count", [0, 9, 10])
def test_held_out_classes_leave_two_to_train_on(count):
    with pytest.raises(ValueError, match="expected 1 to 8 of 10 classes"):
        held_out_classes(10, count, seed=0)


def test_train_validation_keeps_every_class_its_share():
    train, validation = train_validation(LABELS, fraction=0.1, seed=0)
    assert np.bincount(LABELS[validation], minlength=4).tolist() == [1, 2, 1, 0]
    assert sorted([*train, *validation]) == list(range(33))
    assert list(validation) == sorted(validation)


def test_train_validation_depends_on_the_seed_alone():
    first, again, other = (train_validation(LABELS, fraction=0.3, seed=s)[1] for s in (0, 0, 1))
    assert first.tolist() == again.tolist() != other.tolist()


@pytest.mark.parametrize("fraction", [0, 1, -0.1])
def test_train_validation_fraction_out_of_range(fraction):
    with pytest.raises(ValueError, match="between 0 and 1"):
        train_validation(LABELS, fraction=fraction, seed=0)


def test_the_rarest_class_of_a_image_is_its_stratum():
    labels = [(0, 1), (0, 1, 2), (0,), (), (2, 1), (1,)]  # 0: 3 images, 1: 4, 2: 2
    assert rarest_class(labels).tolist() == [0, 2, 0, -1, 2, 1]
    assert rarest_class([(4, 3)]).tolist() == [3]  # equally rare: the smaller number


def test_train_validation_of_several_labels_goes_by_the_rarest():
    labels = np.zeros((40, 3))
    labels[:, 0] = 1
    labels[:20, 1] = 1
    labels[:10, 2] = 1
    train, validation = train_validation(labels, fraction=0.2, seed=0)
    assert labels[validation].sum(axis=0).tolist() == [8, 4, 2]
    assert labels[train].sum(axis=0).tolist() == [32, 16, 8]


def test_few_shot_takes_the_same_number_of_every_class():
    chosen = few_shot(LABELS, 4, seed=0)
    assert LABELS[chosen].tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4
    assert len(set(chosen[:4])) == 4
    # classes with fewer images repeat them evenly
    assert sorted(np.bincount(chosen[8:12])[30:32]) == [2, 2]
    assert chosen[12:].tolist() == [32] * 4


def test_few_shot_samples_are_nested():
    one, two = few_shot(LABELS, 1, seed=5), few_shot(LABELS, 2, seed=5)
    assert one.tolist() == two[::2].tolist()


def test_few_shot_needs_a_shot():
    with pytest.raises(ValueError, match="at least 1"):
        few_shot(LABELS, 0, seed=0)


def test_parts_hold_every_image_once_and_the_same_share_of_each_class():
    found = parts(LABELS, 4, seed=0)
    assert found[-1] == -1  # the one image of its class is always left to train on
    assert np.bincount(found[:-1]).tolist() == [8, 8, 8, 8]
    for label in range(3):
        sizes = np.bincount(found[label == LABELS], minlength=4)
        assert sizes.max() - sizes.min() <= 1
    assert (found == parts(LABELS, 4, seed=0)).all() and (found != parts(LABELS, 4, seed=1)).any()


def test_parts_are_at_least_one():
    with pytest.raises(ValueError, match="parts: expected 1 or more, got 0"):
        parts(LABELS, 0, seed=0)


# The two images of class 0 are of the rarer classes 1 and 2, whose images are dealt out.
CROSSED = [(0, 1), (1,), (0, 2), (2,)]


def test_parts_of_several_labels_deal_out_what_is_alone_in_its_stratum():
    labels = [(0,), (0, 1), (0, 2), (0, 3), (0, 1, 2, 3)]
    found = parts(labels, 3, seed=0)
    assert len(set(found[found >= 0].tolist())) == 3
    assert (found >= 0).sum() >= 4


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_part_leaves_an_image_of_each_class(seed, count):
    found = parts(CROSSED, count, seed=seed)
    assert (found >= 0).any()
    for part in range(found.max() + 1):
        left = {label for label, own in zip(CROSSED, found, strict=True) if own != part}
        assert {label for several in left for label in several} == {0, 1, 2}


def test_parts_are_as_many_as_there_are_images_for():
    assert parts([0, 0, 1], 4, seed=0).tolist() in ([0, 1, -1], [1, 0, -1])
    assert parts([0, 0, 1], 4, seed=0, elsewhere=[1]).max() == 2


@pytest.mark.parametrize("seed", range(10))
def test_train_validation_of_several_labels_leaves_an_image_of_each_class(seed):
    labels = np.array([[label in several for label in range(3)] for several in CROSSED]).astype(int)
    train, validation = train_validation(labels, fraction=0.2, seed=seed)
    assert labels[train].any(axis=0).all() and len(validation)


def test_train_validation_of_several_labels_chooses_by_some_image_where_one_can_go():
    labels = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1]])
    assert train_validation(labels, fraction=0.2, seed=0)[1].tolist() == [1]


def test_all_labels_are_not_looked_at_once_for_each_of_many_classes(monkeypatch):
    seen, usual = [], np.flatnonzero
    monkeypatch.setattr(np, "flatnonzero", lambda x: seen.append(np.size(x)) or usual(x))
    labels = np.arange(3000) % 1000
    assert labels[few_shot(labels, 2, seed=0)].tolist() == np.repeat(range(1000), 2).tolist()
    assert sum(seen) <= 3 * labels.size
