"""Several labels per image on their way from records to batches: y has a column per class."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tiny_sources import Numbers

import tfrecords
from tfrecords import sources

# Image i is grey 20 * i + 10; the classes are red, green and blue. Image 3 shows none.
CLASSES = [(0,), (0, 1), (0, 1, 2), (), (1, 2), (2,), (0, 2)]
Y = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 1], [0, 0, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1]])


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    rows = ["file,split,red,green,blue"]
    for i, row in enumerate(Y):
        Image.new("L", (8, 8), 20 * i + 10).save(folder / f"{i}.png")
        rows.append(f"{i},train," + ",".join(map(str, row)))
    (folder / "labels.csv").write_text("\n".join(rows))
    source = sources.labels(folder / "labels.csv", seed=0)
    tfrecords.write(source, folder / "records", shard_size=3, workers=1, progress=False)
    return folder / "records"


def number(example):
    return int(example.filename.removesuffix(".png"))


def seen(dataset):
    """Number of the image -> its y, of all rows that count."""
    found = {}
    for x, y, weight in dataset:
        for image, row, counts in zip(x["image"].numpy(), y.numpy(), weight.numpy(), strict=True):
            if counts:
                found[int(image[0, 0, 0]) // 20] = row.tolist()
    return found


def load(records, **options):
    return tfrecords.load(records, "train", image_size=8, **{"batch_size": 3, **options})


def test_examples_hold_class_numbers(records):
    found = {number(e): (e.label, e.class_name) for e in tfrecords.examples(records, "train")}
    assert [found[i][0] for i in range(7)] == CLASSES
    assert found[2][1] == "red|green|blue" and found[3][1] == ""


@pytest.mark.parametrize("training", [False, True])
def test_y_is_one_for_each_class_of_a_image(records, training):
    dataset = load(records, training=training)
    assert dataset.element_spec[1] == tf.TensorSpec((3, 3), tf.float32)
    assert seen(dataset) == dict(enumerate(Y.astype(float).tolist()))


def test_labels_of_every_image_in_stored_order(records):
    ids, labels = tfrecords.labels(records, "train")
    stored = list(tfrecords.examples(records, "train"))
    assert ids.tolist() == [example.id for example in stored]
    assert labels.dtype == np.float32
    assert labels.tolist() == Y[[number(example) for example in stored]].tolist()


def test_classes_are_columns_and_leave_no_image_out(records):
    assert seen(load(records, classes=[2, 0])) == dict(enumerate(Y[:, [2, 0]].tolist()))
    ids, _ = tfrecords.labels(records, "train")
    two = seen(load(records, ids=ids[:2], classes=[1]))
    stored = [number(example) for example in tfrecords.examples(records, "train")]
    assert two == {i: [Y[i, 1]] for i in stored[:2]}
    with pytest.raises(ValueError, match="classes: expected labels 0 to 2; got 3"):
        load(records, classes=[3])


def test_class_names_do_not_stand_in_for_captions(records):
    with pytest.raises(ValueError, match="split 'train' has several labels per image"):
        load(records, tokenizer=Numbers())


def test_a_keras_model_learns_several_labels_from_the_batches(records):
    """Each image is of one grey: a table from grey to labels is learnt without mistake."""
    import keras

    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3), name="image")
    grey = keras.layers.Lambda(lambda x: keras.ops.cast(x[:, 0, 0, 0], "int32") // 20)(image)
    logits = keras.layers.Embedding(7, 3)(grey)
    model = keras.Model({"image": image}, logits)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.3), loss)
    train = load(records, training=True, epochs=30, crop_scale=None)
    model.fit(train, epochs=30, steps_per_epoch=3, shuffle=False, verbose=0)
    assert model.evaluate(load(records), verbose=0) < 0.05


def test_a_manifest_that_is_not_of_its_records_schema_is_named(records, tmp_path):
    data = json.loads((records / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(data | {"schema": 1}))
    with pytest.raises(ValueError, match="damaged: schema version 1 with multi_label True"):
        load(tmp_path)
