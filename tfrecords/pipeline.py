"""Turn records into batches: parse, decode, crop, augment and tokenise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import tensorflow as tf

from duet import cpu_cores
from tfrecords import schema, stateless_random
from tfrecords.images import graph_ops
from tfrecords.iteration_counting import Traceable, as_it_is, traced_once
from tfrecords.preprocessing import Preprocessing
from tfrecords.reproducible_augmentation import augmented, mixed
from tfrecords.selection import Selection

# Random streams, so that crops, captions and augmentation use different numbers.
_CROP, _CAPTION, _AUGMENT, _MIX, _FLIP = range(5)

_ONE, _MANY = tf.TensorSpec([], tf.int64), tf.TensorSpec([None], tf.int64)
_FILE = tf.TensorSpec([], tf.string)


class Tokenizer(Protocol):
    """Converts texts to ids: int32 [b, length], 0 or another padding id after the end."""

    context_length: int

    def __call__(self, texts: list[str], length: int) -> np.ndarray: ...


@dataclass(frozen=True)
class Plan:
    """Settings for processing a batch of records."""

    preprocessing: Preprocessing  # training uses only the image size
    tokenizer: Tokenizer | None
    text_length: int | None  # tokens per text; None for the tokenizer's context length
    crop_scale: tuple[float, float] | None  # None: preprocess as in evaluation
    flip: bool  # mirror half of the images
    augment: Callable | None
    mix: Callable | None
    seed: int
    captions: int  # pairs per image and epoch
    rotate_captions: bool  # start at a random caption, not the first
    prompts: Sequence[Sequence[str]] | None  # per class, in place of captions
    rows: tuple[int, int]  # this worker's rows of the global batch, first and last + 1
    selection: Selection  # maps labels to y


def batches_of_pixels(records: tf.data.Dataset, plan: Plan) -> tf.data.Dataset:
    """Converts the batches of `epoch_order.batches` to (x, y, sample_weight), see `load`."""
    threads = cpu_cores.usable()
    rows = plan.rows[1] - plan.rows[0]
    dataset = (
        records.map(as_it_is(lambda batch: _parse(batch, plan)))
        .unbatch()
        .map(
            as_it_is(lambda row: _decode(row, plan)),
            num_parallel_calls=threads,
            deterministic=True,
        )
        .batch(rows, drop_remainder=True)
    )
    if plan.augment is not None or plan.mix is not None:
        augment = _augmentation(plan, rows=rows)
        dataset = dataset.prefetch(1).map(augment)  # decodes the next batch meanwhile
    options = tf.data.Options()
    options.deterministic = True
    # With autotuning, closing an iterator sometimes waits for seconds. Parallelism is set
    # explicitly instead: images are spread over the threads, operations are not.
    options.autotune.enabled = False
    options.threading.private_threadpool_size = threads
    options.threading.max_intra_op_parallelism = 1
    # Each worker already reads only its rows; tf.distribute must not shard again.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    finished = dataset.map(as_it_is(lambda batch: _finish(batch, plan)))
    return finished.prefetch(2).with_options(options)


def _parse(batch: dict[str, tf.Tensor], plan: Plan) -> dict[str, tf.Tensor]:
    """Parses this worker's rows of a batch, and draws the random numbers of each row."""
    mine = slice(*plan.rows)
    features = tf.io.parse_example(batch["record"][mine], schema.features())
    ids, number, epoch = features["image/id"], batch["number"][mine], batch["epoch"]
    by_id = plan.tokenizer and not plan.prompts
    rows = {
        "encoded": features["image/encoded"],
        "weight": batch["weight"][mine],
        "target": tf.cast(ids, tf.int32) if by_id else plan.selection.target(features),
    }
    if plan.crop_scale is not None:
        draw = _windows(plan.seed, tuple(plan.crop_scale))
        rows["window"] = draw(epoch, ids, number, features["image/height"], features["image/width"])
    if plan.flip:
        rows["flip"] = _flips(plan.seed)(epoch, ids, number)
    if plan.tokenizer is not None:
        keys = stateless_random.key(plan.seed, _CAPTION, epoch, ids)
        first = stateless_random.uniform(keys) * float(plan.rotate_captions)
        captions = features["image/caption"]
        if plan.prompts:
            captions = tf.gather(tf.ragged.constant(plan.prompts), features["image/class/label"])
        rows["caption"] = _pick(captions, first, number)
    if plan.augment is not None or plan.mix is not None:
        key = stateless_random.key(plan.seed, _AUGMENT, epoch, batch["step"], plan.rows[0])
        rows["key"] = tf.fill(tf.shape(number), key)
    return rows


def _pick(captions: tf.RaggedTensor, first: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    """Picks one caption per image: the next one in each pass, starting at fraction `first`."""
    captions = captions.with_row_splits_dtype(tf.int64)
    lengths = captions.row_lengths()
    start = tf.cast(first * tf.cast(lengths, tf.float32), tf.int64)
    return tf.gather(captions.values, captions.row_starts() + (start + number) % lengths)


@traced_once
def _windows(seed: int, scale: tuple[float, float]) -> Traceable:
    def draw(
        epoch: tf.Tensor, ids: tf.Tensor, number: tf.Tensor, height: tf.Tensor, width: tf.Tensor
    ) -> tf.Tensor:
        keys = stateless_random.key(seed, _CROP, epoch, ids, number)
        return graph_ops.random_windows(tf.stack([height, width], axis=-1), keys, scale=scale)

    return draw, (_ONE, *[_MANY] * 4)


@traced_once
def _flips(seed: int) -> Traceable:
    def draw(epoch: tf.Tensor, ids: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        keys = stateless_random.key(seed, _FLIP, epoch, ids, number)
        return stateless_random.uniform(keys) < 0.5

    return draw, (_ONE, _MANY, _MANY)


def _decode(row: dict[str, tf.Tensor], plan: Plan) -> dict[str, tf.Tensor]:
    row = dict(row)
    encoded, window, flip = (row.pop(name, None) for name in ("encoded", "window", "flip"))
    if window is None:
        row["image"] = _square(plan.preprocessing)(encoded)
    else:
        row["image"] = _cropped(plan.preprocessing.image_size)(encoded, window)
    if flip is not None:
        row["image"] = tf.where(flip, row["image"][:, ::-1], row["image"])
    return row


@traced_once
def _square(preprocessing: Preprocessing) -> Traceable:
    return lambda encoded: graph_ops.to_square(encoded, preprocessing), (_FILE,)


@traced_once
def _cropped(size: int) -> Traceable:
    def crop(encoded: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
        return graph_ops.resized_crop(encoded, size, window=window)

    return crop, (_FILE, tf.TensorSpec([4], tf.int32))


def _augmentation(plan: Plan, *, rows: int) -> Callable:
    size = plan.preprocessing.image_size
    shape = (rows, size, size, 3)
    augment = augmented(plan.augment, shape) if plan.augment is not None else None
    mix = mixed(plan.mix, shape, plan.selection.class_count) if plan.mix is not None else None

    @as_it_is  # what a user wrote was converted as it was traced
    def apply(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        image, target, key = batch["image"], batch["target"], batch["key"][0]
        if augment is not None:
            image = augment(image, key)
        if mix is not None:
            image, target = mix(image, target, stateless_random.key(key, _MIX))
        return {**batch, "image": image, "target": target}

    return apply


def _finish(batch: dict[str, tf.Tensor], plan: Plan) -> tuple[dict, tf.Tensor, tf.Tensor]:
    x = {"image": batch["image"]}
    if plan.tokenizer is not None:
        x["token_ids"] = _tokenize(batch["caption"], plan.tokenizer, plan.text_length)
    return x, batch["target"], batch["weight"]


def _tokenize(captions: tf.Tensor, tokenizer: Tokenizer, length: int | None) -> tf.Tensor:
    """Tokenises outside the graph: in-graph tokenizers give different ids for digits."""
    length = length or tokenizer.context_length

    def ids(captions: np.ndarray) -> np.ndarray:
        texts = [caption.decode() for caption in captions]
        return np.asarray(tokenizer(texts, length=length), np.int32)

    tokens = tf.numpy_function(ids, [captions], tf.int32, stateful=False)
    return tf.ensure_shape(tokens, [captions.shape[0], length])
