"""The figures of several labels per image against numbers worked by hand."""

import numpy as np
import pytest
from traced_memory import traced_memory

from pipelines.evaluation import measure
from pipelines.metrics import multilabel as metrics

# Five images, four classes; no image has the last class.
LABELS = np.array([[1, 0, 1, 0], [0, 1, 1, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]])
PROBABILITIES = np.array(
    [
        [0.9, 0.2, 0.5, 0.1],
        [0.8, 0.9, 0.5, 0.2],
        [0.7, 0.6, 0.1, 0.0],
        [0.1, 0.1, 0.9, 0.7],
        [0.2, 0.0, 0.5, 0.3],
    ]
)
HALF = np.full(4, 0.5)


def test_average_precision_by_hand():
    found = metrics.average_precision(LABELS, PROBABILITIES)
    # Class 0, most probable first: yes no yes: precisions 1/1 and 2/3 at its two images.
    # Class 1: its one image is first. Class 2: 0.9 is one of its three; then three images
    # with 0.5 at once, two of them its: 3 of 4. Class 3 has no image.
    expected = [(1 + 2 / 3) / 2, 1.0, (1 + 3 / 4 + 3 / 4) / 3]
    assert found[:3] == pytest.approx(expected)
    assert np.isnan(found[3])


def test_summary_by_hand():
    found = metrics.summary(LABELS, PROBABILITIES, HALF)
    # Said with 0.5: class 0 in images 0 1 2 (2 right of 3, both found), class 1 in 1 2 (1 of
    # 2, found), class 2 in 0 1 3 4 (3 of 4, all found), class 3 in 3 (wrong).
    expected = {
        "map": (5 / 6 + 1 + 5 / 6) / 3,
        "micro_f1": 2 * 6 / (6 + 10),
        "macro_f1": (2 * 2 / 5 + 2 * 1 / 3 + 2 * 3 / 7) / 3,
        "micro_precision": 6 / 10,
        "micro_recall": 6 / 6,
        "exact_match": 1 / 5,  # image 0 alone
    }
    assert tuple(found) == metrics.METRICS
    assert found == pytest.approx(expected)


def test_nothing_said_is_a_precision_of_zero():
    found = metrics.summary(LABELS, PROBABILITIES, np.ones(4))
    assert found["micro_precision"] == found["micro_recall"] == found["macro_f1"] == 0
    assert found["exact_match"] == 1 / 5  # image 4 has no label
    assert found["map"] == pytest.approx((5 / 6 + 1 + 5 / 6) / 3)  # asks for no threshold


def test_a_probability_at_its_threshold_is_said():
    assert metrics.predicted(PROBABILITIES[:1], np.array([0.9, 0.21, 0.5, 0.1])).tolist() == [
        [1, 0, 1, 1]
    ]


def test_thresholds_by_hand(monkeypatch):
    monkeypatch.setattr(metrics, "ENOUGH", 1)
    labels = np.array([[1, 1, 0, 1], [0, 0, 0, 0], [1, 0, 0, 1], [0, 1, 0, 0]])
    probabilities = np.array(
        [[0.9, 0.6, 0.5, 0.0], [0.8, 0.6, 0.5, 0.3], [0.6, 0.2, 0.5, 0.3], [0.2, 0.1, 0.5, 0.2]]
    )
    found = metrics.choose_thresholds(labels, probabilities)
    # Class 0: F1 2/3, 1/2, 4/5, 2/3 after 1 to 4 images: between 0.6 and 0.2.
    # Class 1: 0.6 twice with 1 of 2 right, F1 2/4; with 0.2, 2/5; with 0.1, 4/6: half of 0.1.
    # Class 2 has no images, and nobody to share with.
    # Class 3: 0.3 twice, F1 2/4; 0.2, 2/5; all cannot be let in at 0.
    assert found == pytest.approx([0.4, 0.05, 0.5, 0.25])
    said = metrics.predicted(probabilities, found)
    assert said[:, 0].tolist() == [1, 1, 1, 0] and said[:, 1].all()


def test_thresholds_are_the_best_of_all():
    """No number gives any class a higher F1 than the one chosen."""

    def f1(truth, said):
        return 2 * (truth & said).sum() / (truth.sum() + said.sum())

    rng = np.random.default_rng(0)
    labels = (rng.random((500, 5)) < [0.05, 0.2, 0.4, 0.6, 0.9]).astype(int)
    assert labels.sum(axis=0).min() >= metrics.ENOUGH
    probabilities = np.round(metrics.sigmoid(rng.normal(size=labels.shape) + labels), 2)
    chosen = metrics.choose_thresholds(labels, probabilities)
    for truth, p, threshold in zip(labels.T == 1, probabilities.T, chosen, strict=True):
        tried = [f1(truth, p >= t) for t in np.linspace(0.0025, 1, 400)]
        assert f1(truth, p >= threshold) == pytest.approx(max(tried))


def test_classes_with_few_images_share_a_threshold():
    rng = np.random.default_rng(0)
    labels = (rng.random((200, 4)) < [0.4, 0.05, 0.05, 0]).astype(int)
    probabilities = metrics.sigmoid(rng.normal(size=labels.shape) + 2 * labels - 1)
    found = metrics.choose_thresholds(labels, probabilities)
    assert found[0] != found[1] == found[2] == found[3]
    few = metrics.choose_thresholds(
        labels[:, 1:].reshape(-1, 1), probabilities[:, 1:].reshape(-1, 1)
    )
    assert found[1] == few  # of all 600 pairs

    labels[:, 1:] = 0
    assert metrics.choose_thresholds(labels, probabilities)[1:].tolist() == [0.5, 0.5, 0.5]


def test_per_class_rows():
    rows = metrics.per_class(LABELS, PROBABILITIES, HALF, ["a", "b", "c", "d"])
    assert rows[0] == {
        "name": "a",
        "count": 2,
        "predicted": 3,
        "average_precision": pytest.approx(5 / 6),
        "precision": pytest.approx(2 / 3),
        "recall": 1.0,
        "f1": pytest.approx(0.8),
        "threshold": 0.5,
    }
    unknown = dict.fromkeys(("average_precision", "precision", "recall", "f1"))
    assert rows[3] == {"name": "d", "count": 0, "predicted": 1, "threshold": 0.5} | unknown


def test_sigmoid_of_large_logits_is_finite():
    found = metrics.sigmoid(np.array([-1000.0, 0.0, np.log(3), 1000.0]))
    assert found == pytest.approx([0, 0.5, 0.75, 1])


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([1, 0], [[0.5, 0.5]], r"received \[2\] and \[1, 2\]"),
        ([[1, 0]], [[0.5, 0.5, 0.5]], r"received \[1, 2\] and \[1, 3\]"),
        (np.zeros((0, 2)), np.zeros((0, 2)), "at least one image"),
        ([[1, 2]], [[0.5, 0.5]], "expected labels 0 and 1, one for every class; got 2"),
        ([[1, 0], [1, 0]], [[0.5, 0.5], [np.nan, 0]], "image 1 is not a finite number"),
        ([[1, 0]], [[3.5, -2]], "expected probabilities from 0 to 1 .* got -2 to 3.5"),
        ([[0, 0]], [[0.5, 0.5]], "no image has a label"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(labels, probabilities, message):
    for call in (metrics.average_precision, metrics.choose_thresholds):
        with pytest.raises(ValueError, match=message):
            call(np.array(labels), np.array(probabilities))


def test_a_threshold_per_class_is_asked_for():
    with pytest.raises(ValueError, match=r"a threshold for each of 4 classes; received \[3\]"):
        metrics.summary(LABELS, PROBABILITIES, HALF[:3])


# --- Bootstrap


def case(n=300):
    rng = np.random.default_rng(1)
    labels = (rng.random((n, 6)) < [0.02, 0.1, 0.3, 0.5, 0.8, 0]).astype(int)
    probabilities = np.round(metrics.sigmoid(rng.normal(size=(n, 6)) + 2 * labels - 1), 1)  # ties
    return labels, probabilities, np.linspace(0.3, 0.7, 6)


def test_bootstrap_figures_with_every_image_once_are_the_summary():
    figures = metrics.weighted_summary(*case())(np.ones(300, int))
    assert dict(zip(metrics.METRICS, figures, strict=True)) == pytest.approx(
        metrics.summary(*case())
    )


def test_bootstrap_figures_weigh_images_by_their_counts():
    labels, probabilities, thresholds = case()
    counts = np.random.default_rng(2).integers(4, size=300)
    copies = np.repeat(np.arange(300), counts)
    figures = metrics.weighted_summary(labels, probabilities, thresholds)(counts)
    summary = metrics.summary(labels[copies], probabilities[copies], thresholds)
    assert dict(zip(metrics.METRICS, figures, strict=True)) == pytest.approx(summary)


def test_bootstrap_interval_of_exact_match_is_the_binomial_one():
    labels = np.tile([1, 0], (1000, 1))
    probabilities = np.tile([0.9, 0.1], (1000, 1))
    probabilities[800:, 1] = 0.6  # 800 of 1000 right: standard error 0.01265
    found = metrics.intervals(labels, probabilities, HALF[:2], resamples=3000, seed=3)
    expected = [0.8 - 1.96 * 0.01265, 0.8 + 1.96 * 0.01265]
    assert found["exact_match"] == pytest.approx(expected, abs=3e-3)
    assert found["map"] == [1.0, 1.0]


def test_bootstrap_of_draws_without_any_label():
    labels, probabilities = np.array([[1, 0], [0, 0]]), np.array([[0.9, 0.1], [0.2, 0.1]])
    found = metrics.intervals(labels, probabilities, HALF[:2], resamples=40)
    assert found["map"] == [0.0, 1.0] and found["exact_match"] == [1.0, 1.0]


def test_bootstrap_intervals_are_those_of_their_seed():
    first, again, other = (
        metrics.intervals(*case(), resamples=20, seed=seed) for seed in (3, 3, 4)
    )
    assert first == again != other
    assert metrics.intervals(*case(), resamples=0) == {}
    with pytest.raises(ValueError, match="0 or more bootstrap resamples; got -1"):
        metrics.intervals(*case(), resamples=-1)


def test_the_part_of_the_document():
    names = ["a", "b", "c", "d"]
    found = measure.measure_multi_label(
        LABELS, PROBABILITIES, names, thresholds=HALF, resamples=10, seed=5
    )
    assert (found["multi_label"], found["thresholds_from"]) == (True, "validation")
    assert (found["images"], found["classes"], found["seed"]) == (5, 4, 5)
    assert found["metrics"] == metrics.summary(LABELS, PROBABILITIES, HALF)
    assert found["intervals"].keys() == set(metrics.METRICS)
    assert [row["name"] for row in found["per_class"]] == names
    assert found["confusion_matrix"] == [
        [[2, 1], [0, 2]], [[3, 1], [0, 1]], [[1, 1], [0, 3]], [[4, 1], [0, 0]]
    ]  # fmt: skip


def test_an_interval_holds_its_figure_where_classes_have_few_images():
    rng = np.random.default_rng(0)
    labels = np.zeros((30, 20), int)
    labels[rng.integers(30, size=20), np.arange(20)] = 1  # one image of each class
    labels[rng.integers(30, size=20), np.arange(20)] = 1
    probabilities = rng.random((30, 20))
    thresholds = np.full(20, 0.5)
    found = metrics.intervals(labels, probabilities, thresholds, resamples=200)
    for name, figure in metrics.summary(labels, probabilities, thresholds).items():
        assert found[name][0] <= figure <= found[name][1]


@pytest.mark.parametrize(("count", "images"), [(1, 1), (1, 8), (3, 10), (10, 10)])
def test_average_precision_by_chance_is_that_of_many_orders(count, images):
    rng = np.random.default_rng(0)
    labels = np.zeros((images, 2000), int)
    labels[:count] = 1
    orders = metrics.average_precision(labels, rng.random(labels.shape))
    expected = metrics.average_precision_by_chance(count, images)
    assert expected == pytest.approx(orders.mean(), abs=0.02)
    assert expected >= count / images - 1e-9


def test_the_order_of_all_images_by_each_class_is_held_where_the_class_is():
    rng = np.random.default_rng(0)
    labels = (rng.random((2000, 100)) < 0.02).astype(int)
    probabilities = metrics.sigmoid(rng.normal(size=labels.shape) + 4 * labels)
    with traced_memory() as peak:
        metrics.weighted_average_precision(labels, probabilities)(np.ones(2000, int))
    assert peak() < probabilities.nbytes
