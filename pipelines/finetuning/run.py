"""One fine-tuning run, from its model to its results."""

import dataclasses
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras

import dual_encoder
from classifiers import adopt_averages, models, probe, trainable
from dual_encoder import weight_space
from pipelines.finetuning import callbacks, evaluation, forgetting
from pipelines.finetuning import model as finetuning_model
from pipelines.finetuning import report as finetuning_report
from pipelines.finetuning import wise_ft as finetuning_wise_ft
from pipelines.finetuning.compile import compile_model
from pipelines.finetuning.data import Labelled
from pipelines.finetuning.methods import METHODS
from pipelines.finetuning.model import Adapted
from pipelines.finetuning.wise_ft import SET_ASIDE, choose_alpha
from pipelines.runs import features as runs_features
from pipelines.runs import folder, predictions, runtime
from pipelines.runs import strategy as strategies
from pipelines.training import checkpoint_file, fit
from pipelines.training.checkpoint import Checkpoint

CHECKPOINTS = "checkpoints"

Way = tuple[weight_space.Weights, weight_space.Weights]


def run(options: Any, data: Labelled, *, out: Path, strategy: Any) -> str:
    """Train, measure, write. Returns what to print."""
    claim = partial(folder.claim, out, options)
    options = _settled(options, data)
    extra: dict[str, Any] = {"parts": data.parts.to_json(), "method": options.method}
    train = partial(_train, strategy=strategy, claim=claim)
    if options.wise_ft == "choose":
        devices = strategy.num_replicas_in_sync
        extra["alpha"] = choose_alpha(
            train, options, data, directory=out / SET_ASIDE, devices=devices
        )
    made, course, way = train(options, data, out=out)
    if not strategies.is_chief(strategy):
        return "the first worker writes the results"
    if options.wise_ft != "no":
        extra["wise_ft"] = finetuning_wise_ft.curve(made, *way)
    if options.wise_ft == "choose":
        weight_space.interpolate(made.model, *way, alpha=extra["alpha"]["chosen"])
    measured, said = evaluation.measure(
        made, split=options.test, resamples=options.bootstrap, seed=options.seed
    )
    if said is not None:
        predictions.write(out, said)
    document = finetuning_report.write(
        out,
        made,
        options,
        measured=measured,
        course=course,
        devices=strategies.describe(strategy),
        **extra,
    )
    return finetuning_report.summary(document)


def _settled(options: Any, data: Labelled) -> Any:
    """The options with what `auto` stands for; raises ValueError for what cannot be together."""
    method, wise_ft, several = options.method, options.wise_ft, data.manifest.multi_label
    if method == "auto":
        names_one = not several and _kind(options.model) == "dual-encoder"
        method, wise_ft = ("paint", wise_ft or "choose") if names_one else ("full", wise_ft)
    wise_ft = wise_ft or "no"
    if wise_ft == "choose" and several:
        raise ValueError(
            f"--wise-ft choose sets classes aside; images of {data.manifest.dataset} have "
            "several each: expected no or curve"
        )
    if wise_ft != "no" and METHODS[method].head not in finetuning_wise_ft.HEADS:
        ways = [name for name, row in METHODS.items() if row.head in finetuning_wise_ft.HEADS]
        raise ValueError(
            f"--wise-ft {wise_ft}: {method} starts from a new head, with nothing to go back to; "
            f"expected --method {', '.join(ways)}"
        )
    return dataclasses.replace(options, method=method, wise_ft=wise_ft)


def _kind(name: str) -> str:
    """Whether a model of that name reads texts, as the table has it or as it turns out."""
    if name in dual_encoder.IMAGE_TOWERS:
        return "image-tower"
    if name in dual_encoder.CHECKPOINTS:
        return dual_encoder.CHECKPOINTS[name].kind
    is_dual = isinstance(dual_encoder.load(name), dual_encoder.DualEncoder)
    return "dual-encoder" if is_dual else "image-encoder"


def _train(
    options: Any, data: Labelled, *, out: Path, strategy: Any, claim: Callable[[], None]
) -> tuple[Adapted, Checkpoint, Way]:
    """Train to the end. Returns the model, its course, and its weights before and after, which
    are empty where nothing goes back.

    `claim` is called once it is sure that the run can begin; nothing is written before.
    """
    keras.utils.clear_session()  # another training in this process has variables of these names
    keras.utils.set_random_seed(options.seed)
    with strategy.scope():
        made = finetuning_model.prepare(_source(options), options.method, data, options=options)
        compile_model(made, options, steps=options.epochs * data.steps)
    checkpoint = Checkpoint(
        out / CHECKPOINTS,
        steps_per_epoch=data.steps,
        every=options.checkpoint_steps,
        writes=strategies.is_chief(strategy),
    )
    row = METHODS[options.method]
    if row.head == "probe" and not checkpoint_file.steps(out / CHECKPOINTS):
        begun = time.perf_counter()
        _start_from_probe(made)
        checkpoint.seconds += time.perf_counter() - begun
    print(
        f"{options.method}: {made.trained_parameters:,} of {made.model.count_params():,} "
        f"parameters trained; steps: {options.epochs} x {data.steps:,}"
    )
    if checkpoint.writes:
        claim()
    goes_back = options.wise_ft != "no"
    before = weight_space.weights(made.model) if goes_back else []
    if row.trains == "nothing":
        checkpoint.history.append({"epoch": 0, **forgetting.Forgetting(made).measure()})
    else:
        _fit(made, options, out=out, checkpoint=checkpoint)
        adopt_averages(made.model)
    if row.trains == "lora":
        with strategy.scope():
            made.model = trainable.without_lora(made.model)
    after = weight_space.weights(made.model) if goes_back else []
    return made, checkpoint, (before, after)


def _source(options: Any) -> keras.layers.Layer:
    """The model that `--model` names."""
    weights = {None: models.PUBLISHED, "random": None}.get(options.weights, options.weights)
    found = models.source(options.model, weights=weights, image_size=options.image_size)
    runtime.say_kept_precision(found, options.model)
    return found


def _start_from_probe(made: Adapted) -> probe.Probe:
    """Give the head the weights of the logistic regression on the features as they are."""
    model, data = made.model, made.data
    training, validation = (
        runs_features.compute(model.encode_image, batches, count=count)
        for batches, count in (data.frozen(model), data.chosen_by(model))
    )
    found = probe.fit(
        training.values, training.labels, validation=(validation.values, validation.labels)
    )
    model.head.kernel.assign(found.weights)
    model.head.bias.assign(found.bias)
    print(
        f"linear probe: C = {found.strength:g}, "
        f"{100 * found.accuracies[found.strength]:.1f} % on validation"
    )
    return found


def _fit(made: Adapted, options: Any, *, out: Path, checkpoint: Checkpoint) -> None:
    model, data = made.model, made.data
    strategy = model.distribute_strategy
    stopping = fit.stopping(
        out / CHECKPOINTS,
        early_stopping=options.early_stopping,
        plateau=options.plateau,
        plateau_factor=options.plateau_factor,
        writes=checkpoint.writes,
    )
    fit.fit(
        model,
        lambda step: strategies.distribute(
            strategy, partial(data.training, model, start_step=step)
        ),
        epochs=options.epochs,
        checkpoint=checkpoint,
        callbacks=[*callbacks.tuning(made, directory=out / "tensorboard"), *stopping],
        validation=strategies.distribute(strategy, partial(data.validation, model)),
    )
