"""Fine-tune a pretrained model on labelled images, and measure what it gains and forgets."""

from typing import TYPE_CHECKING

from pipelines.finetuning.options import Options, check, check_split

if TYPE_CHECKING:
    from pipelines.finetuning.data import Labelled
    from tfrecords import Manifest


def run(options: Options) -> None:
    """Fine-tunes; leaves `model.keras`, `results.json`, `report.html` and TensorBoard's files."""
    from pipelines.runs import class_split, folder, runtime
    from tfrecords import Manifest, naming_damage

    check(options)
    manifest = Manifest.read(options.data)
    check_split(options, manifest)
    away = class_split.held_out_classes(
        manifest,
        count=options.held_out,
        names=options.held_out_classes,
        seed=options.held_out_seed,
    )
    out = folder.check_resumable(options.out, options, finished="model.keras")
    strategy = runtime.start(
        options.strategy,
        batch_size=options.batch_size,
        micro_batch=options.micro_batch,
        virtual_devices=options.virtual_devices,
        precision=options.precision,
        seed=options.seed,
    )
    with naming_damage(options.data):
        from pipelines.finetuning import run as finetuning_run

        data = _data(options, manifest, held_out=away)
        data.verify("train", options.test)
        print(_what_is_trained_on(data))
        print(finetuning_run.run(options, data, out=out, strategy=strategy))


def _data(options: Options, manifest: "Manifest", *, held_out: tuple[int, ...]) -> "Labelled":
    import tfrecords
    from pipelines.finetuning import augmentation
    from pipelines.finetuning.data import Labelled
    from pipelines.runs import class_names, class_split

    ids, labels = tfrecords.labels(options.data, "train")
    parts = class_split.divide(
        ids,
        labels,
        manifest,
        held_out=held_out,
        fraction=options.validation,
        seed=options.seed if options.split_seed is None else options.split_seed,
    )
    return Labelled(
        options.data,
        manifest,
        parts,
        labels=dict(zip(ids.tolist(), labels.tolist(), strict=True)),
        templates=tuple(class_names.templates(options.templates, manifest)),
        batch_size=options.batch_size,
        crop_scale=options.crop_scale,
        augment=augmentation.augment(
            flip=options.flip,
            rand_augment=options.rand_augment,
            random_erasing=options.random_erasing,
            seed=options.seed,
        ),
        mix=augmentation.mix(mixup=options.mixup, cutmix=options.cutmix, seed=options.seed),
        soft=bool(options.mixup or options.cutmix or options.label_smoothing),
        epochs=options.epochs,
        seed=options.seed,
    )


def _what_is_trained_on(data: "Labelled") -> str:
    parts = data.parts
    line = (
        f"{len(parts.train):,} images of {len(parts.seen)} classes to train on, "
        f"{len(parts.validation):,} to choose by"
    )
    if parts.held_out:
        line += f"; {len(parts.held_out)} classes held out ({len(parts.watched):,} images)"
    return line
