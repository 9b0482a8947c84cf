"""Train a dual encoder from captions, on one device or many; stop and go on at any step."""

import json
import os
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras.callbacks import Callback

    from dual_encoder import DualEncoder, Tokenizer
    from tfrecords import Manifest


@dataclass
class Options:
    """Train a dual encoder from the captions of prepared records.

    Args:
        data: folder of records with captions, as prepare writes it.
        out: folder of the run; the same command goes on where a run in it was stopped.
        image_tower: see `python -m pipelines models`.
        text_tower: see `python -m pipelines models`.
        image_weights: of the image tower: imagenet, a weights file, or a KerasHub preset.
        text_weights: of the text tower: a KerasHub preset.
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
    image_tower: str = "vit-tiny"
    text_tower: str = "transformer-tiny"
    image_weights: str | None = None
    text_weights: str | None = None
    image_size: int | None = None
    embed_dim: int = 128
    projection_depth: int = 0
    dropout: float = 0.0
    loss: str = "contrastive"
    temperature: float | None = None
    vocabulary_size: int = 8192
    context_length: int = 32
    epochs: int = 10
    batch_size: int = 128
    captions_per_image: int = 1
    crop_scale: float = 0.9
    learning_rate: float = 0.001
    weight_decay: float = 0.01
    schedule: str = "cosine"
    warmup_steps: int = 100
    clip_norm: float = 1.0
    early_stopping: int = 0
    plateau: int = 0
    plateau_factor: float = 0.2
    strategy: str = "one"
    virtual_devices: int = 0
    precision: str = "float32"
    checkpoint_steps: int = 200
    seed: int = 0


CHOICES = {
    "loss": ("contrastive", "sigmoid"),
    "schedule": ("cosine", "constant"),
    "precision": ("float32", "mixed_bfloat16"),
}
ZERO_SHOT = "val_zero_shot_top1"
POSITIVE = ("epochs", "batch_size", "captions_per_image", "learning_rate", "checkpoint_steps")


def run(options: Options) -> None:
    """Trains; leaves `model.keras`, `results.json`, `config.yaml`, TensorBoard's files."""
    _check(options)
    from pipelines.runs import folder, quiet
    from tfrecords.manifest import Manifest

    manifest = Manifest.read(options.data)
    if not manifest.split("train").captions:
        raise ValueError(f"{options.data}: split train has no captions to learn from, only labels")
    count = manifest.split("train").count
    if options.batch_size > count:
        raise ValueError(
            f"--batch-size: expected at most the {count} pictures of split train; "
            f"got {options.batch_size}"
        )
    out = folder.claim(options.out, options, finished="model.keras")
    quiet.import_tensorflow()
    import keras

    import dual_encoder  # noqa: F401  before seeding: importing KerasHub draws random numbers
    import tfrecords
    from pipelines.runs import strategy as strategies

    if options.virtual_devices:
        strategies.set_virtual_devices(options.virtual_devices)
    strategy = strategies.build(options.strategy)
    devices = strategies.describe(strategy)
    print(f"devices: {', '.join(devices)}")
    keras.utils.set_random_seed(options.seed)
    keras.config.set_dtype_policy(options.precision)
    tokenizer = _tokenizer(options, out)
    steps = tfrecords.steps_per_epoch(
        options.data,
        "train",
        batch_size=options.batch_size,
        captions_per_image=options.captions_per_image,
    )
    with strategy.scope():
        model = build(options, tokenizer, steps=steps)
    print(f"parameters: {model.count_params():,}; steps: {options.epochs} x {steps}")
    history = _fit(model, options, manifest, steps=steps, out=out)
    if strategies.is_chief(strategy):
        _write(model, options, manifest, history=history, out=out)


def build(options: Options, tokenizer: "Tokenizer", *, steps: int) -> "DualEncoder":
    """The model of these options, built and compiled for a run of `epochs` passes of `steps`."""
    import dual_encoder
    from pipelines.runs.fitting import adamw

    image = {"image_size": options.image_size, "weights": options.image_weights}
    model = dual_encoder.DualEncoder(
        dual_encoder.image_tower(options.image_tower, **image),
        dual_encoder.text_tower(options.text_tower, tokenizer, weights=options.text_weights),
        embed_dim=options.embed_dim,
        projection_depth=options.projection_depth,
        dropout=options.dropout,
        loss_name=options.loss,
        temperature=options.temperature,
        tokenizer=tokenizer,
    )
    model.build()
    optimizer = adamw(
        options.learning_rate,
        weight_decay=options.weight_decay,
        schedule=options.schedule,
        warmup_steps=options.warmup_steps,
        steps=options.epochs * steps,
        clip_norm=options.clip_norm,
    )
    model.compile(optimizer, jit_compile=_use_xla(model))
    model.optimizer.build(model.trainable_variables)
    return model


def _use_xla(model: "DualEncoder") -> bool:
    """XLA on one accelerator. On CPUs it compiles for minutes and then runs no faster."""
    import tensorflow as tf

    one = model.distribute_strategy.num_replicas_in_sync == 1
    return one and bool(tf.config.list_logical_devices("GPU"))


def _fit(
    model: "DualEncoder", options: Options, manifest: "Manifest", *, steps: int, out: Path
) -> list[dict[str, float]]:
    """Fit with everything watched. Returns the logs of every epoch."""
    import tfrecords
    from pipelines.runs import checkpoint, fitting
    from pipelines.runs import strategy as strategies

    strategy = model.distribute_strategy
    pairs = partial(
        tfrecords.load,
        options.data,
        batch_size=options.batch_size,
        image_size=model.image_size,
        tokenizer=model.tokenizer,
    )
    training = {
        "training": True,
        "crop_scale": None if options.crop_scale == 1 else (options.crop_scale, 1.0),
        "captions_per_image": options.captions_per_image,
        "epochs": options.epochs,
        "seed": options.seed,
    }
    validation = None
    if "validation" in manifest.splits and manifest.split("validation").captions:
        validation = strategies.distribute(strategy, partial(pairs, "validation"))
    saver = checkpoint.Checkpoint(
        out / "checkpoints",
        steps_per_epoch=steps,
        every=options.checkpoint_steps,
        writes=strategies.is_chief(strategy),
    )
    first = next(iter(pairs("train", verify=None, **training)))
    watched = _watched(model, options, manifest, first=first, out=out)
    best = _stopping(options, out)
    fitting.fit(
        model,
        lambda step: strategies.distribute(
            strategy, partial(pairs, "train", start_step=step, **training)
        ),
        epochs=options.epochs,
        steps_per_epoch=steps,
        checkpoint=saver,
        callbacks=[*watched, *best],
        validation=validation,
    )
    for callback in best:
        if hasattr(callback, "restore"):
            callback.restore(model)
    return saver.history


def _watched(
    model: "DualEncoder", options: Options, manifest: "Manifest", *, first: Any, out: Path
) -> list["Callback"]:
    """What is shown of the run; TensorBoard comes last, to see what the others add."""
    import keras

    import tfrecords
    from pipelines.runs import callbacks
    from pipelines.runs import strategy as strategies

    strategy = model.distribute_strategy
    devices = strategy.num_replicas_in_sync
    watched = [
        callbacks.Throughput(batch_size=options.batch_size, devices=devices),
        callbacks.Temperature(),
    ]
    if "validation" in manifest.splits and manifest.split("validation").labels:
        labelled = partial(
            tfrecords.load,
            options.data,
            "validation",
            batch_size=options.batch_size,
            image_size=model.image_size,
        )
        watched.append(
            callbacks.ZeroShotAccuracy(
                strategies.distribute(strategy, labelled),
                class_names=manifest.class_names,
                templates=manifest.templates,
            )
        )
    if strategies.is_chief(strategy):
        board = out / "tensorboard"
        pictures = callbacks.ImageGrid(board, batch=first, decode=model.tokenizer.decode)
        watched += [
            pictures,
            keras.callbacks.TensorBoard(board, update_freq=50),
        ]
    return watched


def _stopping(options: Options, out: Path) -> list["Callback"]:
    """Early stopping and reduce-on-plateau, as the captions study has them."""
    import keras

    from pipelines.runs import callbacks

    chosen: list[Callback] = []
    if options.early_stopping:
        chosen.append(keras.callbacks.EarlyStopping(patience=options.early_stopping))
        chosen.append(callbacks.BestWeights(out / "checkpoints" / "best.safetensors"))
    if options.plateau:
        patience, factor = options.plateau, options.plateau_factor
        chosen.append(keras.callbacks.ReduceLROnPlateau(patience=patience, factor=factor))
    return chosen


def _tokenizer(options: Options, out: Path) -> "Tokenizer":
    """The vocabulary learnt from the captions, kept so that a resumed run has the same."""
    import dual_encoder
    import tfrecords

    path = out / "tokenizer.json"
    if path.is_file():
        return dual_encoder.Tokenizer.from_config(json.loads(path.read_text()))
    captions = (
        c for example in tfrecords.examples(options.data, "train") for c in example.captions
    )
    tokenizer = dual_encoder.Tokenizer.learn(
        captions, context_length=options.context_length, vocabulary_size=options.vocabulary_size
    )
    path.write_text(json.dumps(tokenizer.get_config()))
    return tokenizer


def _write(
    model: "DualEncoder",
    options: Options,
    manifest: "Manifest",
    *,
    history: list[dict[str, float]],
    out: Path,
) -> None:
    """The model, the figures of its best epoch, and every epoch's logs."""
    from pipelines.runs import results

    model.save(out / "model.partial.keras")
    last = min(history, key=lambda row: row["val_loss"]) if options.early_stopping else history[-1]
    document = results.document(
        {"metrics": last, "intervals": {}, "per_class": [], "confusion_matrix": []},
        command="train",
        dataset=manifest.dataset,
        split="validation",
        model=str(out),
        cost={"parameters": model.count_params(), "peak_rss_bytes": results.peak_rss_bytes()},
        config=asdict(options),
        history=history,
        seed=options.seed,
    )
    results.write(out / results.FILE, document)
    os.replace(out / "model.partial.keras", out / "model.keras")  # last: the run is finished
    shown = {k: round(v, 4) for k, v in last.items() if k in ("loss", "val_loss", ZERO_SHOT)}
    print(f"Written to {out}: {shown}")
    print(f"Measure it: python -m pipelines evaluate --data DATA --model {out} --out RUN")


def _check(options: Options) -> None:
    for name, choices in CHOICES.items():
        if getattr(options, name) not in choices:
            raise ValueError(
                f"--{name}: expected one of {', '.join(choices)}; got {getattr(options, name)!r}"
            )
    for name in POSITIVE:
        if getattr(options, name) <= 0:
            flag = name.replace("_", "-")
            raise ValueError(f"--{flag}: expected a positive number; got {getattr(options, name)}")
    if not 0 < options.crop_scale <= 1:
        raise ValueError(f"--crop-scale: expected more than 0, at most 1; got {options.crop_scale}")
    if options.plateau and options.schedule == "cosine":
        raise ValueError("--plateau needs --schedule constant: a cosine sets the rate by itself")
