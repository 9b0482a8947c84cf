"""Linear probe for several labels per image: a logistic regression of each class by itself."""

from collections.abc import Sequence

import numpy as np

from classifiers import blas_threads
from classifiers.probe import ITERATIONS, SWEPT, Probe, check_strengths, rose, standardisation


def fit(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    strengths: Sequence[float] = SWEPT,
) -> Probe:
    """Fits scikit-learn's logistic regression of each class against the rest, with one C for all.

    Features are standardised as in `probe.fit`. A class that no training image has, or every one,
    gets the logit of its share among them for all images: (k + 0.5) / (n + 1) of k in n.

    Args:
        features: float [n, d]; labels: 0 or 1 [n, c].
        validation: features [m, d] and labels [m, c], by which C is chosen: the lowest mean
            cross-entropy over all images and classes. None requires a single strength.
        strengths: values of C, tried as in `probe.fit`.

    Returns:
        A `Probe` whose logits are one per class, for a sigmoid; its `accuracies` are empty.

    Raises:
        ValueError: shapes that do not go together, other labels than 0 and 1, or several strengths
            without validation.
    """
    features, labels = np.asarray(features, np.float32), np.asarray(labels)
    check(features, labels)
    check_strengths(strengths, validation)
    mean, deviation = standardisation(features, np.ones(len(features)))
    scaled = (features - mean) / deviation
    tried, losses = {}, {}
    regressions = _Regressions(labels)
    for strength in sorted(strengths):
        with blas_threads.as_needed(scaled.size):
            weights, bias = regressions.fit(scaled, strength)
        weights = weights / deviation
        tried[strength] = weights, bias - mean @ weights
        if validation is not None:
            logits = validation[0] @ weights + tried[strength][1]
            losses[strength] = float(cross_entropies(logits, validation[1]).mean())
            if rose(list(losses.values())):
                break
    strength = min(losses, key=lambda c: losses[c]) if losses else min(tried)
    weights, bias = (each.astype(np.float32) for each in tried[strength])
    return Probe(weights, bias, strength, {}, losses)


class _Regressions:
    """One of each class that some images have and others have not."""

    def __init__(self, labels: np.ndarray) -> None:
        from sklearn.linear_model import LogisticRegression

        self.labels, counts = labels, labels.sum(axis=0)
        share = (counts + 0.5) / (len(labels) + 1)
        self.bias = np.log(share / (1 - share))
        self.of = {
            label: LogisticRegression(max_iter=ITERATIONS, warm_start=True)
            for label in np.flatnonzero((counts > 0) & (counts < len(labels))).tolist()
        }

    def fit(self, scaled: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
        """Weights [d, c] and bias [c]; begins where the last fit ended."""
        weights, bias = np.zeros((scaled.shape[1], self.labels.shape[1])), self.bias.copy()
        for label, model in self.of.items():
            model.set_params(C=strength).fit(scaled, self.labels[:, label])
            weights[:, label], bias[label] = model.coef_[0], model.intercept_[0]
        return weights, bias


def cross_entropies(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Of the sigmoid of each logit [n, c] and its label, 0 or 1."""
    return np.logaddexp(0, np.where(labels > 0, -logits, logits))


def check(features: np.ndarray, labels: np.ndarray) -> None:
    """Raises ValueError for shapes that do not go together, or other labels than 0 and 1."""
    if features.ndim != 2 or labels.ndim != 2 or len(labels) != len(features):
        raise ValueError(
            "expected features [n, d] and labels [n, c]; got "
            f"{list(features.shape)} and {list(labels.shape)}"
        )
    if not np.isin(labels, (0, 1)).all():
        bad = labels[~np.isin(labels, (0, 1))][0]
        raise ValueError(f"labels: expected 0 and 1, one for every class; got {bad:g}")
