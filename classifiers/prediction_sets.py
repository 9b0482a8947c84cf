"""Conformal prediction: sets of classes that contain the true one at a chosen rate.

Notation: n images, c classes; probabilities are float [n, c], labels int [n].
"""

from dataclasses import dataclass

import numpy as np

from classifiers.temperature_scaling import checked
from duet import rows_by_class


@dataclass(frozen=True)
class PredictionSets:
    """Which classes cannot be ruled out: those of probability `1 - threshold` or more.

    Attributes:
        threshold: of 1 - probability; infinite where the calibration images are too few for the
            coverage, and then every class is in every set.
        coverage: share of images whose set was asked to hold the true class.
        images: how many it was calibrated on.
    """

    threshold: float
    coverage: float
    images: int

    def of(self, probabilities: np.ndarray) -> np.ndarray:
        """Members, bool [n, c]. A set can be empty, which does not mean "none of these"."""
        return 1 - np.asarray(probabilities, np.float64) <= self.threshold


def calibrate(
    probabilities: np.ndarray, labels: np.ndarray, *, coverage: float = 0.9
) -> PredictionSets:
    """Find the threshold at which new images' sets hold the true class often enough.

    Split conformal prediction with the least ambiguous sets: of 1 - p(true class) on n
    calibration images, the ceil((n + 1) * coverage)-th smallest. For images drawn like these the
    chance of holding the true class is then at least `coverage`, whatever the model (Sadinle et
    al. 2019, arXiv:1609.00451).

    Args:
        probabilities: of images that the model was not trained on.
        labels: their classes.
        coverage: between 0 and 1.

    Raises:
        ValueError: a coverage outside 0 to 1, no image, or shapes that do not fit.
    """
    if not 0 < coverage < 1:
        raise ValueError(f"coverage: expected a number between 0 and 1; got {coverage}")
    scores = 1 - _of_true_class(probabilities, labels)
    n = len(scores)
    rank = int(np.ceil((n + 1) * coverage - 1e-9))
    threshold = float(np.sort(scores)[rank - 1]) if rank <= n else float("inf")
    return PredictionSets(threshold, coverage, n)


def measure(
    sets: PredictionSets, probabilities: np.ndarray, labels: np.ndarray
) -> dict[str, float]:
    """Figures of the sets on other images.

    Returns:
        `coverage`: share of images whose set holds the true class; `mean_size`: classes in a set;
        `empty`: share of empty sets; `class_coverage_gap`: mean over classes of the absolute
        difference between their coverage and the one asked for, a fraction of 1.
    """
    _of_true_class(probabilities, labels)
    members = sets.of(probabilities)
    held = members[np.arange(len(labels)), labels]
    gaps = [abs(held[rows].mean() - sets.coverage) for rows in rows_by_class.of(labels)]
    sizes = members.sum(axis=1)
    return {
        "coverage": float(held.mean()),
        "mean_size": float(sizes.mean()),
        "empty": float((sizes == 0).mean()),
        "class_coverage_gap": float(np.mean(gaps)),
    }


def _of_true_class(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    probabilities, labels = checked(probabilities, labels, what="probabilities")
    return probabilities[np.arange(len(labels)), labels]
