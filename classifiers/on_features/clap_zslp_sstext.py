"""Published probes initialised at the class names: CLAP, ZS-LP and SS-Text."""

import numpy as np

from classifiers.on_features.fitted import LinearFit, linear
from classifiers.on_features.solvers import cross_entropy
from classifiers.on_features.task import Task, unit
from duet import unit_rows

EPOCHS, BATCH = 300, 256
RATE, FIRST_RATE, MOMENTUM = 0.1, 1e-5, 0.9
SMALLEST = 1e-3  # strength of SS-Text+'s pull


def clap(task: Task, seed: int = 0, *, epochs: int = EPOCHS, penalty: bool = True) -> LinearFit:
    """CLAP: SGD from the class names, every class pulled back as much as its name was right.

    The loss is the mean cross-entropy of `scale * cosine` plus the mean over classes of
    strength_c |w_c - t_c|^2, where strength_c is the mean zero-shot probability of class c on its
    own training images, and 1 for a class without any. No validation is used (Silva-Rodriguez et
    al. 2024, arXiv:2312.12730, sections 4.1 and 4.2). Epoch i reads view i modulo v.

    Args:
        task: images; their weights multiply the cross-entropy.
        seed: of the order of batches.
        epochs: of SGD; with 0 the result is zero-shot.
        penalty: without it the method is ZS-LP.
    """
    texts = task.class_texts
    strengths = zero_shot_confidence(task) if penalty else np.zeros(task.classes, np.float32)
    rows, speed = texts.copy(), np.zeros_like(texts)
    for epoch in range(epochs):
        view = task.views[epoch % len(task.views)]
        cosine = 0.5 * RATE * (1 + np.cos(np.pi * (epoch - 1) / epochs))
        rate = np.float32(cosine if epoch else FIRST_RATE)
        order = np.random.default_rng((seed, epoch)).permutation(task.images)
        for first in range(0, task.images, BATCH):
            batch = order[first : first + BATCH]
            weights = task.weights[batch] / task.weights[batch].sum()
            slope = _slope(rows, view[batch], task.labels[batch], weights, task.scale)
            slope += 2 * strengths[:, None] * (rows - texts) / task.classes
            speed = MOMENTUM * speed + slope
            rows = rows - rate * speed
    chosen = {"epochs": epochs, "penalty": float(strengths.mean())}
    return _cosine_rows(task, rows, chosen)


def zero_shot_confidence(task: Task) -> np.ndarray:
    """Mean zero-shot probability of every class on its own images, float32 [c]; 1 without any."""
    logits = task.zero_shot(task.mean_features)
    _, slope = cross_entropy(logits, task.labels, np.ones(task.images))
    right = 1 + slope[np.arange(task.images), task.labels]
    sums = np.bincount(task.labels, weights=right, minlength=task.classes)
    return np.where(task.counts, sums / np.maximum(task.counts, 1), 1).astype(np.float32)


def ss_text(task: Task, seed: int = 0, *, plus: bool = True) -> LinearFit:
    """SS-Text: the class name moved by the sum of its images' features, in closed form.

    Row c is t_c + scale / (N strength_c) times the weighted sum of class c's features. The plain
    form has strength 1 / N, and a class without images keeps its text's direction. SS-Text+ has
    max(1 / n_c, 1e-3), then takes unit(2 w_c - mean of w) off every row w_c (Silva-Rodriguez et
    al. 2025, arXiv:2506.17500).

    Args:
        task: images, any number of each class; `seed` is not used.
        plus: SS-Text+.
    """
    sums = class_sums(task)
    if plus:
        share = 1 / np.maximum(1 / np.maximum(task.counts, 1), SMALLEST) / task.images
        rows = task.class_texts + task.scale * share[:, None] * sums
        rows = rows - unit(2 * rows - rows.mean(axis=0))
    else:
        rows = task.class_texts + task.scale * sums
    return _cosine_rows(task, rows, {"plus": plus})


def class_sums(task: Task) -> np.ndarray:
    """Weighted sums [c, d] of the features of every class, each image's views as their mean."""
    sums = np.zeros(task.class_texts.shape, np.float64)
    np.add.at(sums, task.labels, task.weights[:, None] * task.views.mean(axis=0))
    return sums


def _slope(
    rows: np.ndarray, features: np.ndarray, labels: np.ndarray, weights: np.ndarray, scale: float
) -> np.ndarray:
    """Gradient by the rows [c, d] of the cross-entropy of `scale` times the cosine."""
    lengths = unit_rows.lengths(rows)
    units = rows / lengths
    _, slope = cross_entropy(np.float32(scale) * (features @ units.T), labels, weights)
    return unit_rows.gradient(np.float32(scale) * (slope.T @ features), units, lengths)


def _cosine_rows(task: Task, rows: np.ndarray, chosen: dict) -> LinearFit:
    return linear(task.scale * unit(rows), text_scale=task.scale, trained=rows.size, chosen=chosen)
