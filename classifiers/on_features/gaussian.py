"""Gaussian discriminant analysis added to the zero-shot classifier, in closed form."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from classifiers.on_features.choosing import folds
from classifiers.on_features.fitted import LinearFit
from classifiers.on_features.task import SPREAD, Task, unit
from classifiers.temperature_scaling import losses, temperature

ALPHAS = tuple(float(alpha) for alpha in np.logspace(-4, 2, 13))
ALPHA = 0.01  # with one image of some class and no validation
NEIGHBOURS = 64  # training features that stand for a new name


@dataclass(frozen=True, kw_only=True)
class GaussianFit(LinearFit):
    """Zero-shot logits plus `alpha` times those of Gaussians with one covariance.

    Attributes:
        alpha: weight of the Gaussians; 0 is zero-shot.
        features: [k, d], the training features, of which the nearest stand for a new name.
        inverse: [d, d], the precision S of all classes.
        temperature: that all logits were divided by.
    """

    alpha: float
    features: np.ndarray
    inverse: np.ndarray
    temperature: float = 1.0

    def new(self, features: np.ndarray, texts: np.ndarray) -> np.ndarray:
        """Logits [n, m] of new names, each a Gaussian about the training features nearest to it.

        The mean is that of the `NEIGHBOURS` training features nearest to the name's text, and the
        precision is that of all classes, which puts trained and new names on one scale. (The
        paper adds copies of the text to the mean and takes a precision of the neighbours' own,
        which is for new names among themselves alone.)
        """
        zero_shot = super().new(features, texts)
        if not self.alpha:
            return zero_shot
        count = min(NEIGHBOURS, len(self.features))
        nearest = np.argsort(-(texts @ self.features.T), axis=1, kind="stable")[:, :count]
        means = self.features[nearest].mean(axis=1, dtype=np.float64)
        rows, bias = _rows(means, self.inverse, len(self.rows))
        gaussian = unit(features) @ rows.T.astype(np.float32) + bias.astype(np.float32)
        return zero_shot + np.float32(self.alpha / self.temperature) * gaussian


def fit(task: Task, seed: int = 0, *, alpha: float | None = None) -> GaussianFit:
    """Gaussians of the classes' means and one shrunk covariance, added to zero-shot.

    logits = scale f t_c + alpha (f S m_c - m_c S m_c / 2 - log C), where S = d ((M - 1) cov +
    trace(cov) 1)^-1 of M centred features (Wang et al. 2024, arXiv:2402.04087, equations 5 to 8).
    With one view of one image per class nothing is known of the covariance, S is 0, and the
    result is zero-shot.

    Args:
        task: one or more images of every class; validation chooses alpha, or where there is none
            folds of the training images: by cross-entropy after a temperature of its own, and of
            equals to 0.01 the smallest.
        seed: not used, nothing is drawn.
        alpha: this one instead.

    Raises:
        ValueError: a class without images.
    """
    task.require_every_class("gaussian")
    parts = _Parts(task)
    if alpha is not None:
        return parts.fitted(alpha, 1.0, {})
    if task.validation is not None:
        held, wanted = task.validation
        zero_shot, gaussian = parts.logits(held)
    elif task.counts.min() < 2:
        return parts.fitted(ALPHA, 1.0, {})
    else:
        found = [(_Parts(rest).logits(held), labels) for rest, held, labels in folds(task)]
        zero_shot, gaussian = (np.concatenate(p) for p in zip(*(f[0] for f in found), strict=True))
        wanted = np.concatenate([labels for _, labels in found])
    temperatures, tried = {}, {}
    for value in ALPHAS:
        logits = zero_shot + value * gaussian
        temperatures[value] = temperature(logits, wanted, spread=SPREAD)
        tried[value] = losses(logits / temperatures[value], wanted)
    best = min(tried, key=lambda value: (round(float(tried[value].mean()), 2), value))
    means = {value: float(found.mean()) for value, found in tried.items()}
    return parts.fitted(best, temperatures[best], {"tried": means})


class _Parts:
    """Zero-shot and Gaussian logits of a task, before they are added up."""

    def __init__(self, task: Task):
        self.task, self.scale = task, task.calibrated_scale()
        self.features, labels, weights = task.stacked()
        means, self.inverse = gaussians(
            self.features, labels, classes=task.classes, weights=weights * len(task.views)
        )
        self.rows, self.bias = _rows(means, self.inverse, task.classes)

    @cached_property
    def text_rows(self) -> np.ndarray:
        return self.scale * self.task.class_texts

    def logits(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both [n, c], of unit features [n, d]."""
        return features @ self.text_rows.T.astype(np.float32), features @ self.rows.T + self.bias

    def fitted(self, alpha: float, temperature: float, chosen: dict) -> GaussianFit:
        rows = (self.text_rows + alpha * self.rows) / temperature
        return GaussianFit(
            rows=rows.astype(np.float32),
            bias=(alpha * self.bias / temperature).astype(np.float32),
            text_scale=self.scale / temperature,
            trained=self.rows.size + self.bias.size if alpha else 0,
            chosen={"alpha": alpha, "temperature": temperature, **chosen},
            alpha=alpha,
            features=self.features,
            inverse=self.inverse,
            temperature=temperature,
        )


def gaussians(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    classes: int,
    weights: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Means [c, d] of the classes, and the one precision [d, d] of all of them.

    Args:
        features: [k, d]; labels: int [k], each class at least once.
        classes: c.
        weights: float [k] with mean 1.
    """
    values = np.asarray(features, np.float64)
    shares = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)
    sums = np.zeros((classes, values.shape[1]))
    np.add.at(sums, labels, shares[:, None] * values)
    means = sums / np.bincount(labels, weights=shares, minlength=classes)[:, None]
    centred = (values - means[labels]) * np.sqrt(shares)[:, None]
    return means, precision(centred)


def precision(centred: np.ndarray) -> np.ndarray:
    """d ((M - 1) cov + trace(cov) 1)^-1 of M centred features [M, d]; 0 where all are 0.

    The ridge of Kubokawa and Srivastava (2008), which needs no choice.
    """
    count, width = centred.shape
    scatter = centred.T @ centred  # (M - 1) times the covariance
    ridge = np.trace(scatter) / max(count - 1, 1)
    if ridge <= 1e-12:
        return np.zeros((width, width))
    return width * np.linalg.inv(scatter + ridge * np.eye(width))


def _rows(means: np.ndarray, inverse: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows [m, d] and bias [m] of Gaussians of one precision, each one of `classes` alike."""
    rows = means @ inverse
    return rows, -np.log(classes) - 0.5 * (rows * means).sum(axis=1)
