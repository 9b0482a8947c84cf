"""Builds the optimizer from the options of a run."""

from collections.abc import Mapping
from typing import Any

import keras

import classifiers
import dual_encoder

NOT_DECAYED = ("bias", "gamma", "beta", "log_scale", "positions", "class_token")


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
