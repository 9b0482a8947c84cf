"""Keras `fit` that resumes in the middle of an epoch, and when training stops early."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from duet import disk_errors
from pipelines.runs import strategy as strategies
from pipelines.training import lost_workers
from pipelines.training.callbacks import BestWeights
from pipelines.training.checkpoint import Checkpoint


def fit(
    model: keras.Model,
    load: Callable[[int], Any],
    *,
    epochs: int,
    checkpoint: Checkpoint,
    callbacks: list[keras.callbacks.Callback],
    validation: Any = None,
    silent: bool = False,
) -> None:
    """Train to the end of the last epoch, from wherever the newest checkpoint left off.

    A pass that was interrupted is finished by a `fit` of its own, since Keras counts the same
    number of steps in every epoch of one `fit`. Ends with the weights of the best epoch if one of
    the callbacks is `BestWeights`.

    Args:
        model: compiled and built.
        load: `load(step)` gives the batches from that step of the run on.
        epochs: passes, each of `checkpoint.steps_per_epoch` steps.
        checkpoint: restores the newest state, and saves as it goes.
        callbacks: all others; they run before `checkpoint`.
        validation: batches for `evaluate` after every epoch.
        silent: say nothing about epochs.

    Raises:
        ValueError: the newest checkpoint is damaged, of another model, or not seen by all workers.
        KeyboardInterrupt: Ctrl-C; the state has been saved.
        RuntimeError: the loss or a weight became NaN or infinite; another worker is gone.
        disk_errors.CannotWriteError: there is no room for the checkpoints.
    """
    steps = checkpoint.steps_per_epoch
    done = checkpoint.resume(model, callbacks)
    _check_workers_agree(model, done)
    if done:
        print(f"going on after step {done:,} of {epochs * steps:,}")
    epoch, inside = divmod(done, steps)
    stretches = [(epoch, epoch + 1, steps - inside)] if inside else []
    stretches += [(epoch + bool(inside), epochs, steps)]
    said = disk_errors.room(
        checkpoint.directory, checkpoint.bytes_needed(model), what="checkpoints"
    )
    if not silent:
        print(said)
    with checkpoint.listening(), lost_workers.named(model.distribute_strategy):
        for first, last, length in stretches:
            if first >= last or checkpoint.stopped_early:
                continue
            model.fit(
                load(checkpoint.step),
                initial_epoch=first,
                epochs=last,
                steps_per_epoch=length,
                validation_data=validation,
                shuffle=False,  # the batches come shuffled
                callbacks=[*callbacks, checkpoint],
                verbose=0 if silent else 1 if sys.stdout.isatty() else 2,  # no bars in a log file
            )
    for callback in callbacks:
        if isinstance(callback, BestWeights) and checkpoint.writes:
            callback.restore(model)


def _check_workers_agree(model: keras.Model, step: int) -> None:
    """Raise a ValueError unless all workers start from the same step."""
    strategy = model.distribute_strategy
    if strategies.worker(strategy)[1] == 1:
        return
    import tensorflow as tf

    @tf.function
    def mean() -> Any:
        return strategy.reduce("MEAN", strategy.run(lambda: tf.constant(float(step))), axis=None)

    if float(mean()) != step:
        raise ValueError(
            f"this worker would go on from step {step}, another one from elsewhere: all of them "
            "have to see the folder of the run (--out)"
        )


def stopping(
    directory: Path,
    *,
    early_stopping: int = 0,
    plateau: int = 0,
    plateau_factor: float = 0.2,
    writes: bool = True,
) -> list[keras.callbacks.Callback]:
    """Early stopping that ends with the best weights, and reduce-on-plateau; both on `val_loss`.

    Args:
        directory: where the best weights are kept.
        early_stopping, plateau: epochs without a better loss before they act; 0 for never.
        plateau_factor: what the learning rate is then multiplied by.
        writes: whether this process writes; False on all workers but the chief.
    """
    chosen: list[keras.callbacks.Callback] = []
    if early_stopping:
        chosen.append(keras.callbacks.EarlyStopping(patience=early_stopping))
        chosen.append(BestWeights(directory / "best.safetensors", writes=writes))
    if plateau:
        chosen.append(keras.callbacks.ReduceLROnPlateau(patience=plateau, factor=plateau_factor))
    return chosen
