"""StatA: transductive zero-shot classification of a batch of unlabelled images."""

from typing import TYPE_CHECKING

import numpy as np

from duet import unit_rows

if TYPE_CHECKING:
    from scipy.sparse import csr_array

NEIGHBOURS = 3
ROUNDS, INNER = 10, 5
SHARPNESS = 1 / 50  # of the likelihood beside the zero-shot probabilities
AFFINITY = 50 / 6  # of the neighbours, inside the likelihood's bracket
SMALLEST = 1e-8  # a variance
BLOCK = 1 << 24  # cosines at a time


def stata(
    features: np.ndarray,
    class_texts: np.ndarray,
    *,
    scale: float = 100.0,
    rounds: int = ROUNDS,
) -> np.ndarray:
    """Probabilities float32 [n, c] of images without labels, which inform each other.

    Every class is a Gaussian with diagonal covariance, in the beginning at its text; classes that
    many images seem to have move to those images, and those of none stay at their text. An image
    is also drawn to the classes of its `NEIGHBOURS` nearest. It is meant for batches of many
    images that show some of the classes, in any proportion (Zanella et al. 2025, arXiv:2501.03729,
    algorithm 1).

    Args:
        features: embeddings [n, d] of all images, of any length.
        class_texts: embeddings [c, d] of the class names, of any length.
        scale: of the cosines in the zero-shot probabilities; the model's own.
        rounds: of the means and variances; 0 gives zero-shot.

    Raises:
        ValueError: shapes that do not fit, or fewer than two images or classes.
    """
    from scipy.special import softmax

    x, texts = _checked(features, class_texts)
    count = len(x)
    prior = softmax(scale * (x @ texts.T), axis=1)
    z = prior
    first = (z.sum(axis=0) @ _squares(x, texts, z)) / count
    means, variances = texts, np.tile(np.maximum(first, SMALLEST), (len(texts), 1))
    near = neighbours(x, min(NEIGHBOURS, count - 1))
    log_prior = np.log(np.maximum(prior, 1e-300))
    for _ in range(rounds):
        z = _assigned(x, z, log_prior, near, means, variances)
        says = np.bincount(z.argmax(axis=1), minlength=len(texts))
        trust = (says / (1 + says))[:, None]
        share = np.maximum(z.sum(axis=0), 1e-12)[:, None]
        means = unit_rows.unit(trust * unit_rows.unit(z.T @ x / share) + (1 - trust) * texts)
        seen = _squares(x, means, z)
        named = first + (texts - means) ** 2
        variances = np.maximum(trust * seen + (1 - trust) * named, SMALLEST)
    return (_assigned(x, z, log_prior, near, means, variances) if rounds else z).astype(np.float32)


def neighbours(features: np.ndarray, count: int) -> "csr_array":
    """Cosines [n, n] of every unit row to the `count` nearest others; all else is 0."""
    from scipy.sparse import csr_array

    n = len(features)
    rows = max(1, BLOCK // n)
    places, values = [], []
    for start in range(0, n, rows):
        cosines = features[start : start + rows] @ features.T
        cosines[np.arange(len(cosines)), start + np.arange(len(cosines))] = -np.inf
        nearest = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        places.append(nearest)
        values.append(np.take_along_axis(cosines, nearest, axis=1))
    indices = np.concatenate(places).ravel()
    pointers = np.arange(0, n * count + 1, count)
    return csr_array((np.concatenate(values).ravel(), indices, pointers), shape=(n, n))


def _assigned(
    x: np.ndarray,
    z: np.ndarray,
    log_prior: np.ndarray,
    near: "csr_array",
    means: np.ndarray,
    variances: np.ndarray,
) -> np.ndarray:
    """Probabilities of the classes, with neighbours and Gaussians as they are now."""
    inverse = 1 / variances
    distances = (x * x) @ inverse.T - 2 * x @ (means * inverse).T
    distances += (means * means * inverse).sum(axis=1)
    likelihood = -0.5 * (distances + np.log(variances).sum(axis=1))
    from scipy.special import softmax

    for _ in range(INNER):
        drawn = AFFINITY * (near.T @ z + near @ z)
        z = softmax(log_prior + SHARPNESS * (likelihood + drawn), axis=1)
    return z


def _squares(x: np.ndarray, means: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Weighted mean [c, d] of the squared distances of all images to each mean."""
    share = np.maximum(z.sum(axis=0), 1e-12)[:, None]
    return (z.T @ (x * x) - 2 * means * (z.T @ x)) / share + means * means


def _checked(features: np.ndarray, class_texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, texts = np.asarray(features, np.float64), np.asarray(class_texts, np.float64)
    fits = x.ndim == 2 and texts.ndim == 2 and x.shape[1] == texts.shape[1]
    if not fits or min(len(x), len(texts)) < 2:
        raise ValueError(
            "expected features [n, d] and class_texts [c, d], two or more of each; got "
            f"{list(x.shape)} and {list(texts.shape)}"
        )
    return unit_rows.unit(x), unit_rows.unit(texts)
