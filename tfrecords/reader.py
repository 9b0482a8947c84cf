"""From a folder of records to batches: sharded by worker, shuffled, resumable at any step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import tensorflow as tf

from tfrecords import schema
from tfrecords.framing import read_records
from tfrecords.manifest import Manifest, SplitInfo
from tfrecords.order import Order, batches
from tfrecords.pipeline import Plan, Tokenizer, batches_of_pixels
from tfrecords.preprocessing import Preprocessing
from tfrecords.schema import Example
from tfrecords.selection import Selection
from tfrecords.verification import verify as verify_shards


def load(
    directory: str | Path,
    split: str,
    *,
    batch_size: int = 64,
    ids: Sequence[int] | None = None,
    classes: Sequence[int] | None = None,
    image_size: int = 224,
    resize: str = "crop",
    interpolation: str = "bicubic",
    crop_fraction: float = 1.0,
    tokenizer: Tokenizer | None = None,
    class_prompts: Sequence[Sequence[str]] | None = None,
    text_length: int | None = None,
    training: bool = False,
    crop_scale: tuple[float, float] | None = (0.9, 1.0),
    augment: Callable | None = None,
    mix: Callable | None = None,
    seed: int = 0,
    epochs: int = 1,
    start_step: int = 0,
    captions_per_image: int = 1,
    worker: tuple[int, int] = (0, 1),
    verify: str | None = "sha256",
) -> tf.data.Dataset:
    """Read a split of a folder of records as batches for `fit`, `evaluate` and `predict`.

    Evaluation goes once over the split in stored order; images are preprocessed as the model's
    checkpoint wants them, like CLIP's if nothing is said. Training goes over it `epochs` times,
    each time in another order and with other crops. Order, crops, captions and augmentation
    depend on `seed`, epoch and image alone: a run resumed with `start_step` gets exactly the
    batches that an uninterrupted run would have got from there on.

    Args:
        directory: folder with `manifest.json`.
        split: name of a split in the manifest.
        batch_size: rows of the global batch, that of all workers together.
        ids: read these images alone; `labels` tells which there are.
        classes: labels in a new order: y is the place of the image's label in it. Without `ids`
            images of other classes are left out; with `ids` one of them is an error. Of a
            multi-label set these are the columns of y, and say nothing about which images.
        image_size: side of the square images in pixels.
        resize: in evaluation, "crop" for the central square, "squash" for the whole image.
        interpolation: of evaluation, "bicubic" or "bilinear", antialiased as in Pillow.
        crop_fraction: in evaluation, the share of each side of the resized image to keep; see
            `preprocessing.Preprocessing`.
        tokenizer: callable (list of str, length=int) -> int32 [b, length] with an attribute
            `context_length`. With one, batches hold captions, or where the records have labels
            alone, class names in the set's templates; without, labels.
        class_prompts: texts for every label of the set, of which a batch holds one per image
            in place of its captions.
        text_length: tokens in a row, which longer texts are cut to; without it the tokenizer's
            context.
        training: shuffle, and crop at random.
        crop_scale: least and largest share of an image's area that a random crop keeps (0.9 to
            1 in CLIP); None for the pixels of evaluation.
        augment: callable or Keras layer on a batch of float32 images in 0-255. It sees one
            batch after the other.
        mix: callable or Keras layer on `{"images", "labels"}`, such as `keras.layers.MixUp`; y is
            then float32 [b, classes].
        seed: of everything random.
        epochs: passes over the split; `fit` needs `initial_epoch`, or `steps_per_epoch` and no
            `initial_epoch`, to tell them apart.
        start_step: batches, counted from the first epoch, that have been seen already.
        captions_per_image: pairs of each image and one of its captions per epoch.
        worker: (index, count). Worker i gets the i-th part of the rows of every global batch.
        verify: compare shards with the manifest first, by "sha256", by "size" or not (None).

    Returns:
        A dataset of (x, y, sample_weight), all of static shape:
        x["image"] uint8 [b, image_size, image_size, 3], RGB;
        x["token_ids"] int32 [b, text_length], with a tokenizer;
        y int32 [b], the label, or with captions the id of the image: with a tokenizer,
        rows of the same y are not negatives of each other; of a multi-label set, y float32
        [b, classes], 1 for each class of an image, else 0;
        sample_weight float32 [b], 0 on rows that fill up the last batch of an epoch. They repeat
        images of the split, so that batch normalisation sees no blanks.

    Raises:
        FileNotFoundError: no records there, or a shard is missing.
        ValueError: an argument does not fit, or a shard is damaged (names shard and record).
    """
    manifest = Manifest.read(directory)
    info = manifest.split(split)
    selection = Selection.of(ids, classes, manifest=manifest)
    if class_prompts is None and not info.captions:
        class_prompts = manifest.class_prompts
    plan = Plan(
        preprocessing=Preprocessing(
            image_size, resize, interpolation=interpolation, crop_fraction=crop_fraction
        ),
        tokenizer=tokenizer,
        text_length=text_length,
        crop_scale=crop_scale if training else None,
        augment=augment,
        mix=mix,
        seed=seed,
        captions=captions_per_image,
        rotate_captions=training,
        prompts=class_prompts if tokenizer else None,
        rows=_rows_of_worker(batch_size, worker),
        selection=selection,
    )
    order = Order(
        paths=tuple(str(Path(directory) / shard.name) for shard in info.shards),
        count=selection.count(info),
        record_bytes=sum(shard.bytes for shard in info.shards) / max(info.count, 1),
        batch_size=batch_size,
        selection=selection,
        passes=captions_per_image,
        seed=seed if training else None,
    )
    _check_split(split, info, plan, order, training=training)
    _check_steps(order, epochs=epochs, start_step=start_step, training=training)
    verify_shards(directory, info, how=verify)
    return batches_of_pixels(batches(order, epochs=epochs, start_step=start_step), plan).apply(
        tf.data.experimental.assert_cardinality(order.steps * epochs - start_step)
    )


def steps_per_epoch(
    directory: str | Path, split: str, *, batch_size: int, captions_per_image: int = 1
) -> int:
    """Batches that `load` gives per epoch, the padded last one included."""
    count = Manifest.read(directory).split(split).count
    return -(-count * captions_per_image // batch_size)


def examples(directory: str | Path, split: str) -> Iterator[Example]:
    """The records of a split as they are stored, in the order in which evaluation reads them."""
    for shard in Manifest.read(directory).split(split).shards:
        for record in read_records(Path(directory) / shard.name, 0, shard.records):
            yield schema.deserialize(record)


def _rows_of_worker(batch_size: int, worker: tuple[int, int]) -> tuple[int, int]:
    index, count = worker
    if not 0 <= index < count:
        raise ValueError(f"worker: expected (index, count) with 0 <= index < count; got {worker}")
    if batch_size < 1 or batch_size % count:
        raise ValueError(f"batch_size: expected a multiple of {count} workers; got {batch_size}")
    size = batch_size // count
    return index * size, (index + 1) * size


def _check_split(split: str, info: SplitInfo, plan: Plan, order: Order, *, training: bool) -> None:
    if not info.labels and not info.captions:
        raise ValueError(f"split {split!r} has neither labels nor captions to train or measure by")
    if plan.tokenizer is None and not info.labels:
        raise ValueError(f"split {split!r} has no labels, only captions: it needs a tokenizer")
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
    if (plan.augment is not None or plan.mix is not None) and not training:
        name = "mix" if plan.augment is None else "augment"
        raise ValueError(f"{name}: evaluation sees images as they are; expected training=True")
    if plan.mix is not None and plan.tokenizer is not None:
        raise ValueError("mix: expected labels to mix; with a tokenizer there are none")
    if plan.crop_scale is not None and not 0 < plan.crop_scale[0] <= plan.crop_scale[1] <= 1:
        raise ValueError(
            f"crop_scale: expected (least, largest) shares from 0 to 1; got {plan.crop_scale}"
        )


def _check_steps(order: Order, *, epochs: int, start_step: int, training: bool) -> None:
    if epochs < 1 or (epochs > 1 and not training):
        raise ValueError(f"epochs: expected 1, or more when training; got {epochs}")
    if not 0 <= start_step <= order.steps * epochs:
        raise ValueError(
            f"start_step: expected 0 to {order.steps * epochs} "
            f"({epochs} epochs of {order.steps} steps); got {start_step}"
        )
