"""Baselines: the zero-shot classifier, and a linear probe without class names."""

import numpy as np

from classifiers.on_features.fitted import LinearFit, linear
from classifiers.on_features.task import Task

STRENGTH = 1.0  # scikit-learn's C without validation to choose it


def zero_shot(task: Task, seed: int = 0) -> LinearFit:
    """Class names alone; the images are not looked at, and `seed` is not used."""
    return linear(task.scale * task.class_texts, text_scale=task.scale)


def linear_probe(task: Task, seed: int = 0) -> LinearFit:
    """Logistic regression that does not know the class names: nothing to say of new ones.

    Args:
        task: one or more images of every class; validation chooses the penalty.
        seed: not used, nothing is drawn.

    Raises:
        ValueError: a class without images.
    """
    from classifiers import probe

    task.require_every_class("linear-probe")
    features, labels, weights = task.stacked()
    strengths = probe.SWEPT if task.validation is not None else (STRENGTH,)
    found = probe.fit(
        features,
        labels,
        validation=task.validation,
        strengths=strengths,
        weights=weights / weights.mean() if np.ptp(weights) else None,
    )
    return linear(
        found.weights.T,
        found.bias,
        text_scale=None,
        trained=found.weights.size + found.bias.size,
        chosen={"strength": found.strength},
    )
