"""Temperature scaling of logits, and a factor for class names that were not trained.

Notation: n images, c classes; logits are float [n, c], labels int [n].
"""

import numpy as np

WIDEST = 6.0  # of |log temperature| that is searched: a factor of 400 either way


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """Log-softmax over classes, float64 [n, c]."""
    from scipy import special

    return special.log_softmax(np.asarray(logits, np.float64), axis=1)


def losses(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Cross-entropy of every image, float64 [n]."""
    labels = np.asarray(labels)
    return -log_probabilities(logits)[np.arange(len(labels)), labels]


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


def new_name_factors(
    before: np.ndarray,
    after: np.ndarray,
    *,
    trained_before: np.ndarray,
    trained_after: np.ndarray,
    neighbours: int = 5,
    same: float = 0.05,
) -> np.ndarray:
    """Factors of the logits of images whose predicted class is a name that was not trained.

    Tuned texts drift away from names they never saw, and the model stays as certain of those as
    before. Where a new name has moved away from the trained ones, all logits of an image that is
    predicted as it are multiplied by a factor below 1; the predicted class stays. Distance-aware
    calibration, Wang et al. 2024 (arXiv:2402.04655, equations 5 and 6).

    Args:
        before: unit texts of m new names [m, d] in the untouched model; `after`: in the tuned one.
        trained_before: unit texts of the trained names [c, d]; `trained_after`: tuned.
        neighbours: trained names that a new name's distance is averaged over.
        same: a new name nearer than this to a trained one, before tuning, has the factor 1.

    Returns:
        float64 [m].
    """
    pairs = ((before, trained_before), (after, trained_after))
    near, moved = (_nearest(*pair, count=neighbours) for pair in pairs)
    factors = np.exp(near.mean(axis=1) - moved.mean(axis=1))
    return np.where(near[:, 0] < same, 1.0, factors)


def _nearest(texts: np.ndarray, trained: np.ndarray, *, count: int) -> np.ndarray:
    """Distances [m, k] of each text to its nearest trained ones, ascending."""
    texts, trained = np.asarray(texts, np.float64), np.asarray(trained, np.float64)
    squares = 2 - 2 * texts @ trained.T
    return np.sqrt(np.maximum(np.sort(squares, axis=1)[:, :count], 0))


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
