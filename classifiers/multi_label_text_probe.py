"""Linear probe for several labels per image, from the class names and pulled back to them."""

from collections.abc import Sequence

import numpy as np

from classifiers import blas_threads, multi_label_probe
from classifiers.on_features import choose
from classifiers.on_features.solvers import minimise
from classifiers.probe import SWEPT, Probe, rose, standardisation

NAMES_ALONE = 0.0  # the strength of no change


def fit(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    prior: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    strengths: Sequence[float] = SWEPT,
) -> Probe:
    """Fits a logistic regression of each class whose prior mean is a zero-shot classifier.

    To the logits of the prior come weights on features that are standardised as in `probe.fit`, and
    a bias: those of the lowest sum of cross-entropies plus their squared length / (2 C), the bias
    by at most 1 / 2. It is `on_features`' text-probe for labels that do not exclude one another.

    Args:
        features: float [n, d]; labels: 0 or 1 [n, c].
        prior: weights [d, c] and bias [c] of the class names.
        validation: features [m, d] and labels [m, c], by which C is chosen: the prior itself is
            left (C = 0) for another only if that has a cross-entropy that is lower by more than the
            standard error of the difference.
        strengths: values of C, tried from strong pull to weak one until the loss has risen twice.

    Returns:
        A `Probe` whose logits are one per class, for a sigmoid; its `accuracies` are empty.

    Raises:
        ValueError: shapes that do not go together, or other labels than 0 and 1.
    """
    features, labels = np.asarray(features, np.float32), np.asarray(labels)
    multi_label_probe.check(features, labels)
    mean, deviation = standardisation(features, np.ones(len(features)))
    rows = _with_one((features - mean) / deviation)
    before, moved = features @ prior[0] + prior[1], np.zeros((rows.shape[1], labels.shape[1]))
    found, tried = {NAMES_ALONE: prior}, {NAMES_ALONE: _losses(prior, validation)}
    for strength in sorted(strengths):
        with blas_threads.as_needed(rows.size):
            moved = _moved(rows, labels, before, strength, moved)
        change = moved[:-1] / deviation
        found[strength] = prior[0] + change, prior[1] + moved[-1] - mean @ change
        tried[strength] = _losses(found[strength], validation)
        if rose([each.mean() for each in tried.values()]):
            break
    best = choose(tried, NAMES_ALONE)
    weights, bias = (np.asarray(each, np.float32) for each in found[best])
    return Probe(weights, bias, best, {}, {c: float(each.mean()) for c, each in tried.items()})


def _with_one(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([rows, np.ones((len(rows), 1), rows.dtype)], axis=1)


def _moved(
    rows: np.ndarray, labels: np.ndarray, before: np.ndarray, strength: float, start: np.ndarray
) -> np.ndarray:
    """The weights, and the bias as their last row, [d + 1, c], of the lowest objective."""
    from scipy.special import expit

    pull = np.full((len(start), 1), 1 / strength)
    pull[-1] = min(pull[-1], 1.0)

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        logits = before + rows @ x.astype(np.float32)
        cost = multi_label_probe.cross_entropies(logits, labels).sum(dtype=np.float64)
        slope = (expit(logits) - labels).astype(np.float32)
        return float(cost + (pull * x * x).sum() / 2), rows.T @ slope + pull * x

    return minimise(objective, start)


def _losses(
    found: tuple[np.ndarray, np.ndarray], validation: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Mean cross-entropy of the sigmoids of each image, [m]."""
    features, labels = validation
    logits = np.asarray(features @ found[0] + found[1], np.float64)
    return multi_label_probe.cross_entropies(logits, labels).mean(axis=1)
