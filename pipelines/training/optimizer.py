"""Builds the optimizer from the options of a run."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

import classifiers
import dual_encoder

NOT_DECAYED = ("bias", "gamma", "beta", "log_scale", "positions", "class_token")


@dataclass(frozen=True)
class OptimizerOptions:
    """Optimizer settings, named as in the options of `finetune` and `train`.

    Attributes:
        optimizer: adamw or sgd.
        learning_rate: peak value.
        weight_decay: not on biases, norms, positions and temperatures.
        schedule: cosine (warms up, falls to `min_learning_rate`) or constant.
        warmup_steps: of a cosine; half of all steps at most.
        min_learning_rate: at which a cosine ends.
        clip_norm: largest norm of the gradient over all weights; 0 for any.
        ema: share that the average of the weights keeps of itself in a step; 0 for no average.
        beta_1, beta_2, epsilon: of adamw.
        momentum: of sgd.
    """

    optimizer: str = "adamw"
    learning_rate: float = 0.001
    weight_decay: float = 0.0
    schedule: str = "constant"
    warmup_steps: int = 0
    min_learning_rate: float = 0.0
    clip_norm: float = 0.0
    ema: float = 0.0
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7  # Keras' own
    momentum: float = 0.9

    @classmethod
    def of(cls, options: Any) -> "OptimizerOptions":
        """Takes the settings that a command's options have; the others keep their defaults."""
        names = {field.name for field in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in vars(options).items() if name in names})


def optimizer(
    options: OptimizerOptions, *, steps: int, scales: Mapping[str, float] | None = None
) -> keras.optimizers.Optimizer:
    """Returns AdamW or SGD according to the options.

    Args:
        options: see there.
        steps: of the whole run.
        scales: factor of the learning rate of each weight, by path.
    """
    sgd = options.optimizer == "sgd"
    names = ("momentum",) if sgd else ("beta_1", "beta_2", "epsilon")
    own: dict[str, Any] = {name: getattr(options, name) for name in names}
    kinds: Any = dual_encoder.AdamW, keras.optimizers.SGD
    if scales or options.ema or sgd:
        kinds = classifiers.ScaledAdamW, classifiers.ScaledSGD
        averages = {"use_ema": bool(options.ema), "ema_momentum": options.ema or 0.99}
        own |= {"scales": scales, **averages}
    chosen = kinds[sgd](
        _rate(options, steps=steps),
        weight_decay=options.weight_decay,
        global_clipnorm=options.clip_norm or None,
        **own,
    )
    chosen.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
    return chosen


def _rate(options: OptimizerOptions, *, steps: int) -> Any:
    if options.schedule != "cosine":
        return options.learning_rate
    warmup = min(options.warmup_steps, steps // 2)
    return keras.optimizers.schedules.CosineDecay(
        options.learning_rate / max(warmup, 1),
        max(steps - warmup, 1),
        alpha=options.min_learning_rate / options.learning_rate,
        warmup_target=options.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
