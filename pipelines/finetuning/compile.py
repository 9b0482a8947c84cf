"""Compiles the model of a fine-tuning run: loss, optimizer, metrics."""

from typing import TYPE_CHECKING, Any

import keras

from classifiers import ImageClassifier, trainable
from pipelines.finetuning.data import Labelled
from pipelines.finetuning.model import Adapted
from pipelines.runs import runtime
from pipelines.training.optimizer import OptimizerOptions, optimizer

if TYPE_CHECKING:
    from pipelines.finetuning.options import Options


def compile_model(made: Adapted, options: "Options", *, steps: int) -> None:
    model: Any = made.model
    if not model.trainable_variables:
        raise ValueError(f"--method {options.method}: there is nothing to train in this model")
    scales = {}
    if isinstance(model, ImageClassifier):
        factors = {"layer_decay": options.layer_decay, "head_multiplier": options.head_multiplier}
        scales = trainable.scales(model, **factors)
    chosen = optimizer(OptimizerOptions.of(options), steps=steps, scales=scales)
    loss: dict[str, Any] = {
        "jit_compile": runtime.use_xla(model.distribute_strategy),
        "micro_batch": options.micro_batch or None,
    }
    if not made.has_texts:
        loss |= _loss(options, made.data)
    model.compile(chosen, **loss)
    model.optimizer.build(model.trainable_variables)


def _loss(options: "Options", data: Labelled) -> dict[str, Any]:
    """Cross-entropy of a number per image, of a column per class, or of each class separately."""
    smoothing = {"from_logits": True, "label_smoothing": options.label_smoothing}
    if data.manifest.multi_label:
        return {"loss": keras.losses.BinaryCrossentropy(**smoothing)}
    if data.soft:
        loss = keras.losses.CategoricalCrossentropy(**smoothing)
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return {"loss": loss, "metrics": ["accuracy"]}
