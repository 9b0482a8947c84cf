"""Train a dual encoder from captions, on one device or many; resumable at any step."""

from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.runs.models import MODEL
from pipelines.training.options import Options, check, check_watched

if TYPE_CHECKING:
    from dual_encoder import DualEncoder, Tokenizer
    from pipelines.training.checkpoint import Checkpoint
    from pipelines.training.data import Pairs
    from tfrecords import Manifest


TOKENIZER = "tokenizer.json"


def run(options: Options) -> None:
    """Trains; leaves `model.keras`, `results.json`, `report.html` and TensorBoard's files."""
    from pipelines.runs import folder, resume_check, runtime
    from pipelines.runs import strategy as strategies
    from pipelines.training import data as training_data
    from pipelines.training import small_set_batch_size
    from tfrecords import Manifest

    check(options)
    manifest = Manifest.read(options.data)
    data = training_data.Pairs(
        options.data,
        manifest,
        batch_size=small_set_batch_size.unasked(options, images=manifest.split("train").count),
        captions_per_image=options.captions_per_image,
        crop_scale=options.crop_scale,
        epochs=options.epochs,
        seed=options.seed,
    )
    check_watched(options, data)
    if folder.is_finished(options.out, options, finished=MODEL, free=strategies.ELASTIC):
        resume_check.check_finished(Path(options.out), options.data, options.model)
        return _say_finished(Path(options.out), manifest)
    out = folder.check_resumable(options.out, options, finished=MODEL, free=strategies.ELASTIC)
    begun = resume_check.of(data.manifest, options.model)
    resume_check.check(out, begun)
    strategy = runtime.start(
        options.strategy,
        batch_size=data.batch_size,
        micro_batch=options.micro_batch,
        virtual_devices=options.virtual_devices,
        precision=options.precision,
        seed=options.seed,
    )
    data.verify()
    with folder.held(out, writes=strategies.is_chief(strategy)):
        _run(options, data, begun, out=out, strategy=strategy)


def _say_finished(out: Path, manifest: "Manifest") -> None:
    """Of a run that was finished before."""
    from pipelines.runs import results
    from pipelines.training import output_files

    print("finished already; nothing is left to do")
    print(output_files.summary(results.read(out / results.FILE), manifest.splits))


def _run(
    options: Options, data: "Pairs", begun: dict[str, Any], *, out: Path, strategy: Any
) -> None:
    from pipelines.runs import folder, resume_check
    from pipelines.runs import strategy as strategies
    from pipelines.training import tokenizer_file
    from tfrecords import naming_damage

    with strategy.scope():
        model = build(options, data, tokenizer=tokenizer_file.read_tokenizer(out / TOKENIZER))
    trained = sum(int(weight.numpy().size) for weight in model.trainable_variables)
    print(
        f"parameters: {model.count_params():,}, {trained:,} of them trained; "
        f"steps: {options.epochs} x {data.steps:,}"
    )
    chief = strategies.is_chief(strategy)
    if chief:  # nothing is written before it is sure that the run can begin
        folder.claim(out, options)
        resume_check.keep(out, begun, devices=strategies.describe(strategy))
        tokenizer_file.write_tokenizer(model.tokenizer, out / TOKENIZER)
    with naming_damage(options.data):
        course = _fit(model, options, data, out=out)
    if chief:
        from pipelines.training import output_files

        document = output_files.write(
            out,
            model,
            options,
            dataset=data.manifest.dataset,
            course=course,
            ends_with_best=bool(options.early_stopping),
            devices=strategies.describe(strategy),
        )
        print(output_files.summary(document, data.manifest.splits))


def build(
    options: Options, data: "Pairs", *, tokenizer: "Tokenizer | None" = None
) -> "DualEncoder":
    """The model that these options start from, built and compiled for a run over the data.

    A run that goes on gives the `tokenizer` that it began with.
    """
    from pipelines.runs import runtime
    from pipelines.training import model as training_model
    from pipelines.training.optimizer import OptimizerOptions, optimizer

    model = training_model.pretrained(options)
    if model is None:
        tokenizer = tokenizer or training_model.tokenizer(options, data)
        model = training_model.put_together(options, tokenizer)
    training_model.freeze(model, options.freeze, batch_norm=options.batch_norm)
    model.compile(
        optimizer(OptimizerOptions.of(options), steps=options.epochs * data.steps),
        micro_batch=options.micro_batch or None,
        jit_compile=runtime.use_xla(model.distribute_strategy),
    )
    model.optimizer.build(model.trainable_variables)
    return model


def _fit(model: "DualEncoder", options: Options, data: "Pairs", *, out: Path) -> "Checkpoint":
    """Train to the end, everything watched. Returns what remembers the course of the run."""
    from pipelines.runs import strategy as strategies
    from pipelines.training import callback_list, resumable_fit
    from pipelines.training.checkpoint import Checkpoint

    strategy = model.distribute_strategy
    chief = strategies.is_chief(strategy)
    checkpoint = Checkpoint(
        out / "checkpoints",
        steps_per_epoch=data.steps,
        every=options.checkpoint_steps,
        writes=chief,
    )
    stopping = resumable_fit.stopping(
        out / "checkpoints",
        early_stopping=options.early_stopping,
        plateau=options.plateau,
        plateau_factor=options.plateau_factor,
        writes=chief,
    )
    validation = partial(data.validation, model)
    # TensorBoard shows images of the very dataset that trains: making one takes as long as a step.
    load = cache(partial(data.training, model))
    images = partial(load, start_step=0, worker=(0, 1))
    watched = callback_list.watched(model, data, directory=out / "tensorboard", images=images)
    resumable_fit.fit(
        model,
        lambda step: strategies.distribute(strategy, partial(load, start_step=step)),
        epochs=options.epochs,
        checkpoint=checkpoint,
        callbacks=[*watched, *stopping],
        validation=strategies.distribute(strategy, validation) if data.validates else None,
    )
    return checkpoint
