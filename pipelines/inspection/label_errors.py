"""Find probable label errors by out-of-sample probabilities."""

from dataclasses import dataclass

import numpy as np

from duet import rows_by_class

STRENGTHS = (0.01, 0.1, 1.0)  # of the logistic regression, tried while the cross-entropy falls

FAR_LIKELIER = 20.0  # times: odds that outweigh labels of which one in twenty is wrong

FEWEST = 2  # images of a class that can be left out and still be learnt


@dataclass(frozen=True)
class Doubt:
    """A label that another class beats: place of the image, that class, and how sure it is.

    Attributes:
        place: of the image; better: class; margin: log-probability of `better` less the label's.
        own, other: probabilities of the label and of `better`.
    """

    place: int
    better: int
    margin: float
    own: float
    other: float


def out_of_sample(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    text_logits: np.ndarray | None = None,
    folds: int = 5,
    seed: int = 0,
) -> np.ndarray:
    """Probabilities [n, c] of every image, by logistic regression on the images of other folds.

    Where class names are known to a model, its zero-shot answer, which no label has touched, is
    averaged with that in log-probability.

    Args:
        features: float [n, d].
        labels: int [n], each of 0 to c - 1 at least twice.
        text_logits: float [n, c], the logits of the class names.
        folds: parts; at most as many as make sense are taken.
        seed: draws them.

    Raises ValueError for fewer than two classes, or a class with one image.
    """
    from scipy.special import log_softmax

    counts = np.bincount(labels)
    if len(counts) < 2 or counts.min() < FEWEST:
        raise ValueError("labels: expected two or more classes of two or more images each")
    fold_of = _folds(labels, folds, seed=seed)
    strength = _strength(features, labels, fold_of == 0)
    found = np.empty((len(labels), len(counts)))
    for fold in range(folds):
        away = fold_of == fold
        if away.any():
            found[away] = _fitted(features, labels, away, strength)
    if text_logits is not None:
        found = (found + log_softmax(text_logits.astype(np.float64), axis=1)) / 2
    return np.exp(log_softmax(found, axis=1))


def _folds(labels: np.ndarray, folds: int, *, seed: int) -> np.ndarray:
    """A fold for each image, every class spread over them as evenly as can be."""
    rng, found = np.random.default_rng(seed), np.empty(len(labels), int)
    for places in rows_by_class.of(labels):
        found[places] = (rng.permutation(len(places)) + rng.integers(folds)) % folds
    return found


def _strength(features: np.ndarray, labels: np.ndarray, away: np.ndarray) -> float:
    """The one of `STRENGTHS` with the lowest cross-entropy on images that it has not seen."""
    best, lowest = STRENGTHS[0], np.inf
    for strength in STRENGTHS if away.any() else ():
        said = _fitted(features, labels, away, strength)
        loss = -float(said[np.arange(len(said)), labels[away]].mean())
        if loss >= lowest:
            break
        best, lowest = strength, loss
    return best


def _fitted(
    features: np.ndarray, labels: np.ndarray, away: np.ndarray, strength: float
) -> np.ndarray:
    """Log-probabilities of the images `away` by a probe on all others."""
    from scipy.special import log_softmax

    from classifiers import probe

    fitted = probe.fit(features[~away], labels[~away], strengths=(strength,))
    return log_softmax(fitted.logits(features[away]).astype(np.float64), axis=1)


def doubtful(probabilities: np.ndarray, labels: np.ndarray) -> list[Doubt]:
    """Images whose label another class fits better; most certain first.

    Confident learning (Northcutt et al. 2021, arXiv:1911.00068): a class is confidently predicted
    where its probability is at least the mean over the images labelled so, and an image is
    doubtful where such a class is likelier than the label, which is itself below its mean. So is
    one where any class is `FAR_LIKELIER` than the label: a hard image can be wrongly labelled too.

    Args:
        probabilities: float [n, c], out of sample; labels: int [n], every class among them.
    """
    rows = np.arange(len(labels))
    own = probabilities[rows, labels]
    thresholds = np.array([own[of_class].mean() for of_class in rows_by_class.of(labels)])
    is_said = (probabilities >= thresholds) | (probabilities >= FAR_LIKELIER * own[:, None])
    sure = np.where(is_said, probabilities, 0.0)
    sure[rows, labels] = 0
    better = sure.argmax(axis=1)
    other = sure[rows, better]
    (places,) = np.nonzero((own < thresholds[labels]) & (other > own))
    margins = np.log(np.maximum(other, 1e-12)) - np.log(np.maximum(own, 1e-12))
    places = places[np.argsort(-margins[places], kind="stable")]
    return [
        Doubt(int(i), int(better[i]), float(margins[i]), float(own[i]), float(other[i]))
        for i in places
    ]
