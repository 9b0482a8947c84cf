"""One fine-tuning run, from its options to its results."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.finetuning import settled_options
from pipelines.finetuning.options import FREE, Options, check, check_split, check_tested
from pipelines.methods.method import Run
from pipelines.methods.registry import METHODS, STOCK
from pipelines.runs import (
    class_name_options,
    class_split,
    folder,
    results,
    resume_check,
    runtime,
)
from pipelines.runs import strategy as strategies

if TYPE_CHECKING:
    from pipelines.finetuning.data import Labelled
    from pipelines.finetuning.model import Adapted
    from pipelines.training.checkpoint import Checkpoint


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
    check_tested(options, manifest, away)
    out = folder.check_resumable(options.out, options, finished=results.FILE, free=FREE)
    begun = resume_check.of(manifest, options.model, options=options)
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

    from pipelines.finetuning import auto_method, evaluation, output_files
    from pipelines.runs import predictions

    asked, devices = options, strategies.describe(strategy)

    def claim() -> None:
        folder.claim(out, asked)
        resume_check.keep(out, begun, devices=devices)

    extra: dict[str, Any] = {"parts": data.parts.to_json()}
    keras.utils.clear_session()  # another training in this process has variables of these names
    keras.utils.set_random_seed(options.seed)
    options = options if asked.stock else settled_options.settled(options, data)
    options = dataclasses.replace(options, features=options.features or str(out / "features"))
    if options.method in METHODS and METHODS[options.method].fit is not None:
        settled_options.say_unused(options)
    if options.method == auto_method.TOWER and asked.method == "auto" and asked.wise_ft is None:
        options, extra["auto"] = _chosen(options, data, out=out, strategy=strategy, claim=claim)
    elif asked.method == "auto" and options.method == settled_options.SEVERAL_LABELS:
        extra["auto"] = {"method": options.method, "why": "images have several classes each"}
    extra["method"] = STOCK if asked.stock else options.method
    made, course, more = _learnt(options, data, out=out, strategy=strategy, claim=claim)
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


def _learnt(
    options: Options, data: "Labelled", *, out: Path, strategy: Any, claim: Callable[[], None]
) -> tuple["Adapted", "Checkpoint", dict[str, Any]]:
    """The model, the course of its training, and keys of the results."""
    from pipelines.finetuning import model_stock, on_features, tower_training

    if options.stock:
        with strategy.scope():
            return model_stock.average(options, data, out=out, claim=claim)
    if METHODS[options.method].fit is not None:
        with strategy.scope():
            made, course = on_features.fit(options, data, out=out, claim=claim)
        return made, course, dict(made.fitted.more) if made.fitted else {}
    return tower_training.trained(options, data, out=out, strategy=strategy, claim=claim)


def _chosen(
    options: "Options",
    data: "Labelled",
    *,
    out: Path,
    strategy: Any,
    claim: Callable[[], None],
) -> tuple["Options", dict[str, Any]]:
    """The options of what `auto` is for these images, and why."""
    from pipelines.finetuning import auto_method, tower_training

    train = partial(tower_training.train, strategy=strategy, claim=claim)
    devices = strategy.num_replicas_in_sync
    found = auto_method.choose(train, options, data, out=out, claim=claim, devices=devices)
    print(f"auto: {found['method']}; {found['why']}")
    if METHODS[found["method"]].fit is not None:
        options = dataclasses.replace(options, method=found["method"], wise_ft="no")
    return options, found
