"""Losses and metrics of models that give logits: those named to `compile` take logits too."""

from collections.abc import Mapping
from typing import Any

import keras

from dual_encoder.training.sample_weights import row_mean

# Cross-entropies by Keras' function; each class has `from_logits`, False by default.
CROSS_ENTROPIES = {
    keras.losses.sparse_categorical_crossentropy: keras.losses.SparseCategoricalCrossentropy,
    keras.losses.categorical_crossentropy: keras.losses.CategoricalCrossentropy,
    keras.losses.binary_crossentropy: keras.losses.BinaryCrossentropy,
    keras.losses.categorical_focal_crossentropy: keras.losses.CategoricalFocalCrossentropy,
    keras.losses.binary_focal_crossentropy: keras.losses.BinaryFocalCrossentropy,
}

METRICS = {
    "sparse_categorical_crossentropy": keras.metrics.SparseCategoricalCrossentropy,
    "categorical_crossentropy": keras.metrics.CategoricalCrossentropy,
    "binary_crossentropy": keras.metrics.BinaryCrossentropy,
}

# Names of accuracy, which of several labels is that of each class by itself.
ACCURACIES = ("accuracy", "acc", "binary_accuracy", "BinaryAccuracy")


def loss_on_logits(loss: Any, *, refuse: bool = True) -> Any:
    """Returns a loss as given to `compile`, with cross-entropies of logits for their names.

    Args:
        loss: as in Keras: a name, class, function or object, or a list of one; None unchanged.
        refuse: whether objects that take probabilities are an error.

    Raises:
        ValueError: an object with `from_logits=False`, or an unknown name.
    """
    if isinstance(loss, list | tuple) and len(loss) == 1:
        (loss,) = loss
    if loss is None or isinstance(loss, list | tuple | dict):
        return loss
    if isinstance(loss, str | type):
        found = loss() if isinstance(loss, type) else keras.losses.get(loss)
        kind = CROSS_ENTROPIES.get(found, type(found))
    else:
        found, kind = loss, CROSS_ENTROPIES.get(loss)
    if kind in CROSS_ENTROPIES.values():
        return kind(from_logits=True, reduction=row_mean())
    if refuse:
        _refuse_probabilities("loss", found)
    return found


def metrics_on_logits(metrics: Any, *, multi_label: bool = False, refuse: bool = True) -> list[Any]:
    """Returns metrics as given to `compile` as a list, with those of logits for their names.

    Args:
        metrics: a list, a tuple, a dict by output, or None.
        multi_label: whether accuracy is that of each class by itself, at a probability of 0.5.
        refuse: whether objects that take probabilities are an error.

    Raises:
        ValueError: neither a list nor a dict, or an object with `from_logits=False`.
    """
    if metrics is not None and not isinstance(metrics, list | tuple | Mapping):
        raise ValueError(f'metrics: expected a list, such as ["accuracy"]; got {metrics!r}')
    found = []
    for metric in keras.tree.flatten(metrics or []):
        if isinstance(metric, type):
            metric = metric()
        kind = METRICS.get(metric) if isinstance(metric, str) else None
        if kind is not None:
            metric = kind(from_logits=True, name=metric)
        elif multi_label and isinstance(metric, str) and metric in ACCURACIES:
            name = "binary_accuracy" if metric == "BinaryAccuracy" else metric
            metric = keras.metrics.BinaryAccuracy(name=name, threshold=0.0)
        elif refuse:
            _refuse_probabilities("metrics", metric)
        found.append(metric)
    return found


def _refuse_probabilities(what: str, given: Any) -> None:
    """Raises ValueError for a loss or metric of Keras that takes logits for probabilities."""
    if not isinstance(given, keras.losses.Loss | keras.metrics.Metric):
        return
    if given.get_config().get("from_logits") is False:
        kind = type(given).__name__
        raise ValueError(
            f"{what}: expected {kind}(from_logits=True), for the model gives logits; got "
            f"{kind} with from_logits=False, which takes probabilities"
        )
