"""Linear probe: logistic regression on the features of a frozen tower."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from classifiers.class_weights import class_weights

# Inverse strength of the L2 penalty, from strong to weak, as Radford et al. 2021 sweep it
# (appendix A.3), in coarser steps.
SWEPT = tuple(float(c) for c in np.logspace(-4, 4, 9))

ITERATIONS = 1000

RISES = 2  # of the validation's cross-entropy, one after another, that end a sweep


@dataclass(frozen=True)
class Probe:
    """Logits of features are `features @ weights + bias`.

    Attributes:
        weights: float32 [d, c]; bias: float32 [c].
        strength: scikit-learn's C that was chosen.
        accuracies: on the validation features, of every C tried, from the strongest penalty on.
        losses: cross-entropy there, by which C is chosen.
    """

    weights: np.ndarray
    bias: np.ndarray
    strength: float
    accuracies: dict[float, float]
    losses: dict[float, float]

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Features [n, d] -> logits [n, c]."""
        return features @ self.weights + self.bias


def fit(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    strengths: Sequence[float] = SWEPT,
    class_weight: float = 0.0,
) -> Probe:
    """Logistic regression by scikit-learn, its regularisation swept on validation.

    Features are standardised by the training features' mean and one common deviation first,
    which is folded into the weights afterwards, so that one sweep suits features of any scale.

    Args:
        features: float [n, d]; labels: int [n], each of 0 to c - 1 at least once.
        validation: features [m, d] and labels [m], by which C is chosen: the one of the lowest
            cross-entropy, which a few images tell apart better than accuracy does, and which
            asks for probabilities that can be believed. Without it there must be one strength.
        strengths: values of C, tried from the smallest on; a larger one regularises less. When the
            cross-entropy has risen twice, the others, which take longest, are not tried.
        class_weight: power of `class_weights`, by which images count, on validation too.

    Raises:
        ValueError: a class without an image, fewer than two classes, shapes that do not fit, or
            several strengths and nothing to choose by.
    """
    from sklearn.linear_model import LogisticRegression

    features, labels = np.asarray(features, np.float32), np.asarray(labels)
    _check(features, labels, validation, strengths)
    weights = class_weights(labels, power=class_weight)
    mean, deviation = _standard(features, weights[labels])
    scaled = (features - mean) / deviation
    tried, accuracies, losses = {}, {}, {}
    if validation is not None:
        wanted = (np.asarray(validation[0], np.float32) - mean) / deviation
    model = LogisticRegression(max_iter=ITERATIONS, warm_start=True)
    for strength in sorted(strengths):
        model.set_params(C=strength)
        with warnings.catch_warnings():  # one image of each class is no regression problem
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
            model.fit(scaled, labels, weights[labels] if class_weight else None)
        tried[strength] = model.coef_.copy(), model.intercept_.copy()
        if validation is not None:
            said = model.predict_proba(wanted)
            right = said[np.arange(len(said)), validation[1]]
            accuracies[strength] = float((said.argmax(axis=1) == validation[1]).mean())
            loss = -np.log(np.maximum(right, 1e-12))
            losses[strength] = float(np.average(loss, weights=weights[validation[1]]))
            if _rose(list(losses.values())):
                break
    strength = min(losses, key=lambda c: losses[c]) if losses else min(tried)
    rows, bias = tried[strength]
    if len(rows) == 1:  # of two classes scikit-learn keeps the second alone
        rows, bias = np.concatenate([-rows, rows]) / 2, np.concatenate([-bias, bias]) / 2
    matrix = rows.T / deviation
    bias = bias - mean @ matrix
    return Probe(matrix.astype(np.float32), bias.astype(np.float32), strength, accuracies, losses)


def _standard(features: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, float]:
    """The mean [d] of weighted rows, and one deviation of all their values."""
    mean = np.average(features.astype(np.float64), axis=0, weights=weights)
    spread = np.average(((features - mean.mean()) ** 2).mean(axis=1), weights=weights)
    return mean.astype(np.float32), max(float(spread) ** 0.5, 1e-12)


def _rose(losses: Sequence[float]) -> bool:
    """Whether each of the last `RISES` is larger than the one before."""
    last = losses[-RISES - 1 :]
    return len(last) > RISES and all(b > a for a, b in pairwise(last))


def _check(
    features: np.ndarray,
    labels: np.ndarray,
    validation: tuple[np.ndarray, np.ndarray] | None,
    strengths: Sequence[float],
) -> None:
    if features.ndim != 2 or labels.shape != features.shape[:1]:
        raise ValueError(
            "expected features [n, d] and labels [n]; got "
            f"{list(features.shape)} and {list(labels.shape)}"
        )
    classes = int(labels.max()) + 1
    missing = sorted(set(range(classes)) - set(labels.tolist()))
    if missing or classes < 2:
        which = f"none of label {missing[0]}" if missing else "one class"
        raise ValueError(f"labels: expected images of two or more classes; got {which}")
    if validation is None and len(strengths) != 1:
        raise ValueError(
            f"strengths: expected one where there is no validation; got {len(strengths)}"
        )
