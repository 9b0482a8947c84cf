"""Train the image tower, or both, to the end; with the way back to the weights before."""

import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.finetuning.options import Options
from pipelines.methods.registry import METHODS
from pipelines.runs import strategy as strategies

if TYPE_CHECKING:
    from dual_encoder.training import weight_interpolation
    from pipelines.finetuning.data import Labelled
    from pipelines.finetuning.model import Adapted
    from pipelines.training.checkpoint import Checkpoint

    Way = tuple[weight_interpolation.Weights, weight_interpolation.Weights]

CHECKPOINTS = "checkpoints"


def trained(
    options: Options,
    data: "Labelled",
    *,
    out: Path,
    strategy: Any,
    claim: Callable[[], None],
) -> tuple["Adapted", "Checkpoint", dict[str, Any]]:
    """Of a method that trains the image tower; with keys of the results, and its way back."""
    from dual_encoder.training import weight_interpolation
    from pipelines.finetuning import wise_ft

    more: dict[str, Any] = {}
    train_in = partial(train, strategy=strategy, claim=claim)
    if options.wise_ft == "choose":
        devices = strategy.num_replicas_in_sync
        more["alpha"] = wise_ft.choose_alpha(
            train_in, options, data, directory=out / wise_ft.SET_ASIDE, devices=devices
        )
        more["alpha"].pop("right", None)
    made, course, way = train_in(options, data, out=out)
    if options.wise_ft == "curve" and course.writes:
        more["wise_ft"] = wise_ft.curve(made, *way)
    if options.wise_ft == "choose":
        more["wise_ft"] = more["alpha"]["curve"]
        weight_interpolation.interpolate(made.model, *way, alpha=more["alpha"]["chosen"])
        made.moved(more["alpha"].get("offset", 0.0))
    return made, course, more


def train(
    options: Options,
    data: "Labelled",
    *,
    out: Path,
    strategy: Any,
    claim: Callable[[], None],
    watched: bool = True,
) -> tuple["Adapted", "Checkpoint", "Way"]:
    """Train to the end. Returns the model, its course, and its weights before and after, which
    are empty where nothing goes back.

    `claim` is called once it is sure that the run can begin; nothing is written before. A training
    that is not watched is measured after its last pass by who asked for it, and not before.
    """
    import keras

    import dual_encoder
    from classifiers import adopt_averages, lora
    from dual_encoder.training import weight_interpolation
    from pipelines.finetuning import model as finetuning_model
    from pipelines.finetuning import on_features
    from pipelines.training import checkpoint_file
    from pipelines.training.checkpoint import Checkpoint

    keras.utils.clear_session()
    keras.utils.set_random_seed(options.seed)
    row = METHODS[options.method]
    with strategy.scope():
        source = finetuning_model.source(options)
        if isinstance(source, dual_encoder.DualEncoder):
            dual_encoder.refuse_equal_names(source, data.names, data.templates)
        made = _ready(source, options, data)
    course = Checkpoint(
        out / CHECKPOINTS,
        steps_per_epoch=data.steps,
        every=options.checkpoint_steps,
        writes=strategies.is_chief(strategy),
    )
    if course.writes:
        claim()
    names = data.manifest.multi_label and "zero-shot" in (options.head, row.head)
    goes_back, goes_on = options.wise_ft != "no", checkpoint_file.steps(out / CHECKPOINTS)
    begun = time.perf_counter()
    if row.head == "projection":
        with strategy.scope():
            source, offset = on_features.projected(made, options)
            made = _ready(source, options, data)
        made.beside = (1.0, offset)
    elif (names or row.head == "probe") and (goes_back or not goes_on):
        on_features.start_head(made, options)
    course.seconds += time.perf_counter() - begun
    print(
        f"{options.method}: {made.trained_parameters:,} of {made.model.count_params():,} "
        f"parameters trained; steps: {options.epochs} x {data.steps:,}"
    )
    before = weight_interpolation.weights(made.model) if goes_back else []
    _fit(made, options, out=out, course=course, watched=watched)
    adopt_averages(made.model)
    if "lora" in row.trains:
        made.counted = made.trained_parameters
        with strategy.scope():
            made.model = lora.without_lora(made.reader or made.model)
    after = weight_interpolation.weights(made.model) if goes_back else []
    return made, course, (before, after)


def _ready(source: Any, options: Options, data: "Labelled") -> "Adapted":
    """The model of the method, compiled for all its steps."""
    from pipelines.finetuning import model as finetuning_model
    from pipelines.finetuning.compile import compile_model

    made = finetuning_model.prepare(source, METHODS[options.method], data, options)
    compile_model(made, options, steps=options.epochs * data.steps)
    return made


def _fit(
    made: "Adapted", options: Options, *, out: Path, course: "Checkpoint", watched: bool
) -> None:
    from pipelines.finetuning import callback_list, seen_unseen_monitor
    from pipelines.training import resumable_fit

    model, data = made.model, made.data
    strategy = model.distribute_strategy
    stopping = resumable_fit.stopping(
        out / CHECKPOINTS,
        early_stopping=options.early_stopping,
        plateau=options.plateau,
        plateau_factor=options.plateau_factor,
        writes=course.writes,
    )
    # TensorBoard shows images of the very dataset that trains: making one takes as long as a step.
    load = cache(partial(data.training, model))
    images = partial(load, start_step=0, worker=(0, 1))
    watching = callback_list.tuning(
        made, directory=out / "tensorboard", images=images, watched=watched
    )
    resumable_fit.fit(
        model,
        lambda step: strategies.distribute(strategy, partial(load, start_step=step)),
        epochs=options.epochs,
        checkpoint=course,
        callbacks=[
            *watching,
            *([seen_unseen_monitor.Forgetting(made)] if stopping and not watched else ()),
            *stopping,
        ],
        validation=strategies.distribute(strategy, partial(data.validation, model))
        if made.has_texts and (watched or stopping)
        else None,
    )
