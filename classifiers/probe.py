"""Linear probe: logistic regression on the features of a frozen tower."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from classifiers import blas_threads
from classifiers.class_weights import class_weights

# Inverse strength of the L2 penalty, from strong to weak: the range of Radford et al. 2021
# (appendix A.3), in coarser steps.
SWEPT = tuple(float(c) for c in np.logspace(-4, 4, 9))

ITERATIONS = 1000

RISES = 2  # consecutive rises of the validation cross-entropy that end a sweep


@dataclass(frozen=True)
class Probe:
    """A linear classifier of features: logits = `features @ weights + bias`.

    Attributes:
        weights: float32 [d, c]; bias: float32 [c].
        strength: the chosen C of scikit-learn.
        accuracies: on the validation features, for every C tried, strongest penalty first.
        losses: validation cross-entropy for every C, by which C is chosen.
    """

    weights: np.ndarray
    bias: np.ndarray
    strength: float
    accuracies: dict[float, float]
    losses: dict[float, float]

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Maps features [n, d] to logits [n, c]."""
        return features @ self.weights + self.bias


def fit(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    strengths: Sequence[float] = SWEPT,
    class_weight: float = 0.0,
    weights: np.ndarray | None = None,
) -> Probe:
    """Fits a logistic regression with scikit-learn, choosing C on validation.

    Features are first standardised by the training mean and one common standard deviation, so that
    one sweep suits features of any scale; this is folded into the weights afterwards.

    Args:
        features: float [n, d]; labels: int [n], each of 0 to c - 1 at least once.
        validation: features [m, d] and labels [m], by which C is chosen: the lowest
            cross-entropy, which distinguishes better than accuracy on few images, and rewards
            calibrated probabilities. None requires a single strength.
        strengths: values of C, tried in ascending order; larger ones regularise less. The sweep
            stops once the cross-entropy has risen twice, as the remaining fits take longest.
        class_weight: power of `class_weights` for the images, of validation too.
        weights: float [n] of the training images, with a mean of 1, times those of their classes.

    Raises:
        ValueError: a class without images, fewer than two classes, inconsistent shapes, a label of
            validation that training has not, or several strengths without validation.
    """
    from sklearn.linear_model import LogisticRegression

    features, labels = np.asarray(features, np.float32), np.asarray(labels)
    _check(features, labels)
    check_strengths(strengths, validation)
    if validation is not None:
        _check_validation(validation, width=features.shape[1], classes=int(labels.max()) + 1)
    of_classes = class_weights(labels, power=class_weight)
    rows = of_classes[labels] if weights is None else of_classes[labels] * np.asarray(weights)
    mean, deviation = standardisation(features, rows)
    scaled = (features - mean) / deviation
    tried, accuracies, losses = {}, {}, {}
    if validation is not None:
        wanted = (np.asarray(validation[0], np.float32) - mean) / deviation
    model = LogisticRegression(max_iter=ITERATIONS, warm_start=True)
    threads = partial(blas_threads.as_needed, scaled.size * len(of_classes))
    for strength in sorted(strengths):
        model.set_params(C=strength)
        with threads(), warnings.catch_warnings():  # one image per class is no regression
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
            model.fit(scaled, labels, rows if class_weight or weights is not None else None)
        tried[strength] = model.coef_.copy(), model.intercept_.copy()
        if validation is not None:
            probabilities = model.predict_proba(wanted)
            of_true_class = probabilities[np.arange(len(probabilities)), validation[1]]
            accuracies[strength] = float((probabilities.argmax(axis=1) == validation[1]).mean())
            loss = -np.log(np.maximum(of_true_class, 1e-12))
            losses[strength] = float(np.average(loss, weights=of_classes[validation[1]]))
            if rose(list(losses.values())):
                break
    strength = min(losses, key=lambda c: losses[c]) if losses else min(tried)
    columns, bias = tried[strength]
    if len(columns) == 1:  # for two classes scikit-learn returns only the second
        columns, bias = (np.concatenate([-each, each]) / 2 for each in (columns, bias))
    matrix = columns.T / deviation
    bias = bias - mean @ matrix
    return Probe(matrix.astype(np.float32), bias.astype(np.float32), strength, accuracies, losses)


def standardisation(features: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, float]:
    """The mean [d] of weighted rows, and one deviation of all their values."""
    mean = np.average(features.astype(np.float64), axis=0, weights=weights)
    spread = np.average(((features - mean.mean()) ** 2).mean(axis=1), weights=weights)
    return mean.astype(np.float32), max(float(spread) ** 0.5, 1e-12)


def rose(losses: Sequence[float]) -> bool:
    """Returns whether each of the last `RISES` losses is larger than the one before."""
    last = losses[-RISES - 1 :]
    return len(last) > RISES and all(b > a for a, b in pairwise(last))


def check_strengths(
    strengths: Sequence[float], validation: tuple[np.ndarray, np.ndarray] | None
) -> None:
    """Raises ValueError for several where nothing says which is the best."""
    if validation is None and len(strengths) != 1:
        raise ValueError(
            f"strengths: expected one where there is no validation; got {len(strengths)}"
        )


def _check(features: np.ndarray, labels: np.ndarray) -> None:
    if features.ndim != 2 or labels.shape != features.shape[:1] or not len(labels):
        raise ValueError(
            "expected features [n, d] and labels [n] of one or more images; got "
            f"{list(features.shape)} and {list(labels.shape)}"
        )
    classes = int(labels.max()) + 1
    missing = sorted(set(range(classes)) - set(labels.tolist()))
    if missing or classes < 2:
        which = f"none of label {missing[0]}" if missing else "one class"
        raise ValueError(f"labels: expected images of two or more classes; got {which}")


def _check_validation(
    validation: tuple[np.ndarray, np.ndarray], *, width: int, classes: int
) -> None:
    features, labels = (np.asarray(each) for each in validation)
    if features.ndim != 2 or features.shape != (len(labels), width) or not len(labels):
        raise ValueError(
            f"validation: expected features [m, {width}] and labels [m] of one or more images; got "
            f"{list(features.shape)} and {list(labels.shape)}"
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"validation labels: expected 0 to {classes - 1}, those of training; got "
            f"{labels.min()} to {labels.max()}"
        )
