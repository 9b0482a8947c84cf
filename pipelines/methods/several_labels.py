"""Methods on cached features where images have several labels: class names, probes, both."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from duet import unit_rows
from pipelines.methods.few_shot_task import Task
from pipelines.methods.method import Fitted

FACTORS = (-6.0, 6.0)  # natural logarithms between which the best factor is looked for
OFFSETS = (-20.0, 20.0)


def zero_shot(task: Task) -> Fitted:
    """Class names alone; see `label_head`."""
    weights, bias = label_head(task)
    more = {"templates": [*task.templates]}
    return _fitted(weights, bias, trained=0, unit_length=True, **more)


def linear_probe(task: Task) -> Fitted:
    """Logistic regression of each class by itself."""
    from classifiers import multi_label_probe

    found = multi_label_probe.fit(*task.stacked, validation=task.validation)
    _say("linear probe", found.strength, found.losses)
    return _fitted(found.weights, found.bias, strength=found.strength)


def text_probe(task: Task) -> Fitted:
    """Logistic regression of each class that starts at its name and is pulled back to it."""
    from classifiers import multi_label_text_probe

    features, labels = task.stacked
    held, wanted = task.validation
    found = multi_label_text_probe.fit(
        unit_rows.unit(features),
        labels,
        prior=label_head(task),
        validation=(unit_rows.unit(held), wanted),
    )
    _say("text probe", found.strength, found.losses)
    return _fitted(found.weights, found.bias, unit_length=True, strength=found.strength)


def label_head(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Class names alone as a head: weights [e, c] and bias [c] on features of unit length.

    What an image has in common with all names speaks for none of them: the mean over classes is
    taken off, as in CLIP Surgery (Li et al. 2023, arXiv:2304.05653). One factor and one offset for
    all classes put the rest on the scale of logits of a label; see `label_scale`.
    """
    matrix = task.require_texts().T
    matrix = matrix - matrix.mean(axis=1, keepdims=True)
    factor, offset = label_scale(unit_rows.unit(task.views[0]) @ matrix, task.train[1])
    return factor * matrix, np.full(matrix.shape[1], offset, np.float32)


def label_scale(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """The factor and the offset of logits [n, c] that give labels [n, c], 0 or 1, the lowest mean
    cross-entropy; the factor is positive.

    Platt 1999, "Probabilistic Outputs for Support Vector Machines", over all pairs of image and
    class.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    from classifiers import multi_label_probe

    middle, spread = float(logits.mean()), float(logits.std()) or 1.0
    scores = (np.asarray(logits, np.float64) - middle) / spread

    def loss(found: np.ndarray) -> tuple[float, np.ndarray]:
        factor = np.exp(found[0])
        said = factor * scores + found[1]
        error = expit(said) - labels
        gradient = np.array([(error * scores).mean() * factor, error.mean()])
        return float(multi_label_probe.cross_entropies(said, labels).mean()), gradient

    bounds = [FACTORS, OFFSETS]
    factor, offset = minimize(loss, np.zeros(2), jac=True, bounds=bounds, method="L-BFGS-B").x
    factor = np.exp(factor) / spread
    return float(factor), float(offset - factor * middle)


def _fitted(
    weights: np.ndarray,
    bias: np.ndarray,
    *,
    trained: int | None = None,
    unit_length: bool = False,
    **more: Any,
) -> Fitted:
    """What answers features by `features @ weights + bias`, over all classes."""

    def logits(features: np.ndarray) -> np.ndarray:
        return (unit_rows.unit(features) if unit_length else features) @ weights + bias

    numbers = weights.size + bias.size if trained is None else trained
    return Fitted(logits, numbers, head=(weights, bias), unit_length=unit_length, more=more)


def _say(name: str, strength: float, losses: Mapping[float, float]) -> None:
    print(f"{name}: C = {strength:g}, cross-entropy {losses[strength]:.3f} a label on validation")
