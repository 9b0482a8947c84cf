"""Read a folder of records as batches: sharded by worker, shuffled, resumable at any step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfrecords import schema
from tfrecords.epoch_order import Order, batches
from tfrecords.framing import read_records
from tfrecords.iteration_counting import only_once
from tfrecords.load_options import GROUPS, Augmentation, Subset, Texts, grouped
from tfrecords.manifest import Manifest, SplitInfo
from tfrecords.pipeline import Plan, batches_of_pixels
from tfrecords.preprocessing import Preprocessing
from tfrecords.schema import Example
from tfrecords.selection import Selection
from tfrecords.verification import verify as verify_shards

USED_UP = (
    "tfrecords.load(epochs={epochs}) holds {epochs} epochs in a row and has been read to its end: "
    "leave epochs= out, so that each iteration is a new epoch, or give fit steps_per_epoch"
)


def load(
    directory: str | Path,
    split: str,
    *,
    batch_size: int = 64,
    training: bool = False,
    seed: int = 0,
    epochs: int | None = None,
    start_step: int = 0,
    subset: Subset | None = None,
    preprocessing: Preprocessing | None = None,
    texts: Texts | None = None,
    augmentation: Augmentation | None = None,
    worker: tuple[int, int] = (0, 1),
    verify: str | None = "sha256",
    **fields: Any,
) -> tf.data.Dataset:
    """Read a split of a folder of records as batches for `fit`, `evaluate` and `predict`.

    Evaluation reads the split once in stored order, with the given preprocessing (default: CLIP's).
    A training dataset is one epoch per iteration, as `fit(..., epochs=n)` iterates it: each with
    another order, other crops and other captions. Order, crops, captions and augmentation depend
    only on `seed`, epoch and image: a run resumed with `start_step` gets exactly the batches of an
    uninterrupted run.

    Args:
        directory: folder with `manifest.json`.
        split: name of a split in the manifest.
        batch_size: rows of the global batch, over all workers.
        training: shuffle and use random crops.
        seed: of all randomness.
        epochs: in training, None for one epoch per iteration; a number for that many epochs in
            one iteration, as `fit(steps_per_epoch=...)` reads them. The dataset is then
            exhausted: `fit(epochs=...)` without `steps_per_epoch` would multiply the two, and
            raises an error.
        start_step: batches already seen, counted from the first epoch. An iteration that starts
            inside an epoch ends at the same step of the next one.
        subset: the images to read; see `Subset`.
        preprocessing: of evaluation; training uses only its image size; see `Preprocessing`.
        texts: tokenizer and captions; see `Texts`.
        augmentation: random crops and augmentation layers; see `Augmentation`.
        worker: (index, count). Worker i gets the i-th part of the rows of every global batch.
        verify: check shards against the manifest first, by "sha256", "size" or not at all (None).
        fields: single fields of the four groups: `image_size=64`, `tokenizer=tokenizer`,
            `ids=ids`, `**model.preprocessing`.

    Returns:
        A dataset of (x, y, sample_weight), all of static shape:
        x["image"] uint8 [b, image_size, image_size, 3], RGB;
        x["token_ids"] int32 [b, text_length], with a tokenizer;
        y int32 [b], the label, or with captions the image id: with a tokenizer, rows with the
        same y are not negatives of each other; for multi-label data float32 [b, classes],
        1 for each class of an image, else 0;
        sample_weight float32 [b], 0 on padding rows of an epoch's last batch, which repeat
        images of the split so that batch normalisation sees no blank images.

    Raises:
        FileNotFoundError: no records there, or a shard is missing.
        TypeError: unknown field.
        ValueError: an argument is invalid, or a shard is damaged (names shard and record).

    Example:
        >>> train = load("records/mine", "train", training=True, **model.preprocessing)
        >>> model.fit(train, epochs=10)  # ten shuffles
    """
    which, preprocessing, texts, augmentation = grouped(
        dict(zip(GROUPS, (subset, preprocessing, texts, augmentation), strict=True)), fields
    )
    numbers = {"seed": seed, "epochs": 1 if epochs is None else epochs, "start_step": start_step}
    for name, number in numbers.items():
        _check_whole(name, number, least=None)
    _check_texts(texts)
    manifest = Manifest.read(directory)
    info = manifest.split(split)
    selection = Selection.of(which.ids, which.classes, manifest=manifest)
    if texts.class_prompts is None and not info.captions:
        texts = replace(texts, class_prompts=manifest.class_prompts)
    plan = Plan(
        preprocessing=preprocessing,
        tokenizer=texts.tokenizer,
        text_length=texts.text_length,
        crop_scale=augmentation.crop_scale if training else None,
        flip=augmentation.flip and training,
        augment=augmentation.augment,
        mix=augmentation.mix,
        seed=seed,
        captions=texts.captions_per_image,
        rotate_captions=training,
        prompts=texts.class_prompts if texts.tokenizer else None,
        rows=_rows_of_worker(batch_size, worker),
        selection=selection,
    )
    order = Order(
        paths=tuple(str(Path(directory) / shard.name) for shard in info.shards),
        count=selection.count(info),
        record_bytes=sum(shard.bytes for shard in info.shards) / max(info.count, 1),
        batch_size=batch_size,
        selection=selection,
        passes=texts.captions_per_image,
        seed=seed if training and augmentation.shuffle else None,
    )
    _check_split(split, info, plan, order, training=training)
    _check_steps(order, epochs=epochs, start_step=start_step, training=training)
    verify_shards(directory, info, how=verify)
    if training and epochs is None:
        batches = batches_of_pixels(order.epoch_each_time(start_step), plan)
        dataset = batches.apply(tf.data.experimental.assert_cardinality(order.steps))
    else:
        dataset = _in_a_row(
            order, plan, epochs=epochs or 1, start_step=start_step, training=training
        )
    if texts.tokenizer is None and which.ids is None:  # else y is no class, or of some alone
        dataset.label_count = len(which.classes or manifest.class_names)
    return dataset


def _in_a_row(
    order: Order, plan: Plan, *, epochs: int, start_step: int, training: bool
) -> tf.data.Dataset:
    dataset = batches_of_pixels(batches(order, epochs=epochs, start_step=start_step), plan)
    length = order.steps * epochs - start_step
    if training:
        dataset = only_once(dataset, length=length, message=USED_UP.format(epochs=epochs))
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(length))
    if training:
        dataset.epochs_in_a_row = epochs
    return dataset


def steps_per_epoch(
    directory: str | Path, split: str, *, batch_size: int, captions_per_image: int = 1
) -> int:
    """Returns the number of batches per epoch of `load`, including the padded last one."""
    _check_whole("batch_size", batch_size)
    count = Manifest.read(directory).split(split).count
    return -(-count * captions_per_image // batch_size)


def examples(directory: str | Path, split: str) -> Iterator[Example]:
    """Yields the records of a split as stored, in the order of evaluation."""
    for shard in Manifest.read(directory).split(split).shards:
        for record in read_records(Path(directory) / shard.name, 0, shard.records):
            yield schema.deserialize(record)


def _rows_of_worker(batch_size: int, worker: tuple[int, int]) -> tuple[int, int]:
    _check_whole("batch_size", batch_size)
    index, count = worker if isinstance(worker, tuple | list) and len(worker) == 2 else (0, 0)
    if not all(isinstance(n, Integral) for n in (index, count)) or not 0 <= index < count:
        raise ValueError(f"worker: expected (index, count) with 0 <= index < count; got {worker!r}")
    if batch_size % count:
        raise ValueError(f"batch_size: expected a multiple of {count} workers; got {batch_size}")
    size = batch_size // count
    return index * size, (index + 1) * size


def _check_whole(name: str, number: Any, *, least: int | None = 1) -> None:
    if not isinstance(number, Integral) or (least is not None and number < least):
        at_least = "" if least is None else f" of at least {least}"
        raise ValueError(f"{name}: expected a whole number{at_least}; got {number!r}")


def _check_texts(texts: Texts) -> None:
    _check_whole("captions_per_image", texts.captions_per_image, least=None)
    if texts.text_length is not None:
        _check_whole("text_length", texts.text_length)
    if texts.tokenizer is not None and not (
        callable(texts.tokenizer)
        and (texts.text_length or hasattr(texts.tokenizer, "context_length"))
    ):
        raise ValueError(
            "tokenizer: expected a callable with an attribute context_length, such as "
            f"model.tokenizer; got {texts.tokenizer!r}"
        )


def _check_split(split: str, info: SplitInfo, plan: Plan, order: Order, *, training: bool) -> None:
    if not info.labels and not info.captions:
        raise ValueError(f"split {split!r} has neither labels nor captions to train or measure by")
    if plan.tokenizer is None and not info.labels:
        raise ValueError(f"split {split!r} has no labels, only captions: it needs a tokenizer")
    if plan.prompts:
        _check_prompts(plan.prompts, info, classes=plan.selection.all_classes)
    if plan.text_length is not None and plan.tokenizer is None:
        raise ValueError(f"text_length: expected a tokenizer with it; got {plan.text_length} alone")
    if plan.prompts and plan.selection.multi_label:
        raise ValueError(
            f"split {split!r} has several labels per image: no class's name can stand in for a "
            f"caption; read it without a tokenizer"
        )
    if plan.captions < 1 or (plan.captions > 1 and plan.tokenizer is None):
        raise ValueError(
            f"captions_per_image: expected 1, or more with a tokenizer; got {plan.captions}"
        )
    if training and order.batch_size > order.count:
        raise ValueError(
            f"batch_size: expected at most the {order.count} images of split {split!r}; "
            f"got {order.batch_size}"
        )
    for name, given in (("augment", plan.augment), ("mix", plan.mix)):
        if given is not None and not callable(given):
            raise ValueError(f"{name}: expected a layer or a function of images; got {given!r}")
    if (plan.augment is not None or plan.mix is not None) and not training:
        name = "mix" if plan.augment is None else "augment"
        raise ValueError(f"{name}: evaluation sees images as they are; expected training=True")
    if plan.mix is not None and plan.tokenizer is not None:
        raise ValueError("mix: expected labels to mix; with a tokenizer there are none")
    if plan.crop_scale is not None and not _are_shares(plan.crop_scale):
        raise ValueError(
            f"crop_scale: expected (least, largest) shares from 0 to 1; got {plan.crop_scale}"
        )


def _are_shares(scale: Any) -> bool:
    if not isinstance(scale, tuple | list) or len(scale) != 2:
        return False
    return all(isinstance(share, Real) for share in scale) and 0 < scale[0] <= scale[1] <= 1


def _check_prompts(prompts: Sequence[Sequence[str]], info: SplitInfo, *, classes: int) -> None:
    if not info.labels:
        raise ValueError("class_prompts: expected labels, of which they are texts; there are none")
    if len(prompts) != classes or not all(prompts) or any(isinstance(p, str) for p in prompts):
        raise ValueError(
            f"class_prompts: expected a list of texts for each of the {classes} classes of the "
            f"records, in their order; got {prompts!s:.60}"
        )


def _check_steps(order: Order, *, epochs: int | None, start_step: int, training: bool) -> None:
    if epochs is None and training and start_step >= 0:
        return
    epochs = epochs or (1 if epochs is None else 0)
    if epochs < 1 or (epochs > 1 and not training):
        raise ValueError(f"epochs: expected 1, or more when training; got {epochs}")
    if not 0 <= start_step <= order.steps * epochs:
        raise ValueError(
            f"start_step: expected 0 to {order.steps * epochs} "
            f"({epochs} epochs of {order.steps} steps); got {start_step}"
        )
