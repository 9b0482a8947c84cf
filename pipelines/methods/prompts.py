"""Prompt learning on cached features: CoOp and CoCoOp."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from duet import unit_rows
from pipelines.methods import training_loop
from pipelines.methods.few_shot_task import PromptOptions, Task
from pipelines.methods.method import Fitted

if TYPE_CHECKING:
    from dual_encoder import DualEncoder

FILE = "prompts.safetensors"

LEARNT = ("coop", "kgcoop", "cocoop")

KG_PULL, KG_WORDS = 8.0, "a photo of a"  # as published


def coop(task: Task) -> Fitted:
    """Vectors before the class name, the same for every image."""
    from pipelines.methods import schedule

    epochs = task.prompts.epochs or schedule.epochs_of(task.shots)
    return _learnt("coop", task, most=task.prompts.batch_size, epochs=epochs)


def kgcoop(task: Task) -> Fitted:
    """The same vectors, their texts held to those of the templates, from words."""
    given = replace(
        task.prompts, position="end", class_specific=False, pull=KG_PULL, n_ctx=None, words=KG_WORDS
    )
    return coop(replace(task, prompts=given))


def cocoop(task: Task) -> Fitted:
    """Vectors that depend on the image."""
    options = task.prompts
    most, epochs = options.conditional_batch_size, options.conditional_epochs
    return _learnt("cocoop", task, most=most, epochs=epochs)


def learner(
    method: str,
    model: "DualEncoder",
    names: list[str],
    options: PromptOptions,
    *,
    seed: int = 0,
    templates: Sequence[str] = ("a photo of a {}.",),
) -> Any:
    """CoOp or CoCoOp as the options have it, untrained; its name is the same in every process."""
    import dual_encoder

    common: dict[str, Any] = {"decay": options.weight_decay, "seed": seed, "name": "prompts"}
    common["dtype"] = "float32"  # of the images' embeddings; the model has its own
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
        pull=options.pull,
        templates=templates,
        **common,
    )


def _learnt(method: str, task: Task, *, most: int, epochs: int) -> Fitted:
    import keras

    import dual_encoder
    from pipelines.methods import schedule
    from pipelines.runs import models

    options = task.prompts
    assert task.model is not None, method
    prompts = learner(
        method, task.model, task.seen_names, options, seed=task.seed, templates=task.templates
    )
    data = training_loop.batches_of(
        unit_rows.unit(task.views), task.train[1], most=most, seed=task.seed
    )
    rate = schedule.CoOpSchedule(options.learning_rate, steps=data.steps, epochs=epochs)
    optimizer = keras.optimizers.SGD(rate, momentum=0.9, name="optimizer")
    if task.model.text_tower.compute_dtype == "float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, name="loss_scale")
    prompts.compile(optimizer, metrics=["accuracy"])
    history = training_loop.train(prompts, data, epochs=epochs, folder=task.folder)
    dual_encoder.save_prompts(
        prompts,
        task.folder / FILE,
        backbone=task.backbone,
        dataset=task.dataset,
        shots=task.shots,
        seed=task.seed,
    )
    return Fitted(
        lambda features: prompts.logits(
            unit_rows.unit(features), task.names if task.held_out else None
        ),
        models.parameters(prompts)["trained"],
        more={
            "history": history,
            "template": prompts.frames.template,
            "nearest_words": dual_encoder.nearest_words(prompts),
        },
    )
