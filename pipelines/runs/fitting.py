"""Keras `fit` that goes on in the middle of a pass, and an optimizer with the usual manners."""

from collections.abc import Callable
from typing import Any

import keras

from pipelines.runs.checkpoint import Checkpoint

NOT_DECAYED = ("bias", "gamma", "beta", "log_scale", "positions", "class_token")


def fit(
    model: keras.Model,
    load: Callable[[int], Any],
    *,
    epochs: int,
    steps_per_epoch: int,
    checkpoint: Checkpoint,
    callbacks: list[keras.callbacks.Callback],
    validation: Any = None,
) -> None:
    """Train to the end of the last epoch, from wherever the newest checkpoint left off.

    A pass that was interrupted is finished by a `fit` of its own, since Keras counts the same
    number of steps in every epoch of one `fit`.

    Args:
        model: compiled and built.
        load: `load(step)` gives the batches from that step of the run on.
        epochs, steps_per_epoch: passes, and steps of each.
        checkpoint: restores the newest state, and saves as it goes.
        callbacks: all others; they run before `checkpoint`.
        validation: batches for `evaluate` after every epoch.
    """
    done = checkpoint.resume(model, callbacks)
    if done:
        print(f"going on after step {done} of {epochs * steps_per_epoch}")
    epoch, inside = divmod(done, steps_per_epoch)
    stretches = [(epoch, epoch + 1, steps_per_epoch - inside)] if inside else []
    stretches += [(epoch + bool(inside), epochs, steps_per_epoch)]
    for first, last, steps in stretches:
        if first >= last or _stopped_early(callbacks, checkpoint):
            continue
        model.fit(
            load(checkpoint.step),
            initial_epoch=first,
            epochs=last,
            steps_per_epoch=steps,
            validation_data=validation,
            shuffle=False,  # the batches come shuffled
            callbacks=[*callbacks, checkpoint],
        )


def _stopped_early(callbacks: list[keras.callbacks.Callback], checkpoint: Checkpoint) -> bool:
    memories = checkpoint.memories or [{}] * len(callbacks)
    return any(memory.get("stopped_epoch") for memory in memories)


def adamw(
    learning_rate: float,
    *,
    weight_decay: float,
    schedule: str,
    warmup_steps: int,
    steps: int,
    clip_norm: float,
) -> keras.optimizers.Optimizer:
    """AdamW; decays no bias, norm, position or temperature; `cosine` warms up and falls to zero."""
    rate: Any = learning_rate
    if schedule == "cosine":
        warmup = min(warmup_steps, steps // 2)
        rate = keras.optimizers.schedules.CosineDecay(
            learning_rate / max(warmup, 1),
            max(steps - warmup, 1),
            warmup_target=learning_rate if warmup else None,
            warmup_steps=warmup,
        )
    optimizer = keras.optimizers.AdamW(
        rate, weight_decay=weight_decay, global_clipnorm=clip_norm or None
    )
    optimizer.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
    return optimizer
