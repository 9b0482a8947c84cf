"""ProLIP: train only the image tower's last projection, regularised to its pretrained value."""

from dataclasses import dataclass

import numpy as np

from classifiers.on_features.choosing import choose, rose
from classifiers.on_features.fitted import BEFORE, FEATURES, Fitted
from classifiers.on_features.solvers import cross_entropy, minimise
from classifiers.on_features.task import Task, unit
from classifiers.temperature_scaling import losses
from duet import unit_rows

TIMES = (10.0, 1.0, 0.1, 0.01)  # of the published pull, one over the images per class
ITERATIONS, TOLERANCE = 50, 1e-5


@dataclass(frozen=True, kw_only=True)
class ProjectionFit(Fitted):
    """A dual encoder's image side with another last projection: any name still has its text.

    Attributes:
        matrix: [w, d], in place of the model's projection where `reads` is `"before"`; otherwise
            a square matrix [d, d] that embeddings are multiplied by.
        bias: [d] or None, as it was.
        texts: unit texts [c, d], as they were.
    """

    matrix: np.ndarray
    bias: np.ndarray | None
    texts: np.ndarray

    def embeddings(self, features: np.ndarray) -> np.ndarray:
        """Unit embeddings [n, d] by the new projection."""
        values = features if self.reads == BEFORE else unit(features)
        values = values @ self.matrix
        return unit(values if self.bias is None else values + self.bias)

    def known(self, features: np.ndarray) -> np.ndarray:
        """Logits [n, c] over the classes that were fitted."""
        return self.new(features, self.texts)

    def new(self, features: np.ndarray, texts: np.ndarray) -> np.ndarray:
        """Logits [n, m] over unit texts: a dual encoder treats all names alike."""
        return np.float32(self.text_scale) * (self.embeddings(features) @ texts.T)


def fit(task: Task, seed: int = 0, *, pull: float | None = None) -> ProjectionFit:
    """Train the projection on the cross-entropy against the class names' fixed texts.

    The loss is the weighted mean cross-entropy of scale * cosine plus pull |P - P0|^2, a sum over
    all entries. Without `task.before` a square matrix is trained on the embeddings, from the
    identity (Fahes et al. 2024, arXiv:2410.05270, section 3.2; solved by L-BFGS to its optimum
    where the paper takes 300 steps of Adam).

    Args:
        task: images, any number of each class. Validation chooses the pull; without it, it is
            one over the images per class, as published.
        seed: not used, nothing is drawn.
        pull: this one instead; infinity gives zero-shot.
    """
    problem = _Problem(task)
    default = 1 / task.shots
    if pull is not None or task.validation is None:
        pull = default if pull is None else pull
        matrix = problem.start
        return problem.fitted(
            problem.solve(pull, matrix) if np.isfinite(pull) else matrix, {"pull": pull}
        )
    assert task.validation is not None
    wanted = task.validation[1]
    held = task.validation[0] if task.before is None else task.before.validation
    assert held is not None
    tried, fits, matrix = {}, {}, problem.start
    for times in TIMES:
        pull = times * default
        matrix = problem.solve(pull, matrix)
        fits[pull] = problem.fitted(matrix, {"pull": pull})
        tried[pull] = losses(fits[pull].known(held), wanted)
        if times < 1 and rose([found.mean() for found in tried.values()]):
            break
    return fits[choose(tried, default)]


class _Problem:
    """The objective of a task, by the difference of the matrix from where it starts."""

    def __init__(self, task: Task):
        self.task, self.scale = task, np.float32(task.calibrated_scale())
        before = task.before
        views = task.views if before is None else before.features
        views = views if views.ndim == 3 else views[None]
        count = len(views)
        self.features = np.asarray(views.reshape(-1, views.shape[2]), np.float32)
        self.labels = np.tile(task.labels, count)
        self.weights = np.tile(task.weights / task.weights.sum(), count) / count
        width = task.class_texts.shape[1]
        self.start = np.eye(width) if before is None else np.asarray(before.matrix, np.float64)
        self.bias = None if before is None else before.bias

    def solve(self, pull: float, start: np.ndarray) -> np.ndarray:
        texts, scale = self.task.class_texts, self.scale

        def objective(matrix: np.ndarray) -> tuple[float, np.ndarray]:
            values = self.features @ matrix.astype(np.float32)
            if self.bias is not None:
                values = values + self.bias
            lengths = unit_rows.lengths(values)
            units = values / lengths
            cost, slope = cross_entropy(scale * (units @ texts.T), self.labels, self.weights)
            by_value = unit_rows.gradient(scale * (slope @ texts), units, lengths)
            moved = matrix - self.start
            cost += pull * float((moved * moved).sum())
            return cost, self.features.T @ by_value + 2 * pull * moved

        return minimise(objective, start, iterations=ITERATIONS, tolerance=TOLERANCE)

    def fitted(self, matrix: np.ndarray, chosen: dict) -> ProjectionFit:
        return ProjectionFit(
            text_scale=float(self.scale),
            reads=FEATURES if self.task.before is None else BEFORE,
            trained=matrix.size,
            chosen={"scale": float(self.scale), **chosen},
            settings=chosen,
            matrix=matrix.astype(np.float32),
            bias=self.bias,
            texts=self.task.class_texts,
        )
