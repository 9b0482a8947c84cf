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


def spans_workers(strategy: Any) -> bool:
    """Returns whether the strategy runs in several processes."""
    resolver = strategy.cluster_resolver
    return resolver is not None and sum(map(len, resolver.cluster_spec().as_dict().values())) > 1
