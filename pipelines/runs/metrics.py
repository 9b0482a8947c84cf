"""Figures of a single-label classifier: pure functions of labels and probabilities.

What scikit-learn defines is scikit-learn's here; the calibration error and the bootstrap are
ours. Notation: n pictures, c classes; `labels` and `predicted` are int [n], `probabilities` is
float [n, c]. Every accuracy is a fraction of 1.

A class without a picture in the split has no recall, so its row of the per-class table holds
nulls and the means over classes leave it out.
"""

from typing import Any

import numpy as np

#: The figures of one evaluation, in the order they are shown.
METRICS = (
    "top1",
    "top5",
    "mean_per_class",
    "macro_precision",
    "macro_recall",
    "macro_f1",
    "ece",
)
DENSE = 1000  # classes up to which a matrix of them is kept whole: a million counts
BINS = 15  # of the calibration error, as in Guo et al. (2017), section 5


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities [n, c] of logits [n, c], in float64."""
    shifted = np.asarray(logits, np.float64)
    powers = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def check(labels: np.ndarray, probabilities: np.ndarray) -> None:
    """Raises ValueError unless labels [n] and finite probabilities [n, c] belong together."""
    if labels.ndim != 1 or probabilities.ndim != 2 or len(labels) != len(probabilities):
        raise ValueError(
            "expected labels [n] and probabilities [n, classes], "
            f"received {list(labels.shape)} and {list(probabilities.shape)}"
        )
    if not len(labels):
        raise ValueError("expected at least one picture to measure; got none")
    classes = probabilities.shape[1]
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"expected labels 0 to {classes - 1}; got {labels.min()} to {labels.max()}"
        )
    if not np.isfinite(probabilities).all():
        bad = int(np.argmin(np.isfinite(probabilities).all(axis=1)))
        raise ValueError(f"the model's output for picture {bad} is not a finite number")


def in_top(labels: np.ndarray, probabilities: np.ndarray, k: int) -> np.ndarray:
    """Whether each picture's class is among its k most probable: bool [n].

    Among equals the class with the larger index goes first, as in scikit-learn.
    """
    best = np.argsort(probabilities, axis=1, kind="stable")[:, ::-1][:, :k]
    return (best == labels[:, None]).any(axis=1)


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, *, classes: int) -> Any:
    """Counts [c, c]: row the true class, column the predicted one; sparse above `DENSE` classes."""
    from scipy.sparse import coo_array
    from sklearn import metrics as sk

    if classes <= DENSE:
        return sk.confusion_matrix(labels, predicted, labels=np.arange(classes))
    ones = np.ones(len(labels), np.int64)
    return coo_array((ones, (labels, predicted)), shape=(classes, classes)).tocsr()


def summary(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """The figures named in `METRICS`.

    With five classes or fewer every class is among the best five, so `top5` is 1.
    A class that is never predicted has precision 0. `macro_*` are means over the classes that
    have pictures, which makes `macro_recall` and `mean_per_class` (scikit-learn's balanced
    accuracy) the same number under its two usual names.
    """
    from sklearn import metrics as sk

    check(labels, probabilities)
    classes = probabilities.shape[1]
    predicted = probabilities.argmax(axis=1)
    precision, recall, f1, _ = sk.precision_recall_fscore_support(
        labels, predicted, labels=np.unique(labels), average="macro", zero_division=0
    )
    top5 = 1.0
    if classes > 5:
        top5 = sk.top_k_accuracy_score(labels, probabilities, k=5, labels=np.arange(classes))
    figures = {
        "top1": sk.accuracy_score(labels, predicted),
        "top5": top5,
        "mean_per_class": recall,
        "macro_precision": precision,
        "macro_recall": recall,
        "macro_f1": f1,
        "ece": calibration_error(calibration_bins(probabilities.max(axis=1), predicted == labels)),
    }
    return {name: float(figures[name]) for name in METRICS}


def per_class(confusion: Any, class_names: list[str]) -> list[dict[str, Any]]:
    """One row per class: name, count (pictures), predicted (times), precision, recall, f1.

    The last three are None for a class without pictures.
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


def bin_of(confidence: np.ndarray, *, bins: int = BINS) -> np.ndarray:
    """The calibration bin of each confidence, int [n]: the m-th of M is ((m-1)/M, m/M], and 0
    is in the first (Guo et al., "On Calibration of Modern Neural Networks", 2017, section 2).
    """
    return np.clip(np.ceil(np.asarray(confidence) * bins).astype(int) - 1, 0, bins - 1)


def calibration_bins(
    confidence: np.ndarray, correct: np.ndarray, *, bins: int = BINS
) -> list[dict[str, Any]]:
    """Pictures grouped by confidence into equal-width bins, as `bin_of` places them.

    confidence: float [n], the probability of the predicted class; correct: bool [n].
    Returns one dict per bin: low, high, count, and the means confidence and accuracy
    (None where the bin is empty).
    """
    place = bin_of(confidence, bins=bins)
    counts = np.bincount(place, minlength=bins)
    sums = [np.bincount(place, weights=w, minlength=bins) for w in (confidence, correct)]
    return [
        {
            "low": m / bins,
            "high": (m + 1) / bins,
            "count": int(n),
            "confidence": float(sums[0][m] / n) if n else None,
            "accuracy": float(sums[1][m] / n) if n else None,
        }
        for m, n in enumerate(counts)
    ]


def calibration_error(bins: list[dict[str, Any]]) -> float:
    """Expected calibration error: the mean over pictures of |accuracy - confidence| of their
    bin (Guo et al. 2017, equation 3)."""
    filled = [b for b in bins if b["count"]]
    gaps = sum(b["count"] * abs(b["accuracy"] - b["confidence"]) for b in filled)
    return gaps / sum(b["count"] for b in filled)


def most_confused(confusion: Any, limit: int = 8) -> list[dict[str, int]]:
    """The pairs of classes that are mixed up most: true, predicted (class indices), count, of
    (pictures of the true class). Most pictures first; among equals the larger share of the
    class, then the smaller index."""
    of = confusion.sum(axis=1)
    true, predicted = confusion.nonzero()
    wrong = true != predicted
    true, predicted = true[wrong], predicted[wrong]
    counts = np.asarray(confusion[true, predicted])
    order = np.lexsort((predicted, true, of[true], -counts))[:limit]
    return [
        {
            "true": int(true[i]),
            "predicted": int(predicted[i]),
            "count": int(counts[i]),
            "of": int(of[true[i]]),
        }
        for i in order
    ]


def similar_order(confusion: np.ndarray) -> np.ndarray:
    """An order of the classes, int [c], in which classes that are mixed up stand together.

    Average-linkage clustering on 2 - the shares of pictures mixed up either way, leaves ordered
    optimally (Bar-Joseph et al., "Fast optimal leaf ordering for hierarchical clustering", 2001).
    Without a mistake the order is that of the classes.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    mixed = (share + share.T) * ~np.eye(len(share), dtype=bool)
    if not mixed.any() or len(share) < 3:
        return np.arange(len(share))
    distance = squareform(2 - mixed, checks=False)
    return leaves_list(linkage(distance, "average", optimal_ordering=True))


def confused_classes(confusion: np.ndarray, limit: int = 12) -> list[int]:
    """The classes of the most confused pairs, at most `limit`, in the order of `similar_order`."""
    chosen: set[int] = set()
    for pair in most_confused(confusion, limit * limit):
        if len(chosen | {pair["true"], pair["predicted"]}) > limit:
            break
        chosen |= {pair["true"], pair["predicted"]}
    return [int(i) for i in similar_order(confusion) if i in chosen]
