"""Reading some of the images of a split: by id, by class, under new labels."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_sources import Numbers, TinySource, write

import tfrecords

LABELS = np.arange(23) % 3


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """23 images, label i % 3, with captions; some shards, ids shuffled as the writer does it."""
    return write(tmp_path_factory.mktemp("selection") / "records", TinySource(captions=2))


def load(records, **options):
    return tfrecords.load(records, "train", image_size=8, verify=None, **options)


def seen(dataset):
    """(y, image) of all rows that count, sorted."""
    rows = []
    for x, y, weight in dataset:
        real = weight.numpy() > 0
        sums = x["image"].numpy().astype(int).sum(axis=(1, 2, 3))
        rows += list(zip(y.numpy()[real].tolist(), sums[real].tolist(), strict=True))
    return sorted(rows)


def test_labels_of_every_image_in_stored_order(records):
    ids, labels = tfrecords.labels(records, "train")
    assert sorted(ids.tolist()) == list(range(23))
    np.testing.assert_array_equal(labels, LABELS[ids])
    stored = [(example.id, example.label) for example in tfrecords.examples(records, "train")]
    assert stored == list(zip(ids.tolist(), labels.tolist(), strict=True))
    assert (ids.dtype, labels.dtype) == (np.int64, np.int32)


def test_labels_are_read_without_autotuning(records, monkeypatch):
    read, real = [], tf.data.Dataset.as_numpy_iterator
    monkeypatch.setattr(
        tf.data.Dataset, "as_numpy_iterator", lambda self: read.append(self) or real(self)
    )
    tfrecords.labels(records, "train")
    assert [dataset.options().autotune.enabled for dataset in read] == [False]


def test_labels_of_a_split_without_labels(tmp_path):
    write(tmp_path / "records", TinySource(labels=False, captions=1))
    with pytest.raises(ValueError, match="split 'train' has no labels"):
        tfrecords.labels(tmp_path / "records", "train")
    ids = tfrecords.image_ids(tmp_path / "records", "train")
    stored = [example.id for example in tfrecords.examples(tmp_path / "records", "train")]
    assert ids.dtype == np.int64 and ids.tolist() == stored


@pytest.mark.parametrize("training", [False, True])
def test_ids_say_which_images_are_read(records, training):
    everything = {}
    for x, y, _ in load(records, batch_size=1):
        everything[int(x["image"].numpy().astype(int).sum())] = int(y[0])
    wanted = [2, 3, 5, 7, 11, 13, 17]
    options = {"training": True, "crop_scale": None, "seed": 4} if training else {}
    rows = seen(load(records, batch_size=3, ids=wanted, **options))
    assert [y for y, _ in rows] == sorted(LABELS[wanted])
    assert all(everything[image] == y for y, image in rows)
    assert len({image for _, image in rows}) == len(wanted)


def test_an_epoch_of_some_images_has_their_number_of_steps(records):
    dataset = load(records, batch_size=3, ids=[1, 4, 9, 16], training=True, epochs=5)
    assert int(dataset.cardinality()) == 10 == len(list(dataset))


def test_a_run_over_some_images_goes_on_where_it_stopped(records):
    options = {"batch_size": 3, "ids": [1, 2, 4, 9, 16], "training": True, "epochs": 3, "seed": 1}
    whole = list(load(records, **options))
    rest = list(load(records, start_step=3, **options))
    for (x, y, weight), (x_again, y_again, weight_again) in zip(whole[3:], rest, strict=True):
        np.testing.assert_array_equal(x["image"], x_again["image"])
        np.testing.assert_array_equal(y, y_again)
        np.testing.assert_array_equal(weight, weight_again)


def test_classes_say_which_images_are_read_and_their_new_labels(records):
    rows = seen(load(records, batch_size=4, classes=[2, 0]))
    assert [y for y, _ in rows] == [0] * 7 + [1] * 8  # label 2 is now 0, label 0 is now 1


def test_ids_and_classes_together(records):
    rows = seen(load(records, batch_size=4, ids=[0, 2, 3, 5], classes=[2, 0]))
    assert [y for y, _ in rows] == [0, 0, 1, 1]
    with pytest.raises(tf.errors.InvalidArgumentError, match="none of the classes"):
        seen(load(records, batch_size=4, ids=[0, 1], classes=[2, 0]))


def test_class_prompts_take_the_place_of_captions(records):
    prompts = [["100"], ["200"], ["300", "301"]]
    options = {"tokenizer": Numbers(), "class_prompts": prompts, "training": True}
    for x, y, _ in load(records, batch_size=4, classes=[2, 1], **options):
        first = x["token_ids"].numpy()[:, 0] - 1
        assert all(
            word in ((300, 301), (200,))[label] for word, label in zip(first, y, strict=True)
        )


@pytest.mark.parametrize("prompts", [[["a"], ["b"]], [["a"], ["b"], []], ["a", "b", "c"]])
def test_class_prompts_are_those_of_all_classes(records, prompts):
    """Those of two classes in the order of y had been read as those of the first two labels."""
    options = {"tokenizer": Numbers(), "class_prompts": prompts, "batch_size": 4}
    with pytest.raises(ValueError, match="a list of texts for each of the 3 classes of the rec"):
        load(records, classes=[2, 1], **options)


def test_class_prompts_need_labels(tmp_path):
    records = write(tmp_path / "records", TinySource(labels=False, captions=1))
    with pytest.raises(ValueError, match="class_prompts: expected labels, of which they are texts"):
        load(records, tokenizer=Numbers(), class_prompts=[["a"]] * 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ids": []}, "ids: expected one or more numbers, each once"),
        ({"ids": [1, 1]}, "ids: expected one or more numbers, each once"),
        ({"ids": [10**9]}, "ids: expected those of the split, 0 to [0-9]+; got 1000000000"),
        ({"ids": [-1]}, "ids: expected those of the split, 0 to [0-9]+; got -1"),
        ({"ids": "12"}, "ids: expected whole numbers; got '12' among them"),
        ({"ids": [1.5, 2]}, "ids: expected whole numbers; got 1.5 among them"),
        ({"ids": [True, False]}, "ids: expected whole numbers; got True among them"),
        ({"classes": ["cat"]}, "classes: expected whole numbers; got 'cat' among them"),
        ({"ids": [None]}, "ids: expected whole numbers; got None among them"),
        ({"ids": [float("nan")]}, "ids: expected whole numbers; got nan among them"),
        ({"classes": [0, 0]}, "classes: expected one or more numbers, each once"),
        ({"classes": [3]}, "classes: expected labels 0 to 2; got 3"),
        ({"ids": [1, 2], "training": True, "batch_size": 3}, "at most the 2 images"),
    ],
)
def test_selections_that_cannot_be(records, options, message):
    with pytest.raises(ValueError, match=message):
        load(records, **{"batch_size": 2, **options})


def test_classes_of_which_a_split_has_no_image_are_refused(tmp_path):
    class Few(TinySource):
        splits = {"train": 23, "test": 2}  # noqa: RUF012

    few = write(tmp_path / "records", Few())
    for training in (False, True):
        with pytest.raises(ValueError, match=r"classes: the split has no image of \[2\]"):
            tfrecords.load(few, "test", classes=[2], training=training)


def test_images_and_labels_are_mixed_together(records):
    """With MixUp a batch's labels say how much of each class is in an image."""
    options = {"batch_size": 4, "training": True, "crop_scale": None, "seed": 2}
    plain = load(records, classes=[2, 0], **options)
    mix = keras.layers.MixUp(alpha=1.0)
    for (x, y, _), (whole, label, _) in zip(
        load(records, classes=[2, 0], mix=mix, **options), plain, strict=True
    ):
        assert y.shape == (4, 2) and y.dtype == tf.float32
        np.testing.assert_allclose(y.numpy().sum(axis=1), 1, atol=1e-6)
        one_hot = np.eye(2)[label.numpy()]
        share = (y.numpy() * one_hot).sum(axis=1)
        unmixed = np.isclose(share, 1)  # mixed with one of its own class, or hardly at all
        pixels = np.abs(x["image"].numpy().astype(int) - whole["image"]).mean(axis=(1, 2, 3))
        assert (pixels[~unmixed] > 0).all()


def test_mixing_goes_on_where_it_stopped(records):
    options = {"batch_size": 4, "training": True, "epochs": 2, "seed": 2}
    whole = list(load(records, mix=keras.layers.CutMix(), **options))
    rest = list(load(records, mix=keras.layers.CutMix(), start_step=7, **options))
    for (x, y, _), (x_again, y_again, _) in zip(whole[7:], rest, strict=True):
        np.testing.assert_array_equal(x["image"], x_again["image"])
        np.testing.assert_array_equal(y, y_again)
