"""LP++: a linear probe with a learnt weight for each class name's embedding."""

import numpy as np

from classifiers.on_features.clap_zslp_sstext import class_sums
from classifiers.on_features.fitted import LinearFit, linear
from classifiers.on_features.solvers import cross_entropy
from classifiers.on_features.task import Task
from classifiers.temperature_scaling import losses

STEPS, EVERY, MOMENTUM = 300, 10, 0.9
START = 2.5  # times the scale and the mean cosine of image and name: the names' first weight


def fit(task: Task, seed: int = 0, *, steps: int = STEPS) -> LinearFit:
    """Probe logits f w_c + b_c plus a_c f t_c, of which w, b and a are all trained.

    Full-batch gradient descent whose rates follow from the data: 4 N / largest eigenvalue of
    F^T F for the rows, N / (4 max_c sum_i (f_i t_c)^2) for the names' weights, which move every
    tenth step. Validation chooses the step (Huang et al. 2024, arXiv:2404.02285, sections 4 and
    5). A new name has its text with the mean of the weights.

    Args:
        task: one or more images of every class; `seed` is not used, nothing is drawn.
        steps: of gradient descent.

    Raises:
        ValueError: a class without images.
    """
    task.require_every_class("lp-plus-plus")
    features, labels, weights = task.stacked()
    shares = weights / weights.sum()
    cosines = features @ task.class_texts.T
    n = len(labels)
    rate = 4 * n / np.linalg.eigvalsh(features.T @ features)[-1]
    name_rate = n / (4 * (cosines**2).sum(axis=0).max())
    names = np.full(task.classes, START * task.scale * _mean_cosine(task, cosines, labels))
    rows, bias = class_sums(task), np.zeros(task.classes)
    speeds = [np.zeros_like(rows), np.zeros_like(bias)]
    best: tuple[float, int, LinearFit] | None = None
    for step in range(steps + 1):
        if step % EVERY == 0 or step == steps:
            found = _fitted(task, rows, bias, names, step)
            loss = step if task.validation is None else _loss(task, found)
            if best is None or task.validation is None or loss < best[0]:
                best = loss, step, found
        logits = (features @ rows.T + bias + cosines * names).astype(np.float32)
        slope = cross_entropy(logits, labels, shares)[1]
        speeds[0] = MOMENTUM * speeds[0] + slope.T @ features
        speeds[1] = MOMENTUM * speeds[1] + slope.sum(axis=0)
        rows, bias = rows - rate * speeds[0], bias - rate * speeds[1]
        if (step + 1) % EVERY == 0:
            names = names - name_rate * (slope * cosines).sum(axis=0)
    assert best is not None
    return best[2]


def _mean_cosine(task: Task, cosines: np.ndarray, labels: np.ndarray) -> float:
    """Mean over classes of the mean cosine of their images with their name."""
    own = cosines[np.arange(len(labels)), labels]
    sums = np.bincount(labels, weights=own, minlength=task.classes)
    return float((sums / np.bincount(labels, minlength=task.classes)).mean())


def _loss(task: Task, found: LinearFit) -> float:
    assert task.validation is not None
    return float(losses(found.known(task.validation[0]), task.validation[1]).mean())


def _fitted(
    task: Task, rows: np.ndarray, bias: np.ndarray, names: np.ndarray, step: int
) -> LinearFit:
    return linear(
        rows + names[:, None] * task.class_texts,
        bias,
        text_scale=float(names.mean()),
        trained=rows.size + bias.size + names.size,
        chosen={"steps": step},
    )
