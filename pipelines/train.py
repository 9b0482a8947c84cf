"""Train a dual encoder from captions, on one device or many; stop and go on at any step."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from dual_encoder import DualEncoder, Tokenizer
    from pipelines.runs.checkpoint import Checkpoint
    from pipelines.runs.pairs import Pairs


@dataclass
class Options:
    """Train a dual encoder from the captions of prepared records.

    Args:
        data: folder of records with captions, as prepare writes it.
        out: folder of the run; the same command goes on with a run that was stopped.
        model: start from this dual encoder, not from two towers: a checkpoint's name, hf://org/repo,
            a .keras file, or the folder of a run.
        image_tower: see `python -m pipelines models`.
        text_tower: see `python -m pipelines models`.
        image_weights: of the image tower: imagenet or a weights file (Xception, ResNet,
            EfficientNet), the name or folder of a checkpoint (ViT).
        text_weights: of the text tower: the name or folder of a checkpoint (BERT), whose
            tokenizer is used too.
        freeze: towers whose weights stay as they are: none, image (LiT), text or both.
        image_size: pixels, height and width; the tower's usual size without it.
        embed_dim: size of the space that pictures and texts share.
        projection_depth: residual layers of each projection head; 0 is CLIP's linear one.
        dropout: rate in the projection heads.
        loss: contrastive or sigmoid.
        temperature: at the start; without it 0.07 (contrastive) or 0.1 (sigmoid).
        vocabulary_size: most tokens of the vocabulary learnt from the captions.
        context_length: most tokens per caption, start and end included.
        epochs: passes over the training pictures.
        batch_size: pictures per step, on all devices together.
        micro_batch: pictures of a step that a device works on at a time, to save memory; 0 for all
            at once. The step is the same: every picture still meets all texts of the batch.
        captions_per_image: captions of each picture used in one pass.
        crop_scale: smallest share of a picture that a random crop keeps; 1 for the centre crop.
        learning_rate: of AdamW, at its highest.
        weight_decay: of AdamW; not on biases, norms and the temperature.
        schedule: cosine (to zero, after the warm-up) or constant.
        warmup_steps: steps in which a cosine schedule rises to its highest.
        clip_norm: largest norm of the gradient over all weights; 0 for any.
        early_stopping: epochs without a better validation loss before it stops, to end with the
            best epoch's weights; 0 for never.
        plateau: epochs without a better validation loss before the learning rate falls; 0 for
            never.
        plateau_factor: what the learning rate is then multiplied by.
        strategy: one, mirrored or multi-worker.
        virtual_devices: split the CPU into so many devices, to try mirrored; 0 for no.
        precision: float32 or mixed_bfloat16.
        checkpoint_steps: steps between two checkpoints.
        seed: of weights, order, crops, captions and dropout.
    """

    data: str
    out: str
    model: str | None = None
    image_tower: str = "vit-tiny"
    text_tower: str = "transformer-tiny"
    image_weights: str | None = None
    text_weights: str | None = None
    freeze: Literal["none", "image", "text", "both"] = "none"
    image_size: int | None = None
    embed_dim: int = 128
    projection_depth: int = 0
    dropout: float = 0.0
    loss: Literal["contrastive", "sigmoid"] = "contrastive"
    temperature: float | None = None
    vocabulary_size: int = 8192
    context_length: int = 32
    epochs: int = 10
    batch_size: int = 128
    micro_batch: int = 0
    captions_per_image: int = 1
    crop_scale: float = 0.9
    learning_rate: float = 0.001
    weight_decay: float = 0.01
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_steps: int = 100
    clip_norm: float = 1.0
    early_stopping: int = 0
    plateau: int = 0
    plateau_factor: float = 0.2
    strategy: Literal["one", "mirrored", "multi-worker"] = "one"
    virtual_devices: int = 0
    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    checkpoint_steps: int = 200
    seed: int = 0


TOKENIZER = "tokenizer.json"
RANGES = {
    "(0, inf)": (
        *("image_size", "embed_dim", "temperature", "vocabulary_size", "context_length"),
        *("epochs", "batch_size", "captions_per_image", "learning_rate", "checkpoint_steps"),
    ),
    "[0, inf)": (
        *("projection_depth", "weight_decay", "warmup_steps", "clip_norm", "early_stopping"),
        *("plateau", "virtual_devices", "seed", "micro_batch"),
    ),
    "(0, 1]": ("crop_scale",),
    "[0, 1)": ("dropout",),
    "(0, 1)": ("plateau_factor",),
}


def run(options: Options) -> None:
    """Trains; leaves `model.keras`, `results.json`, `report.html` and TensorBoard's files."""
    from pipelines.runs import folder, pairs, start, training_report
    from pipelines.runs import strategy as strategies
    from tfrecords import Manifest, naming_damage

    _check(options)
    data = pairs.Pairs(
        options.data,
        Manifest.read(options.data),
        batch_size=options.batch_size,
        captions_per_image=options.captions_per_image,
        crop_scale=options.crop_scale,
        epochs=options.epochs,
        seed=options.seed,
    )
    _check_watched(options, data)
    out = folder.check_resumable(options.out, options, finished="model.keras")
    strategy = start.start(
        options.strategy,
        batch_size=options.batch_size,
        micro_batch=options.micro_batch,
        virtual_devices=options.virtual_devices,
        precision=options.precision,
        seed=options.seed,
    )
    data.verify()
    with strategy.scope():
        model = build(options, data, tokenizer=pairs.read_tokenizer(out / TOKENIZER))
    trained = sum(int(weight.numpy().size) for weight in model.trainable_variables)
    print(
        f"parameters: {model.count_params():,}, {trained:,} of them trained; "
        f"steps: {options.epochs} x {data.steps:,}"
    )
    chief = strategies.is_chief(strategy)
    if chief:  # nothing is written before it is sure that the run can begin
        folder.claim(out, options)
        pairs.write_tokenizer(model.tokenizer, out / TOKENIZER)
    with naming_damage(options.data):
        course = _fit(model, options, data, out=out)
    if chief:
        from pipelines.runs import outcome

        document = outcome.write(
            out,
            model,
            options,
            command="train",
            dataset=data.manifest.dataset,
            course=course,
            ends_with_best=bool(options.early_stopping),
            devices=strategies.describe(strategy),
        )
        print(training_report.summary(document))


def build(
    options: Options, data: "Pairs", *, tokenizer: "Tokenizer | None" = None
) -> "DualEncoder":
    """The model that these options start from, built and compiled for a run over the data.

    A run that goes on gives the `tokenizer` that it began with.
    """
    from pipelines.runs import fitting, start, starting_point

    model = starting_point.pretrained(options)
    if model is None:
        tokenizer = tokenizer or starting_point.tokenizer(options, data)
        model = starting_point.put_together(options, tokenizer)
    starting_point.freeze(model, options.freeze)
    optimizer = fitting.adamw(
        options.learning_rate,
        weight_decay=options.weight_decay,
        schedule=options.schedule,
        warmup_steps=options.warmup_steps,
        steps=options.epochs * data.steps,
        clip_norm=options.clip_norm,
    )
    model.compile(
        optimizer,
        micro_batch=options.micro_batch or None,
        jit_compile=start.use_xla(model.distribute_strategy),
    )
    model.optimizer.build(model.trainable_variables)
    return model


def _fit(model: "DualEncoder", options: Options, data: "Pairs", *, out: Path) -> "Checkpoint":
    """Train to the end, everything watched. Returns what remembers the course of the run."""
    from pipelines.runs import fitting, watching
    from pipelines.runs import strategy as strategies
    from pipelines.runs.checkpoint import Checkpoint

    strategy = model.distribute_strategy
    chief = strategies.is_chief(strategy)
    checkpoint = Checkpoint(
        out / "checkpoints",
        steps_per_epoch=data.steps,
        every=options.checkpoint_steps,
        writes=chief,
    )
    stopping = fitting.stopping(
        out / "checkpoints",
        early_stopping=options.early_stopping,
        plateau=options.plateau,
        plateau_factor=options.plateau_factor,
        writes=chief,
    )
    validation = partial(data.validation, model)
    fitting.fit(
        model,
        lambda step: strategies.distribute(
            strategy, partial(data.training, model, start_step=step)
        ),
        epochs=options.epochs,
        checkpoint=checkpoint,
        callbacks=[*watching.watched(model, data, directory=out / "tensorboard"), *stopping],
        validation=strategies.distribute(strategy, validation) if data.validates else None,
    )
    return checkpoint


def _check(options: Options) -> None:
    from pipelines.runs import config, starting_point

    config.check_ranges(options, RANGES)
    starting_point.check(options)
    if options.plateau and options.schedule == "cosine":
        raise ValueError("--plateau needs --schedule constant: a cosine sets the rate by itself")


def _check_watched(options: Options, data: "Pairs") -> None:
    if (options.early_stopping or options.plateau) and not data.validates:
        raise ValueError(
            f"{options.data} has no split validation, by which --early-stopping and --plateau go"
        )
