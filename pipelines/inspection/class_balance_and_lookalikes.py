"""Class balance, and classes that look alike."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from duet import rows_by_class, unit_rows

UNBALANCED = 5.0  # images of the largest class for each of the smallest

ALIKE = 10  # pairs of classes that are listed

MIXED_UP = 0.05  # share of the images of two classes that are taken for the other from which on


def unbalanced(counts: Sequence[int], names: Sequence[str]) -> dict[str, Any] | None:
    """The largest and the smallest class, where they differ more than `UNBALANCED` to 1.

    Classes without an image are listed by themselves: `{largest, smallest, ratio, empty}`.
    """
    there = [label for label, count in enumerate(counts) if count]
    empty = [names[label] for label, count in enumerate(counts) if not count]
    if not there:
        return None
    most, least = max(there, key=lambda c: counts[c]), min(there, key=lambda c: counts[c])
    ratio = counts[most] / counts[least]
    if ratio <= UNBALANCED and not empty:
        return None
    return {
        "largest": {"name": names[most], "images": int(counts[most])},
        "smallest": {"name": names[least], "images": int(counts[least])},
        "ratio": float(ratio),
        "empty": empty,
    }


def alike(
    embeddings: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, names: Sequence[str]
) -> list[dict[str, Any]]:
    """The pairs of classes that are mixed up most: `{a, b, mixed_up, of, cosine}`.

    Args:
        embeddings: float [n, e], of unit length.
        labels: int [n], every class among them.
        probabilities: float [n, c], out of sample; names: of the c classes.

    Returns:
        `mixed_up` images of `of` are taken for the other class; `cosine` is of the classes' mean
        embeddings, centred by the mean of all.
    """
    count = len(names)
    said = probabilities.argmax(axis=1)
    wrong = said != labels
    mixed_up = np.sort(np.stack([labels[wrong], said[wrong]]).astype(np.int64), axis=0)
    pairs, times = np.unique(mixed_up.T @ (count, 1), return_counts=True)  # of c * c few occur
    members = rows_by_class.of(labels)
    means = np.stack([embeddings[rows].mean(axis=0) for rows in members])
    means = unit_rows.unit(means - means.mean(axis=0))
    sizes = np.bincount(labels, minlength=count)
    found: list[dict[str, Any]] = []
    for pair, mixed in zip(pairs.tolist(), times.tolist(), strict=True):
        a, b = divmod(pair, count)
        of = int(sizes[a] + sizes[b])
        if mixed > MIXED_UP * of:
            own = {"a": names[a], "b": names[b], "mixed_up": mixed, "of": of}
            found.append({**own, "cosine": float(means[a] @ means[b])})
    return sorted(found, key=lambda row: -row["mixed_up"] / row["of"])[:ALIKE]
