"""Computes the metrics, intervals and per-class tables of a set of predictions."""

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.metrics import calibration, classification, multilabel
from pipelines.metrics import confusion as metrics_confusion
from pipelines.runs import results

if TYPE_CHECKING:
    from tfrecords import Manifest


def cost(start: float, rate: float) -> dict[str, float]:
    """What an evaluation took: `start` is of `time.perf_counter`, `rate` in images/s."""
    return {
        "seconds": time.perf_counter() - start,
        "images_per_second": rate,
        "peak_rss_bytes": results.peak_rss_bytes(),
    }


def judged_by(manifest: "Manifest") -> str:
    """The metric that the images of the records are judged by, one of those that are measured."""
    if manifest.multi_label:
        return "map"
    return manifest.metric if manifest.metric in classification.METRICS else "top1"


def measure(
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: list[str],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Returns the part of the results computed from labels [n] and probabilities [n, c]."""
    figures = classification.summary(labels, probabilities)
    predicted, dense = probabilities.argmax(axis=1), len(class_names) <= metrics_confusion.DENSE
    confusion = metrics_confusion.confusion_matrix(labels, predicted, classes=len(class_names))
    bins = calibration.calibration_bins(probabilities.max(axis=1), predicted == labels)
    return {
        "images": len(labels),
        "classes": len(class_names),
        "metrics": figures,
        "intervals": classification.intervals(
            labels, probabilities, resamples=resamples, seed=seed
        ),
        "per_class": classification.per_class(confusion, class_names),
        "confusion_matrix": confusion.tolist() if dense else [],
        "calibration": bins,
        "most_confused": metrics_confusion.most_confused(confusion),
        "seed": seed,
    }


def measure_multi_label(
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: list[str],
    *,
    thresholds: np.ndarray,
    thresholds_from: str = "validation",
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Returns the same for multi-label data: labels 0 or 1 and probabilities, both [n, c].

    thresholds: [c], from `multilabel.choose_thresholds` on other images than these;
    thresholds_from: the split of those images.
    """
    from sklearn.metrics import multilabel_confusion_matrix

    figures = multilabel.summary(labels, probabilities, thresholds)
    said = multilabel.predicted(probabilities, thresholds)
    return {
        "multi_label": True,
        "thresholds_from": thresholds_from,
        "images": len(labels),
        "classes": len(class_names),
        "metrics": figures,
        "intervals": multilabel.intervals(
            labels, probabilities, thresholds, resamples=resamples, seed=seed
        ),
        "per_class": multilabel.per_class(labels, probabilities, thresholds, class_names),
        "confusion_matrix": multilabel_confusion_matrix(labels, said).tolist(),
        "seed": seed,
    }
