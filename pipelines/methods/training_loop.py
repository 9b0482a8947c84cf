"""Gradient steps on cached features, resumable."""

from pathlib import Path
from typing import Any

import numpy as np

from pipelines.methods.cached_embedding_batches import Embedded
from pipelines.training import small_set_batch_size

DIVERGED = 1000  # the last loss over the first, from which on the weights are of no use


def batches_of(values: np.ndarray, labels: np.ndarray, *, most: int, seed: int) -> Embedded:
    """Features [v, n, d] and classes [n] in steps of `most` rows, or of all there are."""
    import tensorflow as tf

    devices = tf.distribute.get_strategy().num_replicas_in_sync
    size = small_set_batch_size.batch_of(values.shape[1], most=most, devices=devices)
    return Embedded(values, labels, batch_size=size, seed=seed)


def train(model: Any, data: Embedded, *, epochs: int, folder: Path) -> list[dict[str, float]]:
    """Train to the last epoch, from where it stopped; the logs of every epoch.

    Args:
        model: compiled.
        folder: of the run, for its checkpoints.

    Raises:
        RuntimeError: training diverged.
    """
    import tensorflow as tf

    from pipelines.training import resumable_fit
    from pipelines.training.checkpoint import Checkpoint

    model.optimizer.build(model.trainable_variables)
    checkpoint = Checkpoint(
        folder / "checkpoints", steps_per_epoch=data.steps, every=epochs * data.steps
    )
    with tf.distribute.get_strategy().scope():
        resumable_fit.fit(
            model,
            lambda step: data.batches(epochs=epochs, start_step=step),
            epochs=epochs,
            checkpoint=checkpoint,
            callbacks=[],
            silent=True,
        )
    first, last = (checkpoint.history[epoch]["loss"] for epoch in (0, -1))
    if last > first:
        message = f"the loss rose from {first:.3g} to {last:.3g}: try a smaller --learning-rate"
        if last > DIVERGED * first:
            raise RuntimeError(message)
        print(message)
    return checkpoint.history
