"""One fine-tuning run, from its options to its results."""

import dataclasses
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.finetuning.options import Options, check, check_split
from pipelines.methods.method import Run
from pipelines.methods.registry import METHODS, STOCK, taken_by
from pipelines.runs import (
    class_name_options,
    class_split,
    folder,
    help_groups,
    results,
    resume_check,
    runtime,
)
from pipelines.runs import strategy as strategies

if TYPE_CHECKING:
    from dual_encoder import weight_interpolation
    from pipelines.finetuning.data import Labelled
    from pipelines.finetuning.model import Adapted
    from pipelines.training.checkpoint import Checkpoint

    Way = tuple[weight_interpolation.Weights, weight_interpolation.Weights]

CHECKPOINTS = "checkpoints"

FREE = ("features", *strategies.ELASTIC)  # options that may change in a run that goes on

GOES_BACK = ("zero-shot", "text")  # heads of a model that knows all classes from the start


SEVERAL_LABELS = "text-probe"  # what `auto` is for a dual encoder and images with several classes


def run(options: Options) -> Run | None:
    """Train, or fit on features, measure, write. None on all workers but the first.

    Raises:
        ValueError, FileNotFoundError, FileExistsError: options that are wrong.
    """
    from tfrecords import Manifest, naming_damage

    check(options)
    manifest = Manifest.read(options.data)
    check_split(options, manifest)
    class_name_options.refuse_repeated(manifest.spoken_names, unless=options.allow_equal_names)
    away = class_split.held_out_classes(
        manifest,
        count=options.held_out,
        names=options.held_out_classes,
        seed=options.held_out_seed,
    )
    out = folder.check_resumable(options.out, options, finished=results.FILE, free=FREE)
    begun = resume_check.of(manifest, options.model)
    resume_check.check(out, begun)
    strategy = runtime.start(
        options.strategy,
        batch_size=options.batch_size,
        micro_batch=options.micro_batch,
        virtual_devices=options.virtual_devices,
        precision="float32" if options.precision == "auto" else options.precision,
        seed=options.seed,
    )
    with naming_damage(options.data):
        from pipelines.finetuning import data as finetuning_data

        data = finetuning_data.of(options, manifest, held_out=away)
        data.verify("train", options.test)
        print(data.in_words())
        with folder.held(out, writes=strategies.is_chief(strategy)):
            return _fitted(options, data, begun, out=out, strategy=strategy)


def _fitted(
    options: Options, data: "Labelled", begun: resume_check.Origin, *, out: Path, strategy: Any
) -> Run | None:
    import keras

    from pipelines.finetuning import auto_method, evaluation, model_stock, on_features, output_files
    from pipelines.runs import predictions

    asked, devices = options, strategies.describe(strategy)

    def claim() -> None:
        folder.claim(out, asked)
        resume_check.keep(out, begun, devices=devices)

    extra: dict[str, Any] = {"parts": data.parts.to_json()}
    keras.utils.clear_session()  # another training in this process has variables of these names
    keras.utils.set_random_seed(options.seed)
    options = options if asked.stock else _settled(options, data)
    if options.method in METHODS and METHODS[options.method].fit is not None:
        _say_unused(options)
    if options.method == auto_method.TOWER and asked.method == "auto" and asked.wise_ft is None:
        options, extra["auto"] = _chosen(options, data, out=out, strategy=strategy, claim=claim)
    elif asked.method == "auto" and options.method == SEVERAL_LABELS:
        extra["auto"] = {"method": SEVERAL_LABELS, "why": "images have several classes each"}
    extra["method"] = STOCK if asked.stock else options.method
    if asked.stock:
        with strategy.scope():
            made, course, more = model_stock.average(options, data, out=out, claim=claim)
        extra |= more
    elif METHODS[options.method].fit is not None:
        with strategy.scope():
            made, course = on_features.fit(options, data, out=out, claim=claim)
        extra |= made.fitted.more if made.fitted else {}
    else:
        made, course, more = _trained(options, data, out=out, strategy=strategy, claim=claim)
        extra |= more
    if not strategies.is_chief(strategy):
        return None
    measured, said = evaluation.measure(
        made, split=options.test, resamples=options.bootstrap, seed=options.seed
    )
    predictions.write(out, said)
    document = output_files.write(
        out,
        made,
        asked,
        measured=measured,
        course=course,
        devices=devices,
        **resume_check.noted(out),
        **extra,
    )
    return Run(out, document, said, made.model if made.is_saved else None)


def _chosen(
    options: "Options",
    data: "Labelled",
    *,
    out: Path,
    strategy: Any,
    claim: Callable[[], None],
) -> tuple["Options", dict[str, Any]]:
    """The options of what `auto` is for these images, and why."""
    from pipelines.finetuning import auto_method

    train = partial(_train, strategy=strategy, claim=claim)
    devices = strategy.num_replicas_in_sync
    found = auto_method.choose(train, options, data, out=out, claim=claim, devices=devices)
    print(f"auto: {found['method']}; {found['why']}")
    if METHODS[found["method"]].fit is not None:
        options = dataclasses.replace(options, method=found["method"], wise_ft="no")
    return options, found


def _trained(
    options: Options,
    data: "Labelled",
    *,
    out: Path,
    strategy: Any,
    claim: Callable[[], None],
) -> tuple["Adapted", "Checkpoint", dict[str, Any]]:
    """Of a method that trains the image tower; with keys of the results, and its way back."""
    from dual_encoder import weight_interpolation
    from pipelines.finetuning import wise_ft

    more: dict[str, Any] = {}
    train = partial(_train, strategy=strategy, claim=claim)
    if options.wise_ft == "choose":
        devices = strategy.num_replicas_in_sync
        more["alpha"] = wise_ft.choose_alpha(
            train, options, data, directory=out / wise_ft.SET_ASIDE, devices=devices
        )
        more["alpha"].pop("right", None)
    made, course, way = train(options, data, out=out)
    if options.wise_ft == "curve" and course.writes:
        more["wise_ft"] = wise_ft.curve(made, *way)
    if options.wise_ft == "choose":
        more["wise_ft"] = more["alpha"]["curve"]
        weight_interpolation.interpolate(made.model, *way, alpha=more["alpha"]["chosen"])
    return made, course, more


def _settled(options: Options, data: "Labelled") -> Options:
    """The options with what `auto` stands for; raises ValueError for what cannot be together."""
    method, wise_ft, several = options.method, options.wise_ft, data.manifest.multi_label
    if method == "auto":
        if _kind(options.model) != "dual-encoder":
            method = "full"
        elif several:
            method = SEVERAL_LABELS
        else:
            method, wise_ft = "paint", wise_ft or "choose"
    wise_ft = wise_ft or "no"
    if wise_ft == "choose" and several:
        raise ValueError(
            f"--wise-ft choose sets classes aside; images of {data.manifest.dataset} have "
            "several each: expected no or curve"
        )
    if wise_ft != "no" and METHODS[method].head not in GOES_BACK:
        ways = [name for name in taken_by("finetune") if METHODS[name].head in GOES_BACK]
        raise ValueError(
            f"--wise-ft {wise_ft}: {method} starts from a new head, with nothing to go back to; "
            f"expected --method {', '.join(ways)}"
        )
    if wise_ft != "no" and (options.head or METHODS[method].head) not in GOES_BACK:
        asked = f"--wise-ft {wise_ft}" if options.wise_ft else f"--method {options.method}"
        raise ValueError(
            f"{asked} goes back to the zero-shot head, and --head {options.head} starts anew; "
            "expected one of them"
        )
    tries_rows = options.method == "auto" and options.wise_ft is None and method != "full"
    if options.views > 1 and not METHODS[method].takes_views and not tries_rows:
        taken = [name for name in taken_by("finetune") if METHODS[name].takes_views]
        raise ValueError(
            f"--views goes with methods that learn from cached features: {', '.join(taken)}, auto; "
            f"got {method}, {METHODS[method].without_views}"
        )
    return dataclasses.replace(options, method=method, wise_ft=wise_ft)


def _say_unused(options: Options) -> None:
    """Print which options of a training are given to a method that learns in no steps."""
    steps = {*help_groups.GROUPS["training"].split()} - {"class_weight", "seed"}
    given = [
        f"--{each.name.replace('_', '-')}"
        for each in dataclasses.fields(options)
        if each.name in steps and getattr(options, each.name) != each.default
    ]
    if given:
        print(f"{options.method} learns in no steps: {', '.join(given)} would change those alone.")


def _kind(name: str) -> str:
    """Whether a model of that name reads texts, as the table has it or as it turns out."""
    import dual_encoder

    if dual_encoder.image_tower_name(name) or dual_encoder.is_hub_preset(name):
        return "image-tower"
    if name in dual_encoder.CHECKPOINTS:
        return dual_encoder.CHECKPOINTS[name].kind
    is_dual = isinstance(dual_encoder.load(name), dual_encoder.DualEncoder)
    return "dual-encoder" if is_dual else "image-encoder"


def _train(
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
    from dual_encoder import weight_interpolation
    from pipelines.finetuning import model as finetuning_model
    from pipelines.finetuning import on_features
    from pipelines.finetuning.compile import compile_model
    from pipelines.training import checkpoint_file
    from pipelines.training.checkpoint import Checkpoint

    keras.utils.clear_session()
    keras.utils.set_random_seed(options.seed)
    row = METHODS[options.method]
    with strategy.scope():
        source = finetuning_model.source(options)
        if isinstance(source, dual_encoder.DualEncoder):
            dual_encoder.refuse_equal_names(source, data.names, data.templates)
        made = finetuning_model.prepare(source, row, data, options)
        compile_model(made, options, steps=options.epochs * data.steps)
    course = Checkpoint(
        out / CHECKPOINTS,
        steps_per_epoch=data.steps,
        every=options.checkpoint_steps,
        writes=strategies.is_chief(strategy),
    )
    if course.writes:
        claim()
    names = data.manifest.multi_label and "zero-shot" in (options.head, row.head)
    if (names or row.head == "probe") and not checkpoint_file.steps(out / CHECKPOINTS):
        begun = time.perf_counter()
        on_features.start_head(made, options, out=out)
        course.seconds += time.perf_counter() - begun
    print(
        f"{options.method}: {made.trained_parameters:,} of {made.model.count_params():,} "
        f"parameters trained; steps: {options.epochs} x {data.steps:,}"
    )
    goes_back = options.wise_ft != "no"
    before = weight_interpolation.weights(made.model) if goes_back else []
    _fit(made, options, out=out, course=course, watched=watched)
    adopt_averages(made.model)
    if "lora" in row.trains:
        made.counted = made.trained_parameters
        with strategy.scope():
            made.model = lora.without_lora(made.reader or made.model)
    after = weight_interpolation.weights(made.model) if goes_back else []
    return made, course, (before, after)


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
