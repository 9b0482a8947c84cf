"""Metrics of a single-label classifier: pure functions of labels and probabilities.

Where scikit-learn defines a metric, scikit-learn computes it. Notation: n images, c classes;
`labels` and `predicted` are int [n], `probabilities` is float [n, c]. Every accuracy is a
fraction of 1. A class without images in the split has no recall: its row of the per-class
table holds nulls, and means over classes exclude it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from duet import row_blocks
from pipelines.metrics import calibration
from pipelines.metrics.bootstrap import percentiles
from pipelines.metrics.calibration import calibration_bins, calibration_error


def intervals(
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, list[float]]:
    """Returns [low, high] of every figure of `summary`.

    labels: int [n]; probabilities: float [n, c]. The same seed gives the same intervals; {} for 0
    resamples. Means over classes run over the classes present in a resample.
    Raises ValueError for a negative number of resamples.
    """
    return percentiles(
        weighted_summary(labels, probabilities),
        len(labels),
        names=METRICS,
        resamples=resamples,
        seed=seed,
    )


def weighted_summary(
    labels: np.ndarray, probabilities: np.ndarray
) -> Callable[[np.ndarray], list[float]]:
    """Returns a function from image counts [n] to the figures in the order of `METRICS`.

    With all counts 1 it equals `summary`.
    """
    check(labels, probabilities)
    classes = probabilities.shape[1]
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    correct = predicted == labels
    hits5 = in_top(labels, probabilities, 5)
    place = calibration.bin_of(confidence)
    surplus = correct - confidence  # summed over a bin: its images x (accuracy - confidence)

    def figures(counts: np.ndarray) -> list[float]:
        n = counts.sum()
        true = np.bincount(labels, counts, classes)
        said = np.bincount(predicted, counts, classes)
        right = np.bincount(labels, counts * correct, classes)
        held = true > 0
        recall = (right[held] / true[held]).mean()
        precision = (right[held] / np.maximum(said[held], 1)).mean()
        f1 = (2 * right[held] / (true[held] + said[held])).mean()
        ece = np.abs(np.bincount(place, counts * surplus)).sum() / n
        return [right.sum() / n, counts @ hits5 / n, recall, precision, recall, f1, ece]

    return figures


def mean_per_class(labels: np.ndarray, right: np.ndarray) -> Callable[[np.ndarray], float]:
    """Returns a function from image counts [n] to the mean of the classes' accuracies.

    labels: int [n]; right: bool [n]. Classes without an image among those counted are left out.
    """
    classes = int(labels.max()) + 1 if len(labels) else 0

    def figure(counts: np.ndarray) -> float:
        true = np.bincount(labels, counts, classes)
        hits = np.bincount(labels, counts * right, classes)
        return float((hits[true > 0] / true[true > 0]).mean())

    return figure


#: The metrics of an evaluation, in display order.
METRICS = (
    "top1",
    "top5",
    "mean_per_class",
    "macro_precision",
    "macro_recall",
    "macro_f1",
    "ece",
)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Returns probabilities [n, c] of logits [n, c], in float64."""
    found = np.empty(np.shape(logits), np.float64)
    for rows in row_blocks.of(found.shape):
        part = found[rows]
        part[:] = logits[rows]
        part -= part.max(axis=1, keepdims=True)
        np.exp(part, out=part)
        part /= part.sum(axis=1, keepdims=True)
    return found


def check(labels: np.ndarray, probabilities: np.ndarray) -> None:
    """Raises ValueError unless labels [n] and finite probabilities [n, c] match."""
    if labels.ndim != 1 or probabilities.ndim != 2 or len(labels) != len(probabilities):
        raise ValueError(
            "expected labels [n] and probabilities [n, classes], "
            f"received {list(labels.shape)} and {list(probabilities.shape)}"
        )
    if not len(labels):
        raise ValueError("expected at least one image to measure; got none")
    classes = probabilities.shape[1]
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"expected labels 0 to {classes - 1}; got {labels.min()} to {labels.max()}"
        )
    if not np.isfinite(probabilities).all():
        bad = int(np.argmin(np.isfinite(probabilities).all(axis=1)))
        raise ValueError(f"the model's output for image {bad} is not a finite number")


def in_top(labels: np.ndarray, probabilities: np.ndarray, k: int) -> np.ndarray:
    """Returns whether each image's class is among its k most probable: bool [n].

    Ties go to the class with the larger index, as in scikit-learn.
    """
    before = np.empty(len(labels), np.int64)  # classes that come before an image's own
    places = np.arange(probabilities.shape[1])
    for rows in row_blocks.of(probabilities.shape):
        part, own = probabilities[rows], labels[rows, None]
        least = np.take_along_axis(part, own, axis=1)
        tied = (part == least) & (places > own)
        before[rows] = np.count_nonzero((part > least) | tied, axis=1)
    return before < k


def summary(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Returns the metrics of `METRICS`.

    With five classes or fewer, `top5` is 1. A class that is never predicted has precision 0.
    `macro_*` are means over the classes with images, so `macro_recall` and `mean_per_class`
    (scikit-learn's balanced accuracy) are the same number under its two usual names.
    """
    from sklearn import metrics as sk

    check(labels, probabilities)
    predicted = probabilities.argmax(axis=1)
    precision, recall, f1, _ = sk.precision_recall_fscore_support(
        labels, predicted, labels=np.unique(labels), average="macro", zero_division=0
    )
    figures = {
        "top1": sk.accuracy_score(labels, predicted),
        "top5": in_top(labels, probabilities, 5).mean(),
        "mean_per_class": recall,
        "macro_precision": precision,
        "macro_recall": recall,
        "macro_f1": f1,
        "ece": calibration_error(calibration_bins(probabilities.max(axis=1), predicted == labels)),
    }
    return {name: float(figures[name]) for name in METRICS}


def per_class(confusion: Any, class_names: list[str]) -> list[dict[str, Any]]:
    """Returns one row per class: name, count (images), predicted (times), precision, recall, f1.

    The last three are None for a class without images.
    """
    counts, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    right = confusion.diagonal()
    rows = []
    for name, n, said, hits in zip(class_names, counts, predicted, right, strict=True):
        known = n > 0
        rows.append(
            {
                "name": name,
                "count": int(n),
                "predicted": int(said),
                "precision": float(hits / max(said, 1)) if known else None,
                "recall": float(hits / n) if known else None,
                "f1": float(2 * hits / (n + said)) if known else None,
            }
        )
    return rows
