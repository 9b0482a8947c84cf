"""The figures against hand-worked matrices, and the bootstrap against what it estimates."""

import numpy as np
import pytest
from traced_memory import traced_memory

from pipelines.metrics import calibration, classification
from pipelines.metrics import confusion as metrics_confusion

# Six images of three classes, and a fourth class without images.
LABELS = np.array([0, 0, 0, 1, 1, 2])
PROBABILITIES = np.array(
    [
        [0.7, 0.1, 0.1, 0.1],  # right
        [0.6, 0.2, 0.1, 0.1],  # right
        [0.2, 0.5, 0.2, 0.1],  # a 0 called 1
        [0.1, 0.8, 0.1, 0.0],  # right
        [0.1, 0.2, 0.1, 0.6],  # a 1 called 3
        [0.1, 0.6, 0.2, 0.1],  # a 2 called 1
    ]
)
CONFUSION = np.array([[2, 1, 0, 0], [0, 1, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]])


def test_confusion_matrix_has_true_rows_and_predicted_columns():
    found = metrics_confusion.confusion_matrix(LABELS, PROBABILITIES.argmax(1), classes=4)
    assert found.tolist() == CONFUSION.tolist()


def test_many_classes_have_no_dense_matrix(monkeypatch):
    predicted = PROBABILITIES.argmax(1)
    monkeypatch.setattr(metrics_confusion, "DENSE", 3)
    found = metrics_confusion.confusion_matrix(LABELS, predicted, classes=4)
    assert found.nnz == 5 and found.toarray().tolist() == CONFUSION.tolist()
    names = list("abcd")
    assert classification.per_class(found, names) == classification.per_class(CONFUSION, names)
    assert metrics_confusion.most_confused(found) == metrics_confusion.most_confused(CONFUSION)


def test_summary_of_six_images_worked_by_hand():
    figures = classification.summary(LABELS, PROBABILITIES)
    # Recalls 2/3, 1/2, 0; precisions 2/2, 1/3, 0; f1 4/5, 2/5, 0: class 3 has no images.
    expected = {
        "top1": 3 / 6,
        "top5": 1.0,  # four classes: all of them are among the best five
        "mean_per_class": (2 / 3 + 1 / 2) / 3,
        "macro_precision": (1 + 1 / 3) / 3,
        "macro_recall": (2 / 3 + 1 / 2) / 3,
        "macro_f1": (4 / 5 + 2 / 5) / 3,
        # Bins of width 1/15: 0.7 and 0.6 x3 and 0.5 and 0.8 fall in bins 10, 8, 7 and 11;
        # gaps 0.3, |1/3 - 0.6|, 0.5 and 0.2 over 1, 3, 1 and 1 images.
        "ece": (0.3 + 3 * (0.6 - 1 / 3) + 0.5 + 0.2) / 6,
    }
    assert tuple(figures) == classification.METRICS
    assert figures == pytest.approx(expected)


def test_balanced_accuracy_of_scikit_learn_is_mean_per_class():
    from sklearn.metrics import balanced_accuracy_score

    rng = np.random.default_rng(0)
    labels, probabilities = rng.integers(7, size=90), rng.random((90, 7))
    found = classification.summary(labels, probabilities)["mean_per_class"]
    assert found == pytest.approx(balanced_accuracy_score(labels, probabilities.argmax(1)))


def test_top5_counts_the_five_best_of_six():
    probabilities = np.array([[0.3, 0.25, 0.2, 0.15, 0.06, 0.04]] * 2)
    labels = np.array([4, 5])  # fifth best, and last
    assert classification.in_top(labels, probabilities, 5).tolist() == [True, False]
    assert classification.summary(labels, probabilities)["top5"] == 0.5


def test_per_class_rows_of_a_class_without_images_are_null():
    rows = classification.per_class(CONFUSION, ["a", "b", "c", "d"])
    assert rows[0] == {
        "name": "a",
        "count": 3,
        "predicted": 2,
        "precision": 1.0,
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(0.8),
    }
    assert rows[2]["precision"] == rows[2]["recall"] == rows[2]["f1"] == 0.0
    assert rows[3] == {
        "name": "d",
        "count": 0,
        "predicted": 1,
        "precision": None,
        "recall": None,
        "f1": None,
    }


def test_calibration_bins_are_closed_on_the_right():
    confidence = np.array([0.0, 0.25, 0.26, 0.5, 1.0])
    assert calibration.bin_of(confidence, bins=4).tolist() == [0, 0, 1, 1, 3]
    bins = calibration.calibration_bins(confidence, np.array([0, 1, 1, 0, 1], bool), bins=4)
    assert [b["count"] for b in bins] == [2, 2, 0, 1]
    assert bins[0] == {"low": 0.0, "high": 0.25, "count": 2, "confidence": 0.125, "accuracy": 0.5}
    assert bins[2]["accuracy"] is None
    # |0.5 - 0.125| x 2/5 + |0.5 - 0.38| x 2/5 + |1 - 1| x 1/5
    assert calibration.calibration_error(bins) == pytest.approx(0.4 * 0.375 + 0.4 * 0.12)


def test_most_confused_orders_by_images_then_by_share_then_by_index():
    confusion = np.array([[5, 3, 0], [1, 2, 0], [0, 3, 9]])
    assert metrics_confusion.most_confused(confusion, 3) == [
        {"true": 0, "predicted": 1, "count": 3, "of": 8},
        {"true": 2, "predicted": 1, "count": 3, "of": 12},
        {"true": 1, "predicted": 0, "count": 1, "of": 3},
    ]
    assert metrics_confusion.most_confused(np.diag([2, 3])) == []


def test_softmax_of_large_logits_is_finite():
    found = classification.softmax(np.array([[1000.0, 1000.0], [0.0, np.log(3.0)]]))
    assert found == pytest.approx(np.array([[0.5, 0.5], [0.25, 0.75]]))


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0], [[0.5, 0.5]] * 2, r"\[1\] and \[2, 2\]"),
        ([], np.zeros((0, 2)), "at least one image"),
        ([0, 2], [[0.5, 0.5]] * 2, "expected labels 0 to 1; got 0 to 2"),
        ([0, 1], [[0.5, 0.5], [np.nan, 0.5]], "image 1 is not a finite number"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(labels, probabilities, message):
    with pytest.raises(ValueError, match=message):
        classification.check(np.array(labels, int), np.array(probabilities))


def test_bootstrap_figures_with_every_image_once_are_the_summary():
    rng = np.random.default_rng(1)
    probabilities = classification.softmax(3 * rng.normal(size=(400, 12)))
    labels = rng.integers(11, size=400)  # class 11 has no images
    figures = classification.weighted_summary(labels, probabilities)(np.ones(400, int))
    summary = classification.summary(labels, probabilities)
    assert dict(zip(classification.METRICS, figures, strict=True)) == pytest.approx(summary)


def test_bootstrap_figures_weigh_images_by_their_counts():
    counts = np.array([2, 0, 1, 1, 0, 2])
    copies = np.repeat(np.arange(6), counts)
    figures = classification.weighted_summary(LABELS, PROBABILITIES)(counts)
    summary = classification.summary(LABELS[copies], PROBABILITIES[copies])
    assert dict(zip(classification.METRICS, figures, strict=True)) == pytest.approx(summary)


def test_bootstrap_interval_of_an_accuracy_is_the_binomial_one():
    labels = np.zeros(1000, int)
    probabilities = np.tile([0.9, 0.1], (1000, 1))
    probabilities[800:] = [0.1, 0.9]  # 800 of 1000 right: standard error 0.01265
    found = classification.intervals(labels, probabilities, resamples=4000, seed=3)
    assert found["top1"] == pytest.approx([0.8 - 1.96 * 0.01265, 0.8 + 1.96 * 0.01265], abs=2e-3)


def test_bootstrap_intervals_are_those_of_their_seed():
    first, again, other = (
        classification.intervals(LABELS, PROBABILITIES, resamples=50, seed=seed)
        for seed in (3, 3, 4)
    )
    assert first == again != other


def test_bootstrap_without_resamples_gives_no_intervals():
    assert classification.intervals(LABELS, PROBABILITIES, resamples=0) == {}
    with pytest.raises(ValueError, match="0 or more bootstrap resamples; got -1"):
        classification.intervals(LABELS, PROBABILITIES, resamples=-1)


def test_probabilities_are_not_held_again_to_measure_them():
    rng = np.random.default_rng(0)
    labels, logits = rng.integers(1000, size=2000), rng.normal(size=(2000, 1000))
    with traced_memory() as peak:
        probabilities = classification.softmax(logits)
    assert peak() < 1.4 * probabilities.nbytes  # the result, and blocks of it
    with traced_memory() as peak:
        classification.in_top(labels, probabilities, 5)
    assert peak() < 0.4 * probabilities.nbytes
