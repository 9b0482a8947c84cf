"""How sure a classifier may be: temperature, prediction sets, and "none of these".

Notation: m validation images, n test images, c classes that were trained on, of all C of a set.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from classifiers import none_of_these, prediction_sets, temperature_scaling
from pipelines.metrics.calibration import calibration_bins, calibration_error

COVERAGE = 0.9  # share of images whose set of classes is to hold the true one
KEPT = 0.95  # share of images of known classes that are not to be called "none of these"

Images = tuple[np.ndarray, np.ndarray]  # logits and labels


def certainty(validation: Images, tested: Images, *, seen: Sequence[int]) -> dict[str, Any]:
    """What is chosen on validation, and how it does on test.

    Args:
        validation: images that were not trained on: logits [m, C], and places in `seen` [m].
        tested: test images: logits [n, C] and labels [n], of other classes than `seen` too.
        seen: labels of the classes that were trained on, ascending.

    Returns:
        `temperature`, by which logits are divided; `ece_before` and `ece_after`; `sets`: the
        `threshold` that a class's probability has to reach, null where validation is too small
        for the coverage `asked`, and `prediction_sets.measure`; `none_of_these`: the `threshold`
        that the largest probability has to reach, the share `kept` of test images of known
        classes, and `auroc` and `false_positive_rate` against images of others, null without any.
    """
    inside, is_seen = list(seen), np.isin(tested[1], seen)
    held, wanted = validation[0][:, inside], validation[1]
    logits, others = tested[0][is_seen][:, inside], tested[0][~is_seen][:, inside]
    labels = np.searchsorted(inside, tested[1][is_seen])
    warm = temperature_scaling.temperature(held, wanted, spread=1.0)
    chances = [
        np.exp(temperature_scaling.log_probabilities(each / warm)) for each in (held, logits)
    ]
    sets = prediction_sets.calibrate(chances[0], wanted, coverage=COVERAGE)
    least = None if np.isinf(sets.threshold) else 1 - sets.threshold
    return {
        "temperature": warm,
        "ece_before": _error(np.exp(temperature_scaling.log_probabilities(logits)), labels),
        "ece_after": _error(chances[1], labels),
        "sets": {
            "asked": COVERAGE,
            "threshold": least,
            **prediction_sets.measure(sets, chances[1], labels),
        },
        "none_of_these": _none(chances[0], chances[1], others / warm),
    }


def _error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    right = probabilities.argmax(axis=1) == labels
    return calibration_error(calibration_bins(probabilities.max(axis=1), right))


def _none(held: np.ndarray, known: np.ndarray, others: np.ndarray) -> dict[str, Any]:
    scores, tested = held.max(axis=1), known.max(axis=1)
    at = none_of_these.threshold(scores, scores, kept=KEPT).threshold
    found: dict[str, Any] = {"asked": KEPT, "threshold": at, "kept": float((tested >= at).mean())}
    if not len(others):
        return {**found, "auroc": None, "false_positive_rate": None}
    new = np.exp(temperature_scaling.log_probabilities(others)).max(axis=1)
    against = none_of_these.threshold(tested, new, kept=KEPT)
    return {**found, "auroc": against.auroc, "false_positive_rate": float((new >= at).mean())}
