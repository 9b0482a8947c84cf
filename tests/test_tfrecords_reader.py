"""Batches: what is in them, in which order, after an interruption, and from damaged shards."""

import io
import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tiny_sources import Numbers, TinySource, encoded, load, write

import tfrecords
from tfrecords import Augmentation, Preprocessing, Subset, Texts, reader, verification
from tfrecords.manifest import Manifest


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    return write(tmp_path_factory.mktemp("labelled") / "records")


@pytest.fixture(scope="module")
def captioned(tmp_path_factory):
    source = TinySource(labels=False, captions=3)
    return write(tmp_path_factory.mktemp("captioned") / "records", source)


def take(dataset):
    """All batches as (images, token ids or None, y, weights)."""
    return [
        (
            x["image"].numpy(),
            x["token_ids"].numpy() if "token_ids" in x else None,
            *map(np.array, yw),
        )
        for x, *yw in dataset
    ]


def assert_equal(batches, expected):
    assert len(batches) == len(expected)
    for got, want in zip(batches, expected, strict=True):
        for a, b in zip(got, want, strict=True):
            np.testing.assert_array_equal(a, b)


def ids(batches):
    """Numbers of the images without padding; for batches with captions."""
    return np.concatenate([y[w > 0] for *_, y, w in batches])


# --- Evaluation -------------------------------------------------------------------------------


def test_rows_of_tokens_are_as_long_as_they_are_asked_for(captioned, labelled):
    whole = take(load(captioned, tokenizer=Numbers()))
    dataset = load(captioned, tokenizer=Numbers(), text_length=2)
    assert dataset.element_spec[0]["token_ids"].shape == (8, 2)
    for (_, ids, *_), (_, expected, *_) in zip(take(dataset), whole, strict=True):
        np.testing.assert_array_equal(ids, expected[:, :2])
    with pytest.raises(ValueError, match="text_length: expected a tokenizer with it; got 2 alone"):
        load(labelled, text_length=2)


def test_evaluation_sees_every_image_once_in_stored_order(labelled):
    batches = take(load(labelled))
    assert [w.sum() for *_, w in batches] == [8, 8, 7]
    labels = np.concatenate([y[w > 0] for *_, y, w in batches])
    np.testing.assert_array_equal(labels, np.arange(23) % 3)
    stored = list(reader.examples(labelled, "train"))
    assert [example.id for example in stored] == list(range(23))
    first = Image.open(io.BytesIO(stored[0].image)).resize((17, 16), Image.Resampling.BICUBIC)
    difference = batches[0][0][0].astype(int) - np.asarray(first)[:, :16]
    assert np.abs(difference).max() <= 2


def test_batches_are_as_the_contract_says(labelled):
    dataset = load(labelled)
    x, y, weight = dataset.element_spec
    assert x["image"].shape == (8, 16, 16, 3) and x["image"].dtype == tf.uint8
    assert y.shape == (8,) and y.dtype == tf.int32
    assert weight.shape == (8,) and weight.dtype == tf.float32
    assert dataset.cardinality() == 3 == reader.steps_per_epoch(labelled, "train", batch_size=8)


def test_padding_repeats_real_images(labelled):
    images, _, labels, weights = take(load(labelled, "test", batch_size=20))[0]
    np.testing.assert_array_equal(weights, [1] * 7 + [0] * 13)
    np.testing.assert_array_equal(images[7:14], images[:7])
    np.testing.assert_array_equal(images[14:], images[:6])
    np.testing.assert_array_equal(labels[7:14], labels[:7])


def test_png_records(tmp_path):
    records = write(tmp_path / "records", TinySource(kind="png"))
    stored = list(reader.examples(records, "test"))
    assert {example.format for example in stored} == {"png"}
    for options in ({}, {"training": True, "crop_scale": (0.2, 1.0), "batch_size": 7}):
        images, *_ = take(load(records, "test", **options))[0]
        assert images.std() > 10


def test_examples_return_what_was_written(captioned):
    example = next(reader.examples(captioned, "test"))
    assert example.image == encoded(0)
    assert (example.format, example.height, example.width) == ("jpeg", 36, 40)
    assert (example.filename, example.label) == ("test/0.jpeg", None)
    assert example.captions == ("0 0", "0 1", "0 2")


# --- Training: order, crops, captions ---------------------------------------------------------


def test_every_epoch_sees_every_image_once_in_another_order(captioned):
    batches = take(load(captioned, tokenizer=Numbers(), training=True, epochs=3))
    assert len(batches) == 9
    epochs = [ids(batches[i : i + 3]) for i in (0, 3, 6)]
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(23))
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert [w.sum() for *_, w in batches] == [8, 8, 7] * 3


def test_shuffling_spreads_shards_over_the_epoch(captioned):
    order = ids(take(load(captioned, tokenizer=Numbers(), training=True)))
    assert np.abs(np.diff(order)).mean() > 4  # neighbours in a shard are 1 apart, random ones 8


def test_the_same_seed_gives_the_same_batches_and_another_does_not(labelled):
    options = {"training": True, "crop_scale": (0.3, 1.0), "epochs": 2}
    batches = take(load(labelled, seed=5, **options))
    keras.utils.set_random_seed(1)  # must not matter
    assert_equal(take(load(labelled, seed=5, **options)), batches)
    other = take(load(labelled, seed=6, **options))
    assert not np.array_equal(other[0][0], batches[0][0])


def test_each_iteration_of_a_training_dataset_is_the_next_epoch(captioned):
    options = {"tokenizer": Numbers(), "training": True, "crop_scale": (0.3, 1.0)}
    in_a_row = take(load(captioned, epochs=3, **options))
    dataset = load(captioned, **options)
    assert dataset.cardinality() == 3
    for epoch in range(3):
        assert_equal(take(dataset), in_a_row[3 * epoch : 3 * epoch + 3])
    again = load(captioned, **options).repeat(2)
    assert_equal(take(again), in_a_row[:6])


@pytest.mark.parametrize("start", [3, 4])
def test_iterations_resume_at_any_step(captioned, start):
    options = {"tokenizer": Numbers(), "training": True}
    in_a_row = take(load(captioned, epochs=4, **options))
    resumed = load(captioned, start_step=start, **options)
    for first in (start, start + 3):
        assert_equal(take(resumed), in_a_row[first : first + 3])


def cross_entropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class Remembers(keras.Model):
    """Remembers the labels of each batch that it was trained on."""

    def __init__(self):
        super().__init__()
        self.head = keras.layers.Dense(3)
        self.labels_of_batches = []

    def call(self, inputs):
        return self.head(keras.ops.mean(keras.ops.cast(inputs["image"], "float32"), axis=(1, 2)))

    def train_step(self, data):
        self.labels_of_batches.append(tuple(data[1].numpy()))
        return super().train_step(data)


@pytest.mark.parametrize("options", [{}, {"steps_per_epoch": 3}, {"initial_epoch": 2}])
def test_fit_sees_a_new_order_in_every_epoch(labelled, options):
    model = Remembers()
    model.compile("sgd", cross_entropy(), run_eagerly=True)
    start = options.get("initial_epoch", 0)
    train = load(labelled, training=True, start_step=3 * start)
    model.fit(train, epochs=start + 3, shuffle=False, verbose=0, **options)
    expected = take(load(labelled, training=True, epochs=start + 3))[3 * start :]
    assert model.labels_of_batches == [tuple(labels) for *_, labels, _ in expected]
    assert len(set(model.labels_of_batches)) > 6


def test_fit_under_a_strategy_sees_new_orders_too(labelled):
    seen = []

    def remember(labels):
        seen.append(tuple(labels))
        return labels

    train = load(labelled, training=True).map(
        lambda x, y, w: (x, tf.numpy_function(remember, [y], y.dtype), w)
    )
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    distributed = strategy.experimental_distribute_dataset(train)
    for _ in range(3):
        assert len(list(distributed)) == 3
    assert seen == [tuple(y) for *_, y, _ in take(load(labelled, training=True, epochs=3))]


@pytest.mark.parametrize(
    "options", [{}, {"training": True}, {"training": True, "epochs": 2}], ids=str
)
def test_no_dataset_has_autotuning_whose_end_may_wait_for_a_minute(labelled, options):
    found = tfrecords.load(labelled, "train", batch_size=4, image_size=8, **options).options()
    assert found.autotune.enabled is False and found.threading.private_threadpool_size


def test_epochs_in_a_row_do_not_multiply_with_those_of_fit(labelled):
    model = Remembers()
    model.compile("sgd", cross_entropy(), run_eagerly=True)
    with pytest.raises(tf.errors.InvalidArgumentError, match="leave epochs= out"):
        model.fit(load(labelled, training=True, epochs=2), epochs=2, shuffle=False, verbose=0)
    assert len(model.labels_of_batches) == 6
    once = load(labelled, training=True, epochs=2)
    next(iter(once))  # a look at a batch does not use it up
    model.fit(once, epochs=2, steps_per_epoch=3, shuffle=False, verbose=0)


def test_a_dataset_of_labels_says_of_how_many_classes(labelled, captioned):
    classes = len(tfrecords.Manifest.read(labelled).class_names)
    for options in ({}, {"training": True}, {"training": True, "epochs": 2}):
        assert load(labelled, **options).label_count == classes
    assert load(labelled, classes=[1]).label_count == 1
    for other in (load(labelled, ids=[0]), load(captioned, tokenizer=Numbers())):
        assert not hasattr(other, "label_count")


def test_a_look_does_not_use_up_even_the_shortest_dataset(labelled):
    once = load(labelled, training=True, epochs=1)
    with tfrecords.looking():
        looked_at = take(once)  # a pipeline that reads ahead comes to the end as well
    assert_equal(take(once), looked_at)
    with pytest.raises(tf.errors.InvalidArgumentError, match="leave epochs= out"):
        take(once)
    with tfrecords.looking(), pytest.raises(tf.errors.InvalidArgumentError):
        take(once)


def test_options_that_belong_together_are_given_together_or_by_themselves(captioned):
    texts = Texts(tokenizer=Numbers(), captions_per_image=2)
    augmentation = Augmentation(crop_scale=(0.3, 0.5))
    together = load(
        captioned,
        image_size=16,
        training=True,
        subset=Subset(ids=range(9)),
        texts=texts,
        augmentation=augmentation,
    )
    apart = {"tokenizer": Numbers(), "captions_per_image": 2, "crop_scale": [0.3, 0.5]}
    assert_equal(take(together), take(load(captioned, training=True, ids=range(9), **apart)))
    size = reader.load(captioned, "test", texts=texts, preprocessing=Preprocessing(24))
    assert size.element_spec[0]["image"].shape == (64, 24, 24, 3)


def test_options_that_do_not_go_together_are_refused(labelled):
    with pytest.raises(TypeError, match=r"no argument 'imagesize'; did you mean image_size\?"):
        load(labelled, imagesize=32)
    with pytest.raises(ValueError, match="image_size: expected it inside preprocessing="):
        load(labelled, preprocessing=Preprocessing(16))


@pytest.mark.parametrize("start", [1, 3, 4, 6])
def test_a_resumed_run_goes_on_with_the_next_batch(captioned, start):
    options = {"tokenizer": Numbers(), "training": True, "crop_scale": (0.3, 1.0), "epochs": 2}
    batches = take(load(captioned, **options))
    resumed = load(captioned, start_step=start, **options)
    assert resumed.cardinality() == 6 - start
    assert_equal(take(resumed), batches[start:])


def test_an_evaluation_can_be_resumed_too(labelled):
    assert_equal(take(load(labelled, start_step=2)), take(load(labelled))[2:])


def test_crops_differ_from_epoch_to_epoch_and_stay_centred_without_a_scale(captioned):
    def by_image(**options):
        batches = take(load(captioned, tokenizer=Numbers(), training=True, epochs=2, **options))
        epochs = []
        for part in (batches[:3], batches[3:]):
            images, numbers = (np.concatenate([b[i] for b in part]) for i in (0, 2))
            epochs.append(images[np.unique(numbers, return_index=True)[1]])
        return epochs

    first, second = by_image(crop_scale=(0.2, 0.5))
    assert all((a != b).any() for a, b in zip(first, second, strict=True))
    first, second = by_image(crop_scale=None)
    np.testing.assert_array_equal(first, second)
    evaluated = np.concatenate([b[0] for b in take(load(captioned, tokenizer=Numbers()))])
    np.testing.assert_array_equal(first, evaluated[:23])


def test_a_flip_mirrors_half_of_the_images_each_by_itself(labelled):
    options = {"training": True, "shuffle": False, "crop_scale": None, "epochs": 1}
    plain = np.concatenate([batch[0] for batch in take(load(labelled))])
    images = np.concatenate([batch[0] for batch in take(load(labelled, flip=True, **options))])
    is_flipped = (images == plain[:, :, ::-1]).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(images[~is_flipped], plain[~is_flipped])
    assert 0.2 < is_flipped.mean() < 0.8
    some = take(load(labelled, flip=True, batch_size=3, ids=(1, 4, 9), **options))
    np.testing.assert_array_equal(some[0][0], images[[1, 4, 9]])


def test_without_shuffling_training_reads_in_stored_order(captioned):
    options = {"tokenizer": Numbers(), "training": True, "crop_scale": (0.3, 0.5)}
    np.testing.assert_array_equal(
        ids(take(load(captioned, shuffle=False, **options))), np.arange(23)
    )


def test_captions_go_with_their_image_and_rotate(captioned):
    seen = set()
    for _, tokens, numbers, _ in take(
        load(captioned, tokenizer=Numbers(), training=True, epochs=8)
    ):
        assert tokens.shape == (8, 4)
        np.testing.assert_array_equal(tokens[:, 0], numbers + 1)
        seen |= set(map(tuple, tokens[:, :2]))
    assert len(seen) > 60  # of 23 * 3


def test_class_names_stand_in_for_captions(labelled):
    """The label is then y: images of one class are not negatives of each other."""

    class Words:
        context_length = 8

        def __call__(self, texts, length):
            self.seen |= set(texts)
            return np.zeros((len(texts), length), np.int32)

    words = Words()
    words.seen = set()
    with_prompts = take(load(labelled, tokenizer=words))
    labels = [y for *_, y, _ in take(load(labelled))]
    np.testing.assert_array_equal([y for *_, y, _ in with_prompts], labels)
    manifest = Manifest.read(labelled)
    assert words.seen <= {prompt for prompts in manifest.class_prompts for prompt in prompts}
    assert len(words.seen) >= len(manifest.class_names)


def test_several_captions_per_image_are_different_ones_in_different_places(captioned):
    options = {"tokenizer": Numbers(), "captions_per_image": 3, "training": True}
    batches = take(load(captioned, **options))
    assert (
        len(batches)
        == 9
        == reader.steps_per_epoch(captioned, "train", batch_size=8, captions_per_image=3)
    )
    pairs = [tuple(row[:2]) for _, tokens, _, w in batches for row in tokens[w > 0]]
    assert len(pairs) == len(set(pairs)) == 69
    numbers = ids(batches).reshape(3, 23)
    for i in range(3):
        np.testing.assert_array_equal(np.sort(numbers[i]), np.arange(23))
    assert (numbers[0] != numbers[1]).any() and (numbers[1] != numbers[2]).any()


def test_evaluation_reads_the_first_caption_first(captioned):
    batches = take(load(captioned, tokenizer=Numbers(), captions_per_image=2))
    captions = np.concatenate([tokens[w > 0, 1] for _, tokens, _, w in batches])
    np.testing.assert_array_equal(captions, [1] * 23 + [2] * 23)


@pytest.mark.parametrize("training", [False, True])
def test_workers_share_every_global_batch(captioned, training):
    options = {"tokenizer": Numbers(), "training": training}
    parts = [take(load(captioned, worker=(i, 4), **options)) for i in range(4)]
    assert parts[0][0][0].shape == (2, 16, 16, 3)
    joined = [
        tuple(np.concatenate(fields) for fields in zip(*batch, strict=True))
        for batch in zip(*parts, strict=True)
    ]
    assert_equal(joined, take(load(captioned, **options)))


# --- Augmentation -----------------------------------------------------------------------------


def flips():
    return keras.Sequential(
        [keras.layers.RandomFlip("horizontal", seed=3), keras.layers.RandomBrightness(0.3, seed=4)]
    )


def keras_cv_layer(name, **options):
    keras_cv = pytest.importorskip("keras_cv", reason="the extra keras-cv is not installed")
    return getattr(keras_cv.layers, name)(seed=3, **options)


AUGMENTATIONS = {
    "keras": lambda: keras.layers.RandAugment(value_range=(0, 255), seed=3),
    "keras model": flips,
    "keras_cv": lambda: keras_cv_layer("RandomFlip"),
    "function": lambda: lambda images: 255.0 - images,
}


@pytest.mark.parametrize("make", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_augmentations_plug_in_and_resume(labelled, make):
    options = {"training": True, "crop_scale": None, "seed": 2}
    plain = take(load(labelled, **options))
    layer = make()
    batches = take(load(labelled, augment=layer, **options))
    assert batches[0][0].dtype == np.uint8
    assert (batches[0][0] != plain[0][0]).any()
    np.testing.assert_array_equal(batches[0][2], plain[0][2])
    # The layer has been used by now; that must not show.
    assert_equal(
        take(load(labelled, augment=layer, start_step=1, epochs=1, **options)), batches[1:]
    )


def test_augmentation_by_keras_cv(labelled):
    """RandAugment there also draws with TensorFlow's stateful operations: no resuming."""
    layer = keras_cv_layer("RandAugment", value_range=(0, 255))
    options = {"training": True, "crop_scale": None, "batch_size": 4}
    batches = take(load(labelled, augment=layer, **options))
    plain = take(load(labelled, **options))
    changed = [(a[0] != b[0]).any() for a, b in zip(batches, plain, strict=True)]
    assert all(changed) and batches[0][0].shape == (4, 16, 16, 3)


def test_augmentation_must_return_images_of_the_same_shape(labelled):
    with pytest.raises(ValueError, match=r"expected images of shape \(8, 16, 16, 3\)"):
        load(labelled, training=True, augment=lambda images: images[:, :8])


def test_augmentation_that_returns_fractions_is_no_black_image(labelled):
    dark = load(labelled, training=True, augment=lambda images: images / 255)
    with pytest.raises(tf.errors.InvalidArgumentError, match="augment: expected images in 0-255 b"):
        next(iter(dark))
    black = load(labelled, training=True, augment=lambda images: 0 * images)
    assert next(iter(black))[0]["image"].numpy().max() == 0


# --- Damage -----------------------------------------------------------------------------------


@pytest.fixture
def copy(labelled, tmp_path):
    return shutil.copytree(labelled, tmp_path / "copy")


SHARD = "train-00001-of-00005.tfrecord"


def record_start(path, index):
    """Where a record begins: each is eight bytes of length, two checksums of four, the data."""
    data, position = path.read_bytes(), 0
    for _ in range(index):
        position += 16 + int.from_bytes(data[position : position + 8], "little")
    return position


def flip(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 0x10
    path.write_bytes(data)


@pytest.mark.parametrize("offset", [3, 9, 40])  # in the length, its checksum, the data
def test_a_flipped_bit_is_found_before_reading(copy, offset):
    flip(copy / SHARD, record_start(copy / SHARD, 2) + offset)
    with pytest.raises(ValueError, match=rf"{SHARD} .*record 2\b"):
        load(copy)
    assert "record 2" in verification.find_damage(copy)


@pytest.mark.parametrize("verify", ["sha256", "size"])
def test_a_truncated_shard_is_found_before_reading(copy, verify):
    data = (copy / SHARD).read_bytes()
    (copy / SHARD).write_bytes(data[: record_start(copy / SHARD, 4) + 50])
    with pytest.raises(ValueError, match=rf"{SHARD} .*record 4\b"):
        load(copy, verify=verify)


def test_a_shard_cut_between_records_is_found(copy):
    data = (copy / SHARD).read_bytes()
    (copy / SHARD).write_bytes(data[: record_start(copy / SHARD, 3)])
    with pytest.raises(ValueError, match=rf"{SHARD} .*record 3\b"):
        load(copy, verify="size")


def test_a_shard_of_other_images_is_found(copy):
    shutil.copy(copy / "train-00002-of-00005.tfrecord", copy / SHARD)
    with pytest.raises(ValueError, match=rf"{SHARD} is damaged: its 5 records are whole"):
        load(copy)


@pytest.mark.parametrize("verify", ["sha256", "size", None])
def test_a_missing_shard_is_named(copy, verify):
    (copy / SHARD).unlink()
    with pytest.raises(FileNotFoundError, match=rf"{SHARD} is missing, with 5 records"):
        load(copy, verify=verify)


def test_damage_in_another_split_is_nobodys_business(copy):
    flip(copy / SHARD, 20)
    assert len(take(load(copy, "test"))) == 1


@pytest.mark.parametrize("training", [False, True])
def test_damage_met_while_reading_is_named_too(copy, training):
    dataset = load(copy, training=training)
    flip(copy / SHARD, record_start(copy / SHARD, 1) + 40)
    with (
        pytest.raises(ValueError, match=rf"{SHARD} .*record 1\b"),
        verification.naming_damage(copy),
    ):
        take(dataset)


def test_whole_records_have_no_damage(labelled):
    assert verification.find_damage(labelled) is None


# --- Wrong arguments --------------------------------------------------------------------------

WRONG = {
    "no such split": ({"split": "tets"}, "no split 'tets'; it has: train, test"),
    "batch too large": (
        {"batch_size": 24, "training": True},
        "at most the 23 images of split 'train'; got 24",
    ),
    "uneven workers": ({"worker": (0, 3)}, "a multiple of 3 workers; got 8"),
    "no such worker": ({"worker": (2, 2)}, "0 <= index < count"),
    "captions without tokenizer": ({"captions_per_image": 2}, "more with a tokenizer; got 2"),
    "splits": ({"split": ["train", "test"]}, r"no split \['train', 'test'\]; it has: train, test"),
    "augmentation by name": ({"augment": "flip"}, "augment: expected a layer or a .*; got 'flip'"),
    "mix by name": ({"mix": "mixup"}, "mix: expected a layer or a function of .*; got 'mixup'"),
    "augmented evaluation": ({"augment": abs}, "expected training=True"),
    "epochs of evaluation": ({"epochs": 2}, "epochs: expected 1"),
    "start past the end": ({"start_step": 4}, "expected 0 to 3"),
    "crop scale": ({"training": True, "crop_scale": (0.9, 1.1)}, "shares from 0 to 1"),
    "no batch": ({"batch_size": 0}, "batch_size: expected a whole number of at least 1; got 0"),
    "batch as text": ({"batch_size": "8"}, "batch_size: expected a whole number .* got '8'"),
    "no seed": ({"seed": None}, "seed: expected a whole number; got None"),
    "worker without count": ({"worker": 2}, r"worker: expected \(index, count\) with .*; got 2"),
    "half a worker": ({"worker": (0.5, 2)}, r"worker: expected .*; got \(0.5, 2\)"),
    "half an epoch": (
        {"epochs": 1.5, "training": True},
        "epochs: expected a whole number; got 1.5",
    ),
    "half a step": ({"start_step": 1.5}, "start_step: expected a whole number; got 1.5"),
    "no tokens": ({"text_length": 0}, "text_length: expected a whole number of at least 1; got 0"),
    "one share": ({"training": True, "crop_scale": 0.5}, r"shares from 0 to 1; got 0\.5"),
    "captions as text": (
        {"captions_per_image": "2"},
        "captions_per_image: expected a whole number; got '2'",
    ),
    "tokenizer by name": ({"tokenizer": "bert"}, "tokenizer: expected a callable .* got 'bert'"),
    "tokenizer without length": ({"tokenizer": len}, "with an attribute context_length, such as"),
    "verify": ({"verify": "md5"}, "one of 'sha256', 'size', None; got 'md5'"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_wrong_arguments_are_explained(labelled, options, message):
    with pytest.raises(ValueError, match=message) as error:
        load(labelled, **options)
    assert "\n" not in str(error.value)


def test_labels_asked_where_there_are_none(captioned):
    with pytest.raises(ValueError, match="'train' has no labels, only captions"):
        load(captioned)


def test_no_records(tmp_path):
    with pytest.raises(FileNotFoundError, match="python -m pipelines prepare"):
        load(tmp_path)


def test_a_batch_as_large_as_the_split_is_fine(labelled):
    (batch,) = take(load(labelled, "test", batch_size=7, training=True))
    np.testing.assert_array_equal(np.bincount(batch[2]), [3, 2, 2])
    assert Manifest.read(labelled).splits["test"].count == 7


def test_fit_takes_the_batches(labelled):
    model = keras.Sequential(
        [keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    dataset = load(labelled, training=True).map(lambda x, *rest: (x["image"], *rest))
    history = model.fit(dataset, validation_data=dataset, shuffle=False, verbose=0)
    assert np.isfinite(history.history["loss"][0])


def test_a_split_without_labels_and_captions_is_refused(copy):
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["splits"]["train"] |= {"labels": False, "captions": False, "class_counts": []}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match="'train' has neither labels nor captions"):
        load(copy)
