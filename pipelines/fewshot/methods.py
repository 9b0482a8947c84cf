"""What can be done with a few images per class: zero-shot, probe, Tip-Adapter, learnt prompts.

A method takes a cell and a task; it gives logits [n, classes] of the images that are measured,
NaN where a class cannot be told, and what else there is to say: `trained_parameters`, how many
numbers were learnt, and keys of its own.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.fewshot import batches, sampling
from pipelines.runs.features import unit
from pipelines.training import batch_size

if TYPE_CHECKING:
    from dual_encoder import DualEncoder
    from pipelines.fewshot.grid import Cell, Task


PROMPTS = "prompts.safetensors"

TIP_EPOCHS = 20  # as published

Found = tuple[np.ndarray, dict[str, Any]]


def learner(
    method: str, model: "DualEncoder", names: list[str], options: Any, *, seed: int = 0
) -> Any:
    """CoOp or CoCoOp as the options have it, untrained; its name is the same in every process."""
    import dual_encoder

    common = {"decay": options.weight_decay, "seed": seed, "name": "prompts"}
    if method == "cocoop":
        words = options.conditional_words or None
        common |= {"words": words, "n_ctx": None if words else options.n_ctx}
        return dual_encoder.CoCoOp(
            model, names, position=options.position, chunk=options.chunk, **common
        )
    return dual_encoder.CoOp(
        model,
        names,
        n_ctx=options.n_ctx,
        position=options.position,
        class_specific=options.class_specific,
        words=options.words,
        **common,
    )


def _zero_shot(cell: "Cell", task: "Task") -> Found:
    found = {"templates": task.templates, "trained_parameters": 0}
    return unit(task.test[0]) @ _class_matrix(task), found


def _class_matrix(task: "Task") -> np.ndarray:
    """Of all classes by their templates, [e, C], times the logit scale."""
    import dual_encoder

    return dual_encoder.class_texts(task.model, task.names, task.templates).T


def _probe(cell: "Cell", task: "Task") -> Found:
    from classifiers import probe

    drawn = _drawn(cell, task)
    x, y = task.embedded(drawn.train)
    fitted = probe.fit(unit(x), y, validation=_validation(task, drawn))
    trained = fitted.weights.size + fitted.bias.size
    found = {"strength": fitted.strength, "trained_parameters": trained}
    return _of_seen(task, fitted.logits(unit(task.test[0]))), found


def _tip_adapter(cell: "Cell", task: "Task") -> Found:
    import keras

    import classifiers

    drawn = _drawn(cell, task)
    x, y = task.embedded(drawn.train)
    matrix = _class_matrix(task)[:, list(task.seen)]
    adapter = classifiers.TipAdapter(x, y, matrix, name="tip_adapter")
    if cell.method == "tip-adapter-f":
        batch = batch_size.batch_of(len(x), most=256, devices=_devices())
        data = batches.Embedded(x[None], y[None], batch_size=batch, seed=cell.seed)
        rate = keras.optimizers.schedules.CosineDecay(1e-3, TIP_EPOCHS * data.steps)
        optimizer = keras.optimizers.AdamW(rate, weight_decay=0.01, epsilon=1e-4, name="optimizer")
        adapter.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        _fit(cell, adapter, data, epochs=TIP_EPOCHS)
    accuracy = adapter.search(*_validation(task, drawn))
    found = {
        "alpha": adapter.alpha,
        "beta": adapter.beta,
        "validation_top1": accuracy,
        "trained_parameters": x.size if cell.method == "tip-adapter-f" else 0,
    }
    return _of_seen(task, adapter.logits(task.test[0])), found


def _prompts(cell: "Cell", task: "Task") -> Found:
    import keras

    import dual_encoder
    from pipelines.fewshot import features as fewshot_features
    from pipelines.fewshot import schedule
    from pipelines.runs import models

    options, conditional = task.options, cell.method == "cocoop"
    most = options.conditional_batch_size if conditional else options.batch_size
    epochs = options.epochs or schedule.epochs_of(cell.shots)
    epochs = options.conditional_epochs if conditional else epochs
    prompts = learner(
        cell.method,
        task.model,
        task.seen_names,
        options,
        seed=cell.seed,
    )
    drawn = _drawn(cell, task)
    x, y = (each[None] for each in task.embedded(drawn.train))
    if options.views:
        x, y = fewshot_features.views(task, drawn.train, cell)
    batch = batch_size.batch_of(x.shape[1], most=most, devices=_devices())
    data = batches.Embedded(x, y, batch_size=batch, seed=cell.seed)
    rate = schedule.CoOpSchedule(options.learning_rate, steps=data.steps, epochs=epochs)
    optimizer = keras.optimizers.SGD(rate, momentum=0.9, name="optimizer")
    prompts.compile(optimizer, metrics=["accuracy"])
    history = _fit(cell, prompts, data, epochs=epochs)
    logits = prompts.logits(task.test[0], task.names if task.unseen else None)
    dual_encoder.save_prompts(
        prompts,
        cell.folder / PROMPTS,
        backbone=cell.model,
        dataset=task.manifest.dataset,
        shots=cell.shots,
        seed=cell.seed,
    )
    return logits, {
        "history": history,
        "template": prompts.frames.template,
        "nearest_words": dual_encoder.nearest_words(prompts),
        "trained_parameters": models.parameters(prompts)["trained"],
    }


METHODS: dict[str, Callable[["Cell", "Task"], Found]] = {
    "zero-shot": _zero_shot,
    "linear-probe": _probe,
    "tip-adapter": _tip_adapter,
    "tip-adapter-f": _tip_adapter,
    "coop": _prompts,
    "cocoop": _prompts,
}


def _drawn(cell: "Cell", task: "Task") -> sampling.Sample:
    return sampling.sample(task.labels, classes=task.seen, shots=cell.shots, seed=cell.seed)


def _validation(task: "Task", drawn: sampling.Sample) -> tuple[np.ndarray, np.ndarray]:
    x, y = task.embedded(drawn.validation)
    return unit(x), y


def _of_seen(task: "Task", logits: np.ndarray) -> np.ndarray:
    """Logits [n, seen] among all classes, NaN for those that the method cannot tell."""
    found = np.full((len(logits), len(task.names)), np.nan, logits.dtype)
    found[:, list(task.seen)] = logits
    return found


def _devices() -> int:
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def _fit(
    cell: "Cell", model: Any, data: batches.Embedded, *, epochs: int
) -> list[dict[str, float]]:
    """Train to the last epoch, from where it stopped; the logs of every epoch."""
    import tensorflow as tf

    from pipelines.training import fit
    from pipelines.training.checkpoint import Checkpoint

    model.optimizer.build(model.trainable_variables)
    checkpoint = Checkpoint(
        cell.folder / "checkpoints", steps_per_epoch=data.steps, every=epochs * data.steps
    )
    with tf.distribute.get_strategy().scope():
        fit.fit(
            model,
            lambda step: data.batches(epochs=epochs, start_step=step),
            epochs=epochs,
            checkpoint=checkpoint,
            callbacks=[],
            silent=True,
        )
    return checkpoint.history
