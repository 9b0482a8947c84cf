"""Measure accuracy on seen and held-out classes during fine-tuning."""

from typing import Any

import keras
import numpy as np

from classifiers import averaged_weights
from pipelines.finetuning.model import Adapted
from pipelines.metrics import multilabel as several
from pipelines.metrics import seen_unseen
from pipelines.runs import image_features as runs_features


class Forgetting(keras.callbacks.Callback):
    """Adds `figures`, on validation, to the logs: before training, every epoch.

    Images of held-out classes are measured and nothing more: let no callback behind this one choose
    by their figures. `val_loss` is of seen classes alone. Where the optimizer averages the weights,
    the averages count.
    """

    def __init__(self, adapted: Adapted) -> None:
        super().__init__()
        self.adapted = adapted
        self._batches: tuple[Any, int] | None = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        if logs is not None and not self.model.optimizer.iterations.numpy():
            logs.update(self.measure())

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if logs is not None:
            with averaged_weights(self.model):
                logs.update(self.measure())

    def measure(self) -> dict[str, float]:
        """The figures that can be said, by the names they have in the logs."""
        adapted = self.adapted
        if adapted.cache is not None:
            made = adapted.features("train", adapted.data.measured_ids)
        else:
            if self._batches is None:  # read every time, but made once
                self._batches = adapted.data.measured(adapted.model)
            batches, count = self._batches
            made = runs_features.compute(adapted.model.encode_image, batches, count=count)
        logits = adapted.logits(made.values)
        found = figures(adapted, made.labels, logits)
        if adapted.model.compiled and not adapted.has_texts:
            found["loss"] = _loss(adapted, made.labels, logits)
        return {f"val_{name}": value for name, value in found.items() if value is not None}


def figures(adapted: Adapted, labels: np.ndarray, logits: np.ndarray) -> dict[str, Any]:
    """The figures of `seen_unseen` of the model as it is, by its logits over all classes.

    Where images have several labels it is `map` instead, their mean average precision.
    """
    data = adapted.data
    if data.manifest.multi_label:
        if not np.isfinite(logits).all():
            return {"map": np.nan}  # the run stops at it, and says so
        precisions = several.average_precision(labels, several.sigmoid(logits))
        return {"map": float(np.nanmean(precisions))}
    return seen_unseen.figures(
        labels,
        logits,
        seen=data.parts.seen,
        held_out=data.parts.held_out,
        comparable=adapted.comparable,
    )


def _loss(adapted: Adapted, labels: np.ndarray, logits: np.ndarray) -> float:
    """That of training, on images of seen classes."""
    data, seen = adapted.data, list(adapted.data.parts.seen)
    if not data.manifest.multi_label:
        inside = np.isin(labels, seen)
        labels, logits = np.searchsorted(seen, labels[inside]), logits[inside][:, seen]
        if data.soft:
            labels = np.eye(len(seen), dtype=np.float32)[labels]
    return float(adapted.model.loss(labels, logits))
