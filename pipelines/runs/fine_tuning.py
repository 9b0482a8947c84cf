"""One fine-tuning from its model to its results."""

import dataclasses
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras

import dual_encoder
from classifiers import adopt_averages, models, probe, tuning
from dual_encoder import weight_space
from pipelines.runs import (
    adapted,
    batch_sizes,
    features,
    fitting,
    folder,
    forgetting,
    interpolation,
    predictions,
    snapshot,
    start,
    tested,
    tuned_outcome,
    watching,
)
from pipelines.runs import held_out as classes
from pipelines.runs import strategy as strategies
from pipelines.runs.adapted import Adapted
from pipelines.runs.checkpoint import Checkpoint
from pipelines.runs.labelled import Labelled
from pipelines.runs.methods import METHODS

CHECKPOINTS = "checkpoints"
SET_ASIDE = "set-aside"  # folder of the training by which alpha is chosen
Way = tuple[weight_space.Weights, weight_space.Weights]


def run(options: Any, data: Labelled, *, out: Path, strategy: Any) -> str:
    """Train, measure, write. Returns what to print."""
    claim = partial(folder.claim, out, options)
    options = _settled(options, data)
    extra: dict[str, Any] = {"parts": data.parts.to_json(), "method": options.method}
    train = partial(_train, strategy=strategy, claim=claim)
    if options.wise_ft == "choose":
        devices = strategy.num_replicas_in_sync
        extra["alpha"] = _choose_alpha(
            train, options, data, directory=out / SET_ASIDE, devices=devices
        )
    made, course, way = train(options, data, out=out)
    if not strategies.is_chief(strategy):
        return "the first worker writes the results"
    if options.wise_ft != "no":
        extra["wise_ft"] = interpolation.curve(made, *way)
    if options.wise_ft == "choose":
        weight_space.interpolate(made.model, *way, alpha=extra["alpha"]["chosen"])
    measured, said = tested.measure(
        made, split=options.test, resamples=options.bootstrap, seed=options.seed
    )
    if said is not None:
        predictions.write(out, said)
    document = tuned_outcome.write(
        out,
        made,
        options,
        measured=measured,
        course=course,
        devices=strategies.describe(strategy),
        **extra,
    )
    return tuned_outcome.summary(document)


def _settled(options: Any, data: Labelled) -> Any:
    """The options with what `auto` stands for; raises ValueError for what cannot be together."""
    method, wise_ft, several = options.method, options.wise_ft, data.manifest.multi_label
    if method == "auto":
        names_one = not several and _kind(options.model) == "dual-encoder"
        method, wise_ft = ("paint", wise_ft or "choose") if names_one else ("full", wise_ft)
    wise_ft = wise_ft or "no"
    if wise_ft == "choose" and several:
        raise ValueError(
            f"--wise-ft choose sets classes aside; pictures of {data.manifest.dataset} have "
            "several each: expected no or curve"
        )
    if wise_ft != "no" and METHODS[method].head not in interpolation.HEADS:
        ways = [name for name, row in METHODS.items() if row.head in interpolation.HEADS]
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
        made = adapted.prepare(_source(options), options.method, data, options=options)
        _compile(made, options, steps=options.epochs * data.steps)
    checkpoint = Checkpoint(
        out / CHECKPOINTS,
        steps_per_epoch=data.steps,
        every=options.checkpoint_steps,
        writes=strategies.is_chief(strategy),
    )
    row = METHODS[options.method]
    if row.head == "probe" and not snapshot.steps(out / CHECKPOINTS):
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
            made.model = tuning.without_lora(made.model)
    after = weight_space.weights(made.model) if goes_back else []
    return made, checkpoint, (before, after)


def _source(options: Any) -> keras.layers.Layer:
    """The model that `--model` names."""
    weights = {None: models.PUBLISHED, "random": None}.get(options.weights, options.weights)
    return models.source(options.model, weights=weights, image_size=options.image_size)


def _compile(made: Adapted, options: Any, *, steps: int) -> None:
    model: Any = made.model
    if not model.trainable_variables:
        raise ValueError(f"--method {options.method}: there is nothing to train in this model")
    scales = {}
    if isinstance(model, models.ImageClassifier):
        factors = {"layer_decay": options.layer_decay, "head_multiplier": options.head_multiplier}
        scales = tuning.scales(model, **factors)
    of_kind = {
        "adamw": {name: getattr(options, name) for name in ("beta_1", "beta_2", "epsilon")},
        "sgd": {"momentum": options.momentum},
    }
    optimizer = fitting.optimizer(
        options.optimizer,
        options.learning_rate,
        weight_decay=options.weight_decay,
        schedule=options.schedule,
        warmup_steps=options.warmup_steps,
        min_learning_rate=options.min_learning_rate,
        steps=steps,
        clip_norm=options.clip_norm,
        scales=scales,
        ema=options.ema,
        **of_kind[options.optimizer],
    )
    loss: dict[str, Any] = {
        "jit_compile": start.use_xla(model.distribute_strategy),
        "micro_batch": options.micro_batch or None,
    }
    if not made.has_texts:
        loss |= _loss(options, made.data)
    model.compile(optimizer, **loss)
    model.optimizer.build(model.trainable_variables)


def _loss(options: Any, data: Labelled) -> dict[str, Any]:
    """Cross-entropy of a number per picture, of a column per class, or of each class by itself."""
    smoothing = {"from_logits": True, "label_smoothing": options.label_smoothing}
    if data.manifest.multi_label:
        return {"loss": keras.losses.BinaryCrossentropy(**smoothing)}
    if data.soft:
        loss = keras.losses.CategoricalCrossentropy(**smoothing)
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return {"loss": loss, "metrics": ["accuracy"]}


def _start_from_probe(made: Adapted) -> probe.Probe:
    """Give the head the weights of the logistic regression on the features as they are."""
    model, data = made.model, made.data
    training, validation = (
        features.compute(model.encode_image, batches, count=count)
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
    stopping = fitting.stopping(
        out / CHECKPOINTS,
        early_stopping=options.early_stopping,
        plateau=options.plateau,
        plateau_factor=options.plateau_factor,
        writes=checkpoint.writes,
    )
    fitting.fit(
        model,
        lambda step: strategies.distribute(
            strategy, partial(data.training, model, start_step=step)
        ),
        epochs=options.epochs,
        checkpoint=checkpoint,
        callbacks=[*watching.tuning(made, directory=out / "tensorboard"), *stopping],
        validation=strategies.distribute(strategy, partial(data.validation, model)),
    )


def _choose_alpha(
    train: Callable[..., Any], options: Any, data: Labelled, *, directory: Path, devices: int
) -> dict[str, Any]:
    """How far to go back, from a training with some of the seen classes set aside.

    Where there are too few of them it is half of the way, as WiSE-FT advises without a way to
    choose (Wortsman et al. 2022, arXiv:2109.01903). Returns which classes, the curve, and the
    alpha chosen on it; kept in a file, so that a run that is stopped does it once.
    """
    kept = directory / "alpha.json"
    if kept.is_file():
        return json.loads(kept.read_text(encoding="utf-8"))
    if len(data.parts.seen) < classes.ENOUGH:
        print(f"alpha is 0.5: {len(data.parts.seen)} classes are too few to set some aside")
        return {"chosen": 0.5, "classes": [], "curve": []}
    away = classes.pseudo(data.parts, seed=options.seed)
    print(f"choosing alpha: {len(away)} of the seen classes are set aside")
    parts = classes.set_aside(data.parts, away, labels=data.labels)
    batch, micro = batch_sizes.fitting(
        data.batch_size, options.micro_batch, pictures=len(parts.train), devices=devices
    )
    made, course, way = train(
        dataclasses.replace(options, micro_batch=micro or 0),
        dataclasses.replace(data, parts=parts, batch_size=batch),
        out=directory,
    )
    rows = interpolation.curve(made, *way)
    chosen = {
        "chosen": interpolation.choose(rows),
        "classes": list(away),
        "curve": rows,
        "seconds": course.seconds,
    }
    if course.writes:
        folder.write_text(kept, json.dumps(chosen))
    return chosen
