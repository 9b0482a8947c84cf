"""Held-out classes: which they are, that no training sees them, and what is measured on them."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from tiny_sources import write

import tfrecords
from pipelines.finetuning import wise_ft
from pipelines.finetuning.data import Labelled
from pipelines.metrics import bootstrap, seen_unseen
from pipelines.runs import class_split

NAMES = ("ant", "bee", "cat")


class Model:
    """What `Labelled` asks of a model."""

    def __init__(self):
        self.preprocessing = {"image_size": 8}


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    return write(tmp_path_factory.mktemp("held-out") / "records")


def manifest_of(classes, *, multi_label=False):
    class Manifest:
        class_names = tuple(f"class_{i}" for i in range(classes))
        spoken_names = tuple(f"class {i}" for i in range(classes))
        dataset = "made"

    Manifest.multi_label = multi_label
    return Manifest


def divided(records, *, away=(0,), seed=0, fraction=0.2):
    manifest = tfrecords.Manifest.read(records)
    ids, labels = tfrecords.labels(records, "train")
    parts = class_split.divide(ids, labels, manifest, held_out=away, fraction=fraction, seed=seed)
    return manifest, dict(zip(ids.tolist(), labels.tolist(), strict=True)), parts


def test_the_first_classes_are_held_out_as_in_the_food101_study():
    manifest = manifest_of(101)
    assert class_split.held_out_classes(manifest, count=10) == tuple(range(10))
    assert class_split.held_out_classes(manifest) == ()
    drawn = class_split.held_out_classes(manifest, count=10, seed=3)
    assert len(drawn) == 10 and drawn != tuple(range(10))
    names = ["class_7", "class 3"]
    assert class_split.held_out_classes(manifest, names=names) == (3, 7)


def test_every_image_is_in_one_part_and_every_class_gives_its_share(records):
    _, labels, parts = divided(records, away=(0,))
    everything = [*parts.train, *parts.validation, *parts.watched]
    assert max(Counter(everything).values()) == 1
    assert {labels[i] for i in parts.train} == {labels[i] for i in parts.validation} == {1, 2}
    assert {labels[i] for i in parts.watched} == {0}
    counts = Counter(labels[i] for i in (*parts.validation, *parts.watched))
    assert counts == {0: 2, 1: 2, 2: 1}  # a fifth of 8, 8 and 7, rounded
    assert parts.seen == (1, 2) and parts.held_out == (0,)


@pytest.mark.parametrize("seed", [0, 1])
def test_training_and_validation_never_read_a_held_out_image(records, seed):
    manifest, labels, parts = divided(records, away=(1,), seed=seed)
    data = Labelled(
        str(records),
        manifest,
        parts,
        labels=labels,
        templates=("a {}.",),
        batch_size=4,
        crop_scale=1,
        augment=None,
        mix=None,
        soft=False,
        epochs=2,
        seed=seed,
    )
    by_pixels = {}
    for x, y, _ in tfrecords.load(records, "train", image_size=8, batch_size=1):
        by_pixels[x["image"].numpy().tobytes()] = int(y[0])
    seen = Counter()
    for batches in (data.training(Model()), data.validation(Model())):
        for x, y, _ in batches:
            for image, label in zip(x["image"].numpy(), y.numpy(), strict=True):
                assert parts.seen[label] == by_pixels[image.tobytes()]
                seen[by_pixels[image.tobytes()]] += 1
    assert set(seen) == {0, 2}
    whole = [y.numpy()[w.numpy() > 0] for _, y, w in data.measured(Model())[0]]
    assert Counter(np.concatenate(whole).tolist())[1] == len(parts.watched) > 0


def test_rare_classes_count_for_more_in_training_alone(records):
    manifest, labels, parts = divided(records)
    data = Labelled(
        str(records),
        manifest,
        parts,
        labels=labels,
        templates=("a {}.",),
        batch_size=4,
        crop_scale=1,
        augment=None,
        mix=None,
        soft=False,
        epochs=1,
        seed=0,
        class_weight=1.0,
    )
    total = Counter()
    for _, y, weight in data.training(Model()):
        for label, each in zip(y.numpy().tolist(), weight.numpy().tolist(), strict=True):
            total[label] += each
    every = len(parts.train) / len(parts.seen)  # what each class weighs in all
    assert total == pytest.approx({place: every for place in range(len(parts.seen))})
    weights = [w.numpy() for _, _, w in data.validation(Model())]
    assert set(np.concatenate(weights).tolist()) <= {0, 1}
    with pytest.raises(ValueError, match=r"--class-weight: images of .* have several classes"):
        replace(data, manifest=replace(manifest, multi_label=True))


def test_classes_set_aside_hide_those_held_out(records):
    _, labels, parts = divided(records, away=(0,))
    inner = class_split.set_aside(parts, (2,), labels=labels)
    assert (inner.seen, inner.held_out) == ((1,), (2,))
    assert {labels[i] for i in (*inner.train, *inner.validation)} == {1}
    assert {labels[i] for i in inner.watched} == {2}
    assert not set(inner.watched) & set(parts.watched)


def test_a_tenth_of_the_seen_classes_is_set_aside():
    parts = class_split.Parts(tuple(range(10, 100)), tuple(range(10)), (), (), ())
    away = class_split.pseudo(parts, seed=0)
    assert len(away) == 9 and set(away) <= set(parts.seen)
    assert away != class_split.pseudo(parts, seed=1)
    with pytest.raises(ValueError, match="expected 4 or more classes; got 3"):
        class_split.pseudo(class_split.Parts((0, 1, 2), (), (), (), ()), seed=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 9}, "expected 1 to 8 of the 10 classes of made; got 9"),
        ({"count": 1, "names": ["class_1"]}, "expected one of them; got both"),
        (
            {"names": ["class_11"]},
            "classes of made, which are class 0, .*; got 'class_11'; did you mean class_1",
        ),
        ({"names": [f"class_{i}" for i in range(9)]}, "expected 1 to 8 of the 10"),
    ],
)
def test_classes_that_cannot_be_held_out(options, message):
    with pytest.raises(ValueError, match=message):
        class_split.held_out_classes(manifest_of(10), **options)


def test_of_two_classes_none_can_be_held_out():
    with pytest.raises(ValueError, match="made has 2 classes, and two have to be left to train on"):
        class_split.held_out_classes(manifest_of(2), count=1)


def test_several_classes_per_image_cannot_be_held_out():
    with pytest.raises(ValueError, match="have several classes"):
        class_split.held_out_classes(manifest_of(10, multi_label=True), count=2)


def test_a_class_without_images_to_train_on():
    manifest = manifest_of(3)
    with pytest.raises(ValueError, match="class 'class_2' has no images to train on in made"):
        class_split.divide(
            np.arange(6),
            np.array([0, 0, 1, 1, 0, 1]),
            manifest,
            held_out=(0,),
            fraction=0.5,
            seed=0,
        )


def test_images_to_choose_by_without_a_label():
    labels = np.array([[1, 0], [0, 1], [0, 0], [0, 0], [0, 0]])
    with pytest.raises(ValueError, match="no image to choose by in made has a label"):
        class_split.divide(
            np.arange(5),
            labels,
            manifest_of(2, multi_label=True),
            held_out=(),
            fraction=0.5,
            seed=0,
        )


# --- Figures ----------------------------------------------------------------------------------

LOGITS = np.array(
    # seen 0 and 1, held out 2 and 3
    [[5, 1, 9, 0], [1, 5, 0, 0], [5, 1, 0, 0], [9, 0, 5, 1], [0, 0, 1, 5], [0, 9, 5, 1]],
    float,
)
LABELS = np.array([0, 1, 1, 2, 3, 3])
CLASSES = {"seen": (0, 1), "held_out": (2, 3)}


def test_figures_by_hand():
    found = seen_unseen.figures(LABELS, LOGITS, **CLASSES)
    assert found == {
        "seen_top1": pytest.approx(2 / 3),
        "unseen_top1": pytest.approx(2 / 3),
        "seen_among_all": pytest.approx(1 / 3),
        "unseen_among_all": pytest.approx(1 / 3),
        "generalized_top1": pytest.approx(1 / 3),
        "harmonic_mean": pytest.approx(2 / 3),
    }


def test_a_model_that_cannot_name_held_out_classes():
    logits = LOGITS.copy()
    logits[:, 2:] = np.nan
    found = seen_unseen.figures(LABELS, logits, **CLASSES)
    assert found["unseen_top1"] is None and found["harmonic_mean"] is None
    assert found["generalized_top1"] == pytest.approx(2 / 6)  # it is never right about the others
    assert found["unseen_among_all"] == 0


def test_logits_on_two_scales_are_not_compared():
    found = seen_unseen.figures(LABELS, LOGITS, comparable=False, **CLASSES)
    assert found["generalized_top1"] is None and found["unseen_among_all"] is None
    assert found["harmonic_mean"] == pytest.approx(2 / 3)


def test_one_held_out_class_has_no_figure_among_itself():
    """It would be 1 whatever the model does, and so would be half of the harmonic mean."""
    found = seen_unseen.figures(LABELS[:4], LOGITS[:4], seen=(0, 1), held_out=(2,))
    assert found["unseen_top1"] is None and found["harmonic_mean"] is None
    assert found["unseen_among_all"] == 0  # image 3 is taken for class 0
    assert found["generalized_top1"] == pytest.approx(1 / 4)


def test_without_held_out_classes_there_is_one_figure():
    found = seen_unseen.figures(LABELS, LOGITS, seen=(0, 1, 2, 3), held_out=())
    assert {name for name, value in found.items() if value is not None} == {"seen_top1"}


@pytest.mark.parametrize("comparable", [True, False])
def test_intervals_are_those_of_the_figures_of_each_resample(comparable):
    rng = np.random.default_rng(0)
    labels, logits = rng.integers(0, 5, 40), rng.normal(size=(40, 5))
    classes = {"seen": (0, 3, 4), "held_out": (1, 2), "comparable": comparable}
    names = [n for n, v in seen_unseen.figures(labels, logits, **classes).items() if v is not None]

    def again(counts):
        rows = np.repeat(np.arange(40), counts)
        found = seen_unseen.figures(labels[rows], logits[rows], **classes)
        return [found[name] for name in names]

    expected = bootstrap.percentiles(again, 40, names=names, resamples=30, seed=2)
    found = seen_unseen.intervals(labels, logits, **classes, resamples=30, seed=2)
    assert found == expected and len(found) == (6 if comparable else 3)


def test_harmonic_mean():
    assert seen_unseen.harmonic_mean(0.8242, 0.1768) == pytest.approx(0.2912, abs=1e-4)
    assert seen_unseen.harmonic_mean(0, 0) == 0


def test_alpha_is_where_seen_and_other_classes_are_both_found_among_all():
    def row(alpha, seen, unseen):
        return {"alpha": alpha, "seen_among_all": seen, "unseen_among_all": unseen}

    rows = [row(0, 0.5, 0.4), row(0.4, 0.6, 0.42), row(0.6, 0.9, 0.38), row(1, 0.95, 0.1)]
    assert wise_ft.choose(rows) == 0.6
    assert wise_ft.choose([*rows[:2], row(0.6, 0.9, 0.2)]) == 0.4
    assert wise_ft.choose([row(0, 0.7, 0.0), row(1, 0.9, 0.0)]) == 0
    assert wise_ft.choose([row(0, 0.7, 0.8), row(1, 0.8, 0.7)]) == 0


def test_one_image_of_each_class_leaves_none_to_choose_by():
    labels = np.array([0, 0, 1, 2])  # two of the class held out
    with pytest.raises(ValueError, match="no image to choose by in made: every class that is"):
        class_split.divide(
            np.arange(4), labels, manifest_of(3), held_out=(0,), fraction=0.2, seed=0
        )
