"""Confusion matrices, most confused pairs, and an order of classes by similarity."""

from collections.abc import Sequence
from typing import Any

import numpy as np

DENSE = 1000  # most classes of a dense confusion matrix: a million counts


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, *, classes: int) -> Any:
    """Returns counts [c, c], true class by predicted class; sparse above `DENSE` classes."""
    from scipy.sparse import coo_array
    from sklearn import metrics as sk

    if classes <= DENSE:
        return sk.confusion_matrix(labels, predicted, labels=np.arange(classes))
    ones = np.ones(len(labels), np.int64)
    return coo_array((ones, (labels, predicted)), shape=(classes, classes)).tocsr()


def most_confused(confusion: Any, limit: int = 8) -> list[dict[str, int]]:
    """Returns the most confused pairs: true, predicted (class indices), count, of (images of the
    true class). Sorted by count; ties go to the larger share of the class, then the smaller
    index."""
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
    """Returns an order of the classes, int [c], that places confused classes next to each other.

    Average-linkage clustering on 2 - the shares of images confused in either direction, with
    optimal leaf ordering (Bar-Joseph et al., "Fast optimal leaf ordering for hierarchical
    clustering", 2001). Without any mistake, the original order.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    mixed = (share + share.T) * ~np.eye(len(share), dtype=bool)
    if not mixed.any() or len(share) < 3:
        return np.arange(len(share))
    distance = squareform(2 - mixed, checks=False)
    return leaves_list(linkage(distance, "average", optimal_ordering=True))


def confused_classes(confusion: np.ndarray, order: Sequence[int], limit: int = 12) -> list[int]:
    """Returns the classes of the most confused pairs, at most `limit`, in their `similar_order`."""
    chosen: set[int] = set()
    for pair in most_confused(confusion, limit * limit):
        if len(chosen | {pair["true"], pair["predicted"]}) > limit:
            break
        chosen |= {pair["true"], pair["predicted"]}
    return [int(i) for i in order if i in chosen]
