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

# Options of metrics that stand for a probability of a half, unless they are given.
HALVES = {"thresholds": None, "threshold": 0.5}

# Names of which Keras makes a metric by the shape of the labels.
BY_LABELS = ("accuracy", "acc")

# Names of accuracy, which of several labels is that of each class by itself.
ACCURACIES = ("accuracy", "acc", "binary_accuracy", "BinaryAccuracy")


def class_loss() -> keras.losses.Loss:
    """Returns cross-entropy of class numbers and logits, averaged over rows without padding."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=row_mean())


def loss_on_logits(loss: Any, *, refuse: bool = True) -> Any:
    """Returns a loss as given to `compile`, with cross-entropies of logits for their names.

    Args:
        loss: as in Keras: a name, class, function or object, or a list of one; None unchanged.
        refuse: whether objects that take probabilities are an error; else names stand for them.

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
        return kind(from_logits=refuse, reduction=row_mean())
    if refuse:
        _refuse_probabilities("loss", found)
    return found


def metrics_on_logits(metrics: Any, *, multi_label: bool = False, refuse: bool = True) -> list[Any]:
    """Returns metrics as given to `compile` as a list, with those of logits for their names.

    Args:
        metrics: a list, a tuple, a dict by output, or None.
        multi_label: whether accuracy is that of each class by itself, at a probability of 0.5.
        refuse: whether objects that take probabilities are an error; else names stand for them.

    Raises:
        ValueError: neither a list nor a dict, or a metric of probabilities, with
            `from_logits=False` or with the threshold of a half that is Keras' default.
    """
    if metrics is not None and not isinstance(metrics, list | tuple | Mapping):
        raise ValueError(f'metrics: expected a list, such as ["accuracy"]; got {metrics!r}')
    found = []
    for metric in keras.tree.flatten(metrics or []):
        if isinstance(metric, type):
            metric = metric()
        if multi_label and isinstance(metric, str) and metric in ACCURACIES:
            name = "binary_accuracy" if metric == "BinaryAccuracy" else metric
            half = 0.0 if refuse else 0.5
            metric = keras.metrics.BinaryAccuracy(name=name, threshold=half)
        elif isinstance(metric, str) and metric not in BY_LABELS and refuse:
            metric = _metric_on_logits(metric, multi_label=multi_label)
        if refuse:
            _refuse_probabilities("metrics", metric)
        found.append(metric)
    return found


def _metric_on_logits(name: str, *, multi_label: bool) -> Any:
    """Returns the metric of a name, of logits where it has an option for it."""
    if name in ("crossentropy", "ce"):
        raise ValueError(
            "metrics: expected sparse_categorical_crossentropy, categorical_crossentropy or "
            f"binary_crossentropy, by the labels; got {name!r}"
        )
    found = keras.metrics.get(name)
    if not isinstance(found, keras.metrics.Metric):
        return name
    config = {**found.get_config(), "name": name}
    if config.get("from_logits") is False:
        config["from_logits"] = True
    if multi_label and (half := _half(config)):
        config[half] = 0.0  # the logit of a half
    return type(found).from_config(config)


def _half(config: Mapping[str, Any]) -> str | None:
    """Returns the option of a metric that stands for a probability of a half, if one does."""
    if config.get("top_k") is not None:
        return None
    return next((each for each, value in HALVES.items() if config.get(each, -1) == value), None)


def _refuse_probabilities(what: str, given: Any) -> None:
    """Raises ValueError for a loss or metric of Keras that takes logits for probabilities."""
    if not isinstance(given, keras.losses.Loss | keras.metrics.Metric):
        return
    config, kind = given.get_config(), type(given).__name__
    if half := _half(config):
        raise ValueError(
            f"{what}: expected {kind} with {half} of its own, such as 0.0 (of several labels a "
            f"probability of a half), for the model gives logits; got {half}={config[half]}"
        )
    if "num_thresholds" in config and "from_logits" not in config:
        raise ValueError(
            f"{what}: {kind} takes probabilities, but the model gives logits; measure "
            "sigmoid or softmax of predict"
        )
    if config.get("from_logits") is False:
        raise ValueError(
            f"{what}: expected {kind}(from_logits=True), for the model gives logits; got "
            f"{kind} with from_logits=False, which takes probabilities"
        )
