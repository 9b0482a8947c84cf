"""Classifier weights trained from the class names by gradient steps: cross-modal probe, TaskRes.

Both start at the scale at which zero-shot probabilities fit the images, see
`Task.calibrated_scale`: at the model's own, names that say little of the images are believed all
the same, and outvote what is learnt.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from classifiers.on_features.fitted import LinearFit, linear
from classifiers.on_features.solvers import adam, cross_entropy
from classifiers.on_features.task import Task, unit
from classifiers.temperature_scaling import losses
from duet import unit_rows

STEPS = 300
STOPS = 10  # places along the way of which validation chooses one
CROSS_MODAL_RATE, CROSS_MODAL_DECAY = 1e-3, 0.01
RESIDUAL_RATE, RESIDUAL_SHARE = 2e-3, 0.5


def cross_modal(task: Task, seed: int = 0, *, steps: int = STEPS) -> LinearFit:
    """The cross-modal probe: class names are training samples beside the images.

    The loss is half the mean cross-entropy of the images and half that of the texts, each with
    the class it names; rows start at the texts, and the result is the mean of the trained rows
    and the texts (Lin et al. 2023, arXiv:2301.06267, sections 3 and 4; full batches of both in
    place of 12,800 small ones). Validation chooses where to stop.

    Args:
        task: images, any number of each class.
        seed: not used, nothing is drawn.
        steps: of AdamW; 0 gives zero-shot, at the calibrated scale.
    """
    task = replace(task, scale=task.calibrated_scale())
    features, labels, weights = task.stacked()
    both = np.concatenate([features, task.class_texts])
    wanted = np.concatenate([labels, np.arange(task.classes)])
    shares = np.concatenate([weights / weights.sum(), np.full(task.classes, 1 / task.classes)]) / 2
    scale = np.float32(task.scale)

    def objective(rows: np.ndarray) -> tuple[float, np.ndarray]:
        logits = scale * (both @ rows.astype(np.float32).T)
        cost, slope = cross_entropy(logits, wanted, shares)
        return cost, scale * (slope.T @ both)

    return _stopped(
        task,
        objective,
        task.class_texts,
        steps=steps,
        rate=CROSS_MODAL_RATE,
        decay=CROSS_MODAL_DECAY,
        rows=lambda x: task.scale * (x + task.class_texts) / 2,
    )


def task_residual(task: Task, seed: int = 0, *, steps: int = STEPS) -> LinearFit:
    """TaskRes: the class names plus half a trained residual that starts at 0.

    Logits are `scale` times the cosine with t_c + x_c / 2 (Yu et al. 2023, arXiv:2211.10277,
    equation 5). Validation chooses where to stop.

    Args:
        task: images, any number of each class.
        seed: not used, nothing is drawn.
        steps: of full-batch Adam; 0 gives zero-shot, at the calibrated scale.
    """
    task = replace(task, scale=task.calibrated_scale())
    features, labels, weights = task.stacked()
    shares, scale = weights / weights.sum(), np.float32(task.scale)

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        rows = task.class_texts + np.float32(RESIDUAL_SHARE) * x.astype(np.float32)
        lengths = unit_rows.lengths(rows)
        units = rows / lengths
        cost, slope = cross_entropy(scale * (features @ units.T), labels, shares)
        by_row = unit_rows.gradient(scale * (slope.T @ features), units, lengths)
        return cost, RESIDUAL_SHARE * by_row

    return _stopped(
        task,
        objective,
        np.zeros(task.class_texts.shape),
        steps=steps,
        rate=RESIDUAL_RATE,
        decay=0.0,
        rows=lambda x: task.scale * unit(task.class_texts + RESIDUAL_SHARE * x),
    )


def _stopped(
    task: Task,
    objective: Any,
    start: np.ndarray,
    *,
    steps: int,
    rate: float,
    decay: float,
    rows: Any,
) -> LinearFit:
    """Train, and take the rows of the last step, or of the one that validation chooses."""
    seen: dict[int, np.ndarray] = {}
    every = max(1, steps // STOPS)

    def watch(step: int, values: np.ndarray) -> None:
        if step % every == 0 or step == steps:
            seen[step] = np.asarray(rows(values), np.float32)

    adam(objective, start, steps=steps, rate=rate, decay=decay, watch=watch)
    best = steps
    if task.validation is not None:
        held, wanted = task.validation
        tried = {step: losses(held @ found.T, wanted) for step, found in seen.items()}
        best = min(tried, key=lambda step: tried[step].mean())
    return linear(
        seen[best], text_scale=task.scale, trained=seen[best].size, chosen={"steps": best}
    )
