"""Metrics of a multi-label classifier: pure functions of labels and probabilities.

Notation: n images, c classes; `labels` is 0 or 1 [n, c], `probabilities` is float [n, c], one
number per class that need not sum to 1, `thresholds` is float [c], or [n, c]. A class is predicted
for an image if its probability is at least its threshold. All metrics are fractions of 1.

Average precision needs no threshold: the precision at each of a class's images, most probable
first, averaged (scikit-learn's, not interpolated; equal probabilities count as one step). A class
without images in the split has no average precision and no recall: its row of the per-class
table holds nulls, and means over classes exclude it.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from pipelines.metrics import bootstrap

#: The metrics of an evaluation, in display order.
METRICS = (
    "map",
    "micro_f1",
    "macro_f1",
    "micro_precision",
    "micro_recall",
    "exact_match",
)


ENOUGH = 20  # images of a class, to choose a threshold for it alone


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Returns probabilities [n, c] of logits [n, c], in float64."""
    from scipy import special

    return special.expit(np.asarray(logits, np.float64))


def check(labels: np.ndarray, probabilities: np.ndarray) -> None:
    """Raises ValueError unless labels and finite probabilities, both [n, c], match."""
    if labels.ndim != 2 or labels.shape != probabilities.shape:
        raise ValueError(
            "expected labels and probabilities [n, classes], "
            f"received {list(labels.shape)} and {list(probabilities.shape)}"
        )
    if not labels.size:
        raise ValueError("expected at least one image to measure; got none")
    if not np.isin(labels, (0, 1)).all():
        bad = labels[~np.isin(labels, (0, 1))][0]
        raise ValueError(f"expected labels 0 and 1, one for every class; got {bad:g}")
    if not np.isfinite(probabilities).all():
        bad = int(np.argmin(np.isfinite(probabilities).all(axis=1)))
        raise ValueError(f"the model's output for image {bad} is not a finite number")
    if probabilities.min() < 0 or probabilities.max() > 1:
        raise ValueError(
            "expected probabilities from 0 to 1 (the sigmoid of logits); "
            f"got {probabilities.min():.4g} to {probabilities.max():.4g}"
        )
    if not labels.any():
        raise ValueError("no image has a label: there is nothing to find")


def average_precision(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Returns the average precision of each class, float [c]; nan for a class without images."""
    from sklearn.metrics import average_precision_score

    check(labels, probabilities)
    return np.array(
        [
            average_precision_score(*pair) if pair[0].any() else np.nan
            for pair in zip(labels.T, probabilities.T, strict=True)
        ]
    )


def choose_thresholds(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Returns the threshold of each class with the highest F1, float [c].

    Use validation images: thresholds chosen on the test images would overestimate the metrics. Ties
    go to the highest threshold. It is half-way between the lowest accepted probability and the next
    one below it (0 if there is none). Classes with fewer than `ENOUGH` images share the one of the
    highest F1 over all their pairs of image and class, as each by itself would be fitted to chance
    (Yang 2001, "A Study of Thresholding Strategies for Text Categorization"); 0.5 without any.
    """
    check(labels, probabilities)
    found = np.array([_threshold(*pair) for pair in zip(labels.T, probabilities.T, strict=True)])
    rare = labels.sum(axis=0) < ENOUGH
    if rare.any():
        found[rare] = _threshold(labels[:, rare].ravel(), probabilities[:, rare].ravel())
    return found


def _threshold(labels: np.ndarray, probabilities: np.ndarray) -> float:
    if not labels.any():
        return 0.5
    order = np.argsort(-probabilities, kind="stable")
    sorted_, hits = probabilities[order], np.cumsum(labels[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + labels.sum())
    below = np.append(sorted_[1:], 0.0)
    f1[sorted_ == below] = -1  # not between equal probabilities, nor below 0
    best = int(f1.argmax())
    return float((sorted_[best] + below[best]) / 2) if f1[best] >= 0 else 0.5


def thresholds_in(document: Mapping[str, Any] | None) -> dict[str, float] | None:
    """Class name -> the threshold that a run chose, of `results.json` or `export.json`.

    None of documents of images with one label each, and of other commands.
    """
    if not document or not document.get("multi_label"):
        return None
    if "thresholds" in document:
        return dict(document["thresholds"])
    found = {row["name"]: row.get("threshold") for row in document.get("per_class", ())}
    return found if found and None not in found.values() else None


def summary(
    labels: np.ndarray, probabilities: np.ndarray, thresholds: np.ndarray
) -> dict[str, float]:
    """Returns the metrics of `METRICS`.

    `map` is the mean of the classes' average precisions, `macro_f1` of their F1. `micro_*` pool all
    (image, class) pairs: precision and recall of the predicted classes. Precision without any
    prediction is 0. `exact_match` is the share of images with all classes predicted correctly.
    """
    from sklearn import metrics as sk

    check(labels, probabilities)
    said = predicted(probabilities, thresholds)
    held = np.flatnonzero(labels.any(axis=0))
    scores: dict[str, Any] = {"labels": held, "zero_division": 0}
    micro = {"average": "micro", "zero_division": 0}
    figures = {
        "map": np.nanmean(average_precision(labels, probabilities)),
        "micro_f1": sk.f1_score(labels, said, **micro),
        "macro_f1": sk.f1_score(labels, said, average="macro", **scores),
        "micro_precision": sk.precision_score(labels, said, **micro),
        "micro_recall": sk.recall_score(labels, said, **micro),
        "exact_match": sk.accuracy_score(labels, said),
    }
    return {name: float(figures[name]) for name in METRICS}


def predicted(probabilities: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Returns the predicted classes, 0 or 1 [n, c]; ValueError unless thresholds are [c], or [n, c]
    of images that several models answered."""
    thresholds = np.asarray(thresholds)
    if thresholds.shape not in (probabilities.shape[1:], probabilities.shape):
        raise ValueError(
            f"expected a threshold for each of {probabilities.shape[1]} classes; "
            f"received {list(thresholds.shape)}"
        )
    return (probabilities >= thresholds).astype(int)


def per_class(
    labels: np.ndarray,
    probabilities: np.ndarray,
    thresholds: np.ndarray,
    class_names: list[str],
) -> list[dict[str, Any]]:
    """Returns one row per class: name, count (images), predicted (times), average_precision,
    precision, recall, f1, threshold. The four metrics are None for a class without images.
    """
    said = predicted(probabilities, thresholds)
    counts, times = labels.sum(axis=0), said.sum(axis=0)
    right = (labels * said).sum(axis=0)
    precisions = average_precision(labels, probabilities)
    rows = []
    for i, name in enumerate(class_names):
        n, hits, known = int(counts[i]), int(right[i]), counts[i] > 0
        rows.append(
            {
                "name": name,
                "count": n,
                "predicted": int(times[i]),
                "average_precision": float(precisions[i]) if known else None,
                "precision": hits / max(int(times[i]), 1) if known else None,
                "recall": hits / n if known else None,
                "f1": 2 * hits / (n + int(times[i])) if known else None,
                "threshold": float(np.atleast_2d(thresholds)[0, i]),
            }
        )
    return rows


def intervals(
    labels: np.ndarray,
    probabilities: np.ndarray,
    thresholds: np.ndarray,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, list[float]]:
    """Returns [low, high] of every metric of `summary`, by bootstrap.

    Images are resampled with all their labels; thresholds stay fixed. Corrected for bias: an image
    that is drawn twice is found twice at its rank, so that the average precision of a class with
    few images is overestimated.
    """
    check(labels, probabilities)
    return bootstrap.percentiles(
        weighted_summary(labels, probabilities, thresholds),
        len(labels),
        names=METRICS,
        resamples=resamples,
        seed=seed,
        unbiased=True,
    )


def average_precision_by_chance(count: int, images: int) -> float:
    """The expected average precision of a class with `count` of so many images, in an order by
    chance: more than its share of them where they are few (Bestgen 2015, "Exact Expected Average
    Precision of the Random Baseline for System Evaluation")."""
    harmonic = float((1 / np.arange(1, images + 1)).sum())
    others = (count - 1) / (images - 1) * (images - harmonic) if images > 1 else 0.0
    return (harmonic + others) / images


def weighted_summary(
    labels: np.ndarray, probabilities: np.ndarray, thresholds: np.ndarray
) -> Callable[[np.ndarray], list[float]]:
    """Returns a function from image counts [n] to the metrics in the order of `METRICS`.

    With all counts 1 it equals `summary`.
    """
    from scipy.sparse import csc_array

    said = predicted(probabilities, thresholds)
    exact = (said == labels).all(axis=1)
    every = (csc_array(each.astype(np.int8)).T.tocsr() for each in (labels, said, labels * said))
    truth, said, right = (each.astype(np.int64) for each in every)  # [c, n], most of it 0
    mean_precision = mean_average_precision(labels, probabilities)

    def figures(counts: np.ndarray) -> list[float]:
        true, times, hits = truth @ counts, said @ counts, right @ counts
        held = true > 0
        if not held.any():  # a resample of images without labels
            return [0.0, 0.0, 0.0, 0.0, 0.0, float(counts @ exact / counts.sum())]
        return [
            mean_precision(counts),
            2 * hits.sum() / (true.sum() + times.sum()),
            (2 * hits[held] / (true[held] + times[held])).mean(),
            hits.sum() / max(times.sum(), 1),
            hits.sum() / true.sum(),
            counts @ exact / counts.sum(),
        ]

    return figures


def mean_average_precision(
    labels: np.ndarray, probabilities: np.ndarray
) -> Callable[[np.ndarray], float]:
    """Returns a function from image counts [n] to `map`; 0 of counts without a label."""
    precisions = weighted_average_precision(labels, probabilities)

    def figure(counts: np.ndarray) -> float:
        found = precisions(counts)
        known = found[~np.isnan(found)]
        return float(known.mean()) if len(known) else 0.0

    return figure


def weighted_average_precision(
    labels: np.ndarray, probabilities: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function from image counts [n] to the average precision of each class, [c].

    Classes are sorted once; a resample then costs a sum of counts per class, of the images as
    probable as its least probable one or more. Memory is a number for each of these.
    """
    columns = zip(labels.T.astype(bool), probabilities.T, strict=True)
    ranked = [_Ranked.of(*column) if column[0].any() else None for column in columns]

    def precisions(counts: np.ndarray) -> np.ndarray:
        small = counts.astype(np.int32)  # half of the memory to gather from
        return np.array([np.nan if each is None else each.precision(small) for each in ranked])

    return precisions


class _Ranked(NamedTuple):
    """The images of a class, most probable first, as far down as one of the class is.

    Images of equal probability count as one step.
    """

    order: np.ndarray  # images down to the last step
    starts: np.ndarray  # of the parts of `order`, each ending where a step with a hit does
    hits: np.ndarray  # images of the class, in this order
    step: np.ndarray  # of each hit, among the parts
    through: np.ndarray  # hits of a part and of those before it

    @classmethod
    def of(cls, labels: np.ndarray, probabilities: np.ndarray) -> "_Ranked":
        """From whether each image has the class, bool [n], and its probability, float [n]."""
        order = np.argsort(-probabilities, kind="stable")
        sorted_, place = probabilities[order], np.flatnonzero(labels[order])
        ends = np.append(np.flatnonzero(sorted_[1:] != sorted_[:-1]), len(order) - 1)
        last = ends[np.searchsorted(ends, place)]  # of the images as probable as the hit
        parts, step = np.unique(last, return_inverse=True)
        starts = np.concatenate([[0], parts[:-1] + 1])
        through = np.searchsorted(place, parts, side="right")
        small = np.min_scalar_type(len(order))
        return cls(order[: parts[-1] + 1].astype(small), starts, order[place], step, through)

    def precision(self, counts: np.ndarray) -> float:
        """Returns the average precision where images count so many times, int [n]; nan of none."""
        seen = np.add.reduceat(counts[self.order], self.starts, dtype=np.int64).cumsum()
        own = counts[self.hits]
        found = np.cumsum(own)[self.through - 1]
        if not found[-1]:
            return np.nan
        steps = own * found[self.step] / np.maximum(seen[self.step], 1)
        return float(np.bincount(np.zeros(len(steps), np.int64), steps)[0] / found[-1])
