"""What fails, hangs or trains wrongly on several replicas."""

from typing import Any

import keras


def refuse_impossible(model: keras.Model, optimizer: keras.Optimizer, options: dict) -> None:
    """Raises ValueError for options that fail, hang or train wrongly on several replicas."""
    strategy = model.distribute_strategy
    replicas = strategy.num_replicas_in_sync
    if replicas == 1 or optimizer is None:
        return
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    refused = {
        "jit_compile=True": (
            options.get("jit_compile") is True,
            "XLA cannot reach the variables of another device",
        ),
        "steps_per_execution > 1": (
            options.get("steps_per_execution", 1) != 1,
            "the loop over steps cannot talk to other replicas",
        ),
        "gradient_accumulation_steps": (
            bool(inner.gradient_accumulation_steps),
            "Keras cannot update several replicas inside a condition",
        ),
        "ema_overwrite_frequency": (
            inner.use_ema and bool(inner.ema_overwrite_frequency),
            "Keras cannot update several replicas inside a condition; use keras.callbacks."
            "SwapEMAWeights",
        ),
        "loss_scale_factor": (
            bool(inner.loss_scale_factor),
            "clipping would act on scaled gradients; use keras.optimizers.LossScaleOptimizer",
        ),
        "mixed_float16": (
            spans_workers(strategy)
            and (model.dtype_policy.name == "mixed_float16" or inner is not optimizer),
            "a step of several workers cannot be skipped on overflow; use mixed_bfloat16",
        ),
    }
    for name, (present, reason) in refused.items():
        if present:
            raise ValueError(f"{name} does not work on {replicas} replicas: {reason}")
    if not strategy.extended.variable_created_in_scope(optimizer.iterations.value):
        raise ValueError(
            f"the optimizer {optimizer.name!r} was made outside the scope of the model's strategy: "
            "make it inside `with strategy.scope():`, or pass its name"
        )


def refuse_uneven(model: keras.Model, rows: int, batch_size: int | None, *, exactly: bool) -> None:
    """Raises ValueError for arrays with a batch that not every replica has a part of.

    Replicas whose parts differ in size cannot exchange them, and the error of TensorFlow ends all
    that the process would do on several devices.

    Args:
        rows: of the arrays.
        batch_size: of all replicas together; None for Keras' 32.
        exactly: whether all parts have to be of one size.
    """
    replicas, size = model.distribute_strategy.num_replicas_in_sync, batch_size or 32
    last = rows % size or size
    for batch in (min(size, rows), last):
        if replicas > 1 and (batch < replicas or (exactly and batch % replicas)):
            raise ValueError(
                f"batch_size: expected batches that {replicas} devices share "
                f"{'evenly' if exactly else 'among them'}; got {rows} rows in batches of {size}, "
                f"of which one has {batch}: leave rows out, or choose another batch_size"
            )


def spans_workers(strategy: Any) -> bool:
    """Returns whether the strategy runs in several processes."""
    resolver = strategy.cluster_resolver
    return resolver is not None and sum(map(len, resolver.cluster_spec().as_dict().values())) > 1
