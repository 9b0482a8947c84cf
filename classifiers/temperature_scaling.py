"""Temperature scaling of logits.

Notation: n images, c classes; logits are float [n, c], labels int [n].
"""

import numpy as np

from duet import row_blocks

WIDEST = 6.0  # of |log temperature| that is searched: a factor of 400 either way


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """Log-softmax over classes, float64 [n, c]."""
    from scipy import special

    return special.log_softmax(np.asarray(logits, np.float64), axis=1)


def losses(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Cross-entropy of every image, float64 [n]."""
    logits, labels = np.asarray(logits), np.asarray(labels)
    found = np.empty(len(labels))
    for rows in row_blocks.of(logits.shape):
        own, shifted = labels[rows], logits[rows].astype(np.float64)
        most = shifted.max(axis=1, keepdims=True)
        shifted -= np.where(np.isfinite(most), most, 0)
        of_own = shifted[np.arange(len(own)), own]
        np.exp(shifted, out=shifted)
        found[rows] = np.log(shifted.sum(axis=1)) - of_own
    return found


def temperature(
    logits: np.ndarray,
    labels: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    spread: float | None = None,
) -> float:
    """Return the temperature by which logits are divided for the highest likelihood.

    One number, found by a bounded search, so the predicted class of every image stays as it is
    (Guo et al. 2017, arXiv:1706.04599, section 4.2).

    Args:
        logits: of images that were neither trained on nor will be tested on.
        labels: their classes.
        weights: float [n], of every image; default 1.
        spread: standard deviation of a normal prior on log temperature around 0. It keeps a
            handful of images, all of them right, from asking for certainty. None for no prior.

    Raises:
        ValueError: no image, shapes that do not fit, or a label that is no column.
    """
    from scipy.optimize import minimize_scalar

    logits, labels = checked(logits, labels)
    share = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)

    def cost(log_temperature: float) -> float:
        found = float(share @ losses(logits * np.exp(-log_temperature), labels))
        return found if spread is None else found + log_temperature**2 / (2 * spread**2)

    return float(np.exp(minimize_scalar(cost, bounds=(-WIDEST, WIDEST), method="bounded").x))


def checked(
    scores: np.ndarray, labels: np.ndarray, *, what: str = "logits"
) -> tuple[np.ndarray, np.ndarray]:
    """Scores in float64, and labels; ValueError, naming `what`, unless they match."""
    scores, labels = np.asarray(scores, np.float64), np.asarray(labels)
    if scores.ndim != 2 or labels.shape != scores.shape[:1] or not len(labels):
        raise ValueError(
            f"expected {what} [n, classes] and labels [n] of one or more images; got "
            f"{list(scores.shape)} and {list(labels.shape)}"
        )
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise ValueError(
            f"labels: expected 0 to {scores.shape[1] - 1}; got {labels.min()} to {labels.max()}"
        )
    return scores, labels
