"""Keras `fit` that goes on in the middle of a pass, and what most runs train and stop with."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras

import classifiers
import dual_encoder
from pipelines.runs import strategy as strategies
from pipelines.runs.callbacks import BestWeights
from pipelines.runs.checkpoint import Checkpoint

NOT_DECAYED = ("bias", "gamma", "beta", "log_scale", "positions", "class_token")


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
        RuntimeError: the loss or a weight became NaN or infinite.
    """
    steps = checkpoint.steps_per_epoch
    done = checkpoint.resume(model, callbacks)
    _check_workers_agree(model, done)
    if done:
        print(f"going on after step {done:,} of {epochs * steps:,}")
    epoch, inside = divmod(done, steps)
    stretches = [(epoch, epoch + 1, steps - inside)] if inside else []
    stretches += [(epoch + bool(inside), epochs, steps)]
    with checkpoint.listening():
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


def adamw(learning_rate: float, **options: Any) -> keras.optimizers.Optimizer:
    """`optimizer("adamw", ...)`."""
    return optimizer("adamw", learning_rate, **options)


def optimizer(
    name: str,
    learning_rate: float,
    *,
    weight_decay: float,
    schedule: str,
    warmup_steps: int,
    steps: int,
    clip_norm: float,
    min_learning_rate: float = 0.0,
    scales: Mapping[str, float] | None = None,
    ema: float = 0.0,
    **options: Any,
) -> keras.optimizers.Optimizer:
    """AdamW or SGD; decays no bias, norm, position or temperature.

    Args:
        name: adamw or sgd.
        learning_rate: the highest.
        schedule: cosine (warms up, falls to `min_learning_rate`) or constant.
        warmup_steps: of a cosine; half of `steps` at most.
        steps: of the whole run.
        clip_norm: largest norm of the gradient over all weights; 0 for any.
        scales: factor of the learning rate of each weight, by path.
        ema: share that the average of the weights keeps of itself in a step; 0 for no average.
        options: of the optimizer, such as `beta_2` and `momentum`.
    """
    rate: Any = learning_rate
    if schedule == "cosine":
        warmup = min(warmup_steps, steps // 2)
        rate = keras.optimizers.schedules.CosineDecay(
            learning_rate / max(warmup, 1),
            max(steps - warmup, 1),
            alpha=min_learning_rate / learning_rate,
            warmup_target=learning_rate if warmup else None,
            warmup_steps=warmup,
        )
    kinds: Any = dual_encoder.AdamW, keras.optimizers.SGD
    if scales or ema or name == "sgd":
        kinds = classifiers.ScaledAdamW, classifiers.ScaledSGD
        options = {**options, "scales": scales, "use_ema": bool(ema), "ema_momentum": ema or 0.99}
    chosen = kinds[name == "sgd"](
        rate, weight_decay=weight_decay, global_clipnorm=clip_norm or None, **options
    )
    chosen.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
    return chosen
