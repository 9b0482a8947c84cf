"""The record reads back with TensorFlow's own parser, key by key."""

import dataclasses
import hashlib
import subprocess
import sys

import pytest
import tensorflow as tf

from tfrecords import framing, schema

EXAMPLE = schema.Example(
    image=b"\xff\xd8picture",
    format="jpeg",
    height=3,
    width=4,
    id=7,
    filename="train/kæ/1.jpg",
    label=2,
    captions=("a cat", "ein Käfer"),
    class_name="cat",
)
BARE = schema.Example(
    image=b"p", format="png", height=1, width=2, id=0, filename="0.png", label=None
)

SEVERAL = dataclasses.replace(EXAMPLE, label=(2, 5), class_name="cat|sofa")
NONE_OF_THEM = dataclasses.replace(EXAMPLE, label=(), class_name="")


def test_serialize_is_the_example_tensorflow_would_write():
    features = tf.train.Example.FromString(schema.serialize(EXAMPLE)).features.feature
    assert sorted(features) == [
        "image/caption",
        "image/class/label",
        "image/class/text",
        "image/encoded",
        "image/filename",
        "image/format",
        "image/height",
        "image/id",
        "image/width",
    ]
    assert features["image/encoded"].bytes_list.value[:] == [b"\xff\xd8picture"]
    assert features["image/height"].int64_list.value[:] == [3]
    assert features["image/caption"].bytes_list.value[:] == [b"a cat", "ein Käfer".encode()]


def test_serialize_gives_the_same_bytes_every_time():
    assert schema.serialize(EXAMPLE) == schema.serialize(EXAMPLE)


def test_records_of_one_label_keep_the_bytes_of_schema_1():
    digest = hashlib.sha256(schema.serialize(EXAMPLE) + schema.serialize(BARE)).hexdigest()
    assert digest == "e1b21ad39383db67fee9bf2c5e2d66a5487b5cbe689ae2a448b4b09554957763"


def test_several_labels_are_a_list_of_their_own():
    for example, labels in [(SEVERAL, [2, 5]), (NONE_OF_THEM, [])]:
        features = tf.train.Example.FromString(schema.serialize(example)).features.feature
        assert features["image/class/labels"].int64_list.value[:] == labels
        assert features["image/class/labels"].WhichOneof("kind") == "int64_list"
        assert "image/class/label" not in features
        assert features["image/class/text"].bytes_list.value[:] == [example.class_name.encode()]


def test_parse_gives_several_labels_as_a_vector():
    records = [schema.serialize(e) for e in (SEVERAL, NONE_OF_THEM, EXAMPLE)]
    parsed = [schema.parse(tf.constant(record)) for record in records]
    assert [p["image/class/labels"].numpy().tolist() for p in parsed] == [[2, 5], [], []]
    assert [int(p["image/class/label"]) for p in parsed] == [-1, -1, 2]
    together = tf.io.parse_example(records, schema.features())["image/class/labels"]
    assert together.to_list() == [[2, 5], [], []]


@pytest.mark.parametrize("example", [EXAMPLE, BARE, SEVERAL, NONE_OF_THEM])
def test_deserialize_gives_back_what_was_stored(example):
    assert schema.deserialize(schema.serialize(example)) == example


def test_deserialize_names_a_missing_key():
    with pytest.raises(ValueError, match="no 'image/encoded'"):
        schema.deserialize(b"")


def test_parse_gives_back_what_was_stored():
    parsed = schema.parse(tf.constant(schema.serialize(EXAMPLE)))
    assert parsed["image/encoded"].numpy() == b"\xff\xd8picture"
    assert parsed["image/format"].numpy() == b"jpeg"
    assert [int(parsed[f"image/{key}"]) for key in ("height", "width", "id")] == [3, 4, 7]
    assert int(parsed["image/class/label"]) == 2
    assert parsed["image/class/text"].numpy() == b"cat"
    assert parsed["image/filename"].numpy().decode() == "train/kæ/1.jpg"
    assert [text.decode() for text in parsed["image/caption"].numpy()] == ["a cat", "ein Käfer"]


def test_parse_works_in_a_graph_and_without_label_and_captions():
    records = tf.data.Dataset.from_tensors(schema.serialize(BARE)).map(schema.parse)
    parsed = next(iter(records))
    assert int(parsed["image/class/label"]) == -1
    assert parsed["image/caption"].shape == (0,)


def test_parse_features_reads_any_example_without_tensorflow():
    other = tf.train.Example()
    other.features.feature["x"].float_list.value.extend([0.5, 2.0])
    other.features.feature["empty"].SetInParent()
    assert schema.parse_features(other.SerializeToString()) == {"x": [0.5, 2.0]}
    assert schema.parse_features(schema.serialize(EXAMPLE))["image/id"] == [7]


def test_framing_is_tensorflows(tmp_path):
    records = [b"", b"one", bytes(range(256)) * 100]
    path = tmp_path / "ours.tfrecord"
    path.write_bytes(b"".join(map(framing.frame, records)))
    assert [r.numpy() for r in tf.data.TFRecordDataset(str(path))] == records
    theirs = tmp_path / "theirs.tfrecord"
    with tf.io.TFRecordWriter(str(theirs)) as writer:
        for record in records:
            writer.write(record)
    assert theirs.read_bytes() == path.read_bytes()
    assert list(framing.read_records(theirs, 1, 3)) == records[1:]


def test_writing_needs_no_tensorflow():
    code = "import sys, tfrecords.writer, tfrecords.sources.shapes.source\n"
    code += "assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
