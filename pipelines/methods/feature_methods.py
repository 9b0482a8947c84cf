"""Use the methods of `classifiers.on_features` as rows: `fit=library.method("gaussian")`."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from pipelines.methods import several_labels
from pipelines.methods.few_shot_task import Task
from pipelines.methods.method import Fitted


def method(name: str) -> Callable[[Task], Fitted]:
    """The fit of the method of that name."""
    return partial(_fit, name)


def text_probe(task: Task) -> Fitted:
    """The method of that name, of images with one label each or several."""
    return several_labels.text_probe(task) if task.several_labels else _fit("text-probe", task)


def _fit(name: str, task: Task) -> Fitted:
    from classifiers import class_weights, on_features

    texts = task.require_texts()
    scale = float(np.linalg.norm(texts[0]))
    given = on_features.Task(
        *task.train,
        texts[list(task.seen)],
        scale,
        validation=task.validation,
        weights=class_weights(task.train[1], power=task.class_weight)[task.train[1]],
    )
    fit = on_features.METHODS[name].fit
    if task.held_out:
        found = on_features.with_new_names(given, fit, task.seed)
    else:
        found = fit(given, task.seed)
    head = projection = None
    if isinstance(found, on_features.LinearFit):
        head = found.rows.T, found.bias
    if isinstance(found, on_features.ProjectionFit):
        head, projection = _texts_head(found), found.matrix
    return Fitted(
        partial(_logits, found, task),
        found.trained,
        head=head,
        unit_length=True,
        projection=projection,
        offset=found.offset,
        more={"chosen": found.chosen},
    )


def _texts_head(found: Any) -> tuple[np.ndarray, np.ndarray]:
    """The class names' texts as a head behind the new projection."""
    return np.float32(found.text_scale) * found.texts.T, np.zeros(len(found.texts), np.float32)


def _logits(found: Any, task: Task, features: np.ndarray) -> np.ndarray:
    """Over all classes of the set; NaN for names that it has no answer for."""
    logits = np.full((len(features), len(task.names)), np.nan, np.float32)
    held_out = list(task.held_out) if found.answers_new_names else []
    new = task.require_texts()[held_out] if held_out else None
    logits[:, [*task.seen, *held_out]] = found.logits(features, new_texts=new)
    return logits
