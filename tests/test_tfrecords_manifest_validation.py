"""A manifest that cannot be true is refused in words, whatever is wrong with it."""

import json
import os
from operator import itemgetter

import pytest
from mutations import mutants

from tfrecords.manifest import Manifest

COUNT = int(os.environ.get("DUET_MUTATIONS", "400"))


def document():
    """Of two shards, five images and two classes."""
    shards = [
        {"name": f"train-0000{i}-of-00002.tfrecord", "records": 2 + i, "bytes": 9, "sha256": "ab"}
        for i in range(2)
    ]
    train = {"count": 5, "labels": True, "captions": False, "class_counts": [2, 3]}
    return {
        "schema": 1,
        "dataset": "pets",
        "source": {"kind": "folder"},
        "class_names": ["cat", "dog"],
        "templates": ["a {}"],
        "metric": "top1",
        "lossless": False,
        "splits": {"train": {**train, "shards": shards, "rejected": 0}},
        "options": {},
        "versions": {},
    }


def read(tmp_path, data):
    text = data if isinstance(data, bytes) else json.dumps(data).encode()
    (tmp_path / "manifest.json").write_bytes(text)
    return Manifest.read(tmp_path)


def test_one_that_adds_up_is_read(tmp_path):
    assert read(tmp_path, document()).split("train").count == 5


def split(document):
    return document["splits"]["train"]


shards = itemgetter("shards")
CASES = {
    "a shard taken out": (lambda d: shards(split(d)).pop(), "1 shards are listed, and train-00000"),
    "two shards swapped": (lambda d: shards(split(d)).reverse(), "00001-of-00002.* is number 0"),
    "a shard twice": (
        lambda d: shards(split(d)).append(shards(split(d))[0]),
        "3 shards are listed",
    ),
    "no shards": (lambda d: shards(split(d)).clear(), "splits.train.shards: expected a shard at"),
    "another folder": (
        lambda d: shards(split(d))[0].update(name="../train-00000-of-00002.tfrecord"),
        "is no name of one of its shards",
    ),
    "another name": (lambda d: shards(split(d))[0].update(name="x"), "'x' is no name of one of"),
    "more records": (lambda d: split(d).update(count=6), "shards have 5 records, not 6"),
    "fewer labels": (lambda d: split(d).update(class_counts=[2, 2]), "come to 4, not 5"),
    "a class too many": (lambda d: split(d).update(class_counts=[2, 2, 1]), "3 classes, of 2 name"),
    "a text for a number": (
        lambda d: split(d).update(count="5"),
        "splits.train.count: expected a whole number from 0; got '5'",
    ),
    "true for a number": (
        lambda d: split(d).update(count=True),
        "count: expected a whole number from 0; got True",
    ),
    "null for a list": (
        lambda d: d.update(class_names=None),
        "class_names: expected a list; got None",
    ),
    "no splits": (lambda d: d.update(splits={}), "splits: expected a split at least; got {}"),
    "a key missing": (lambda d: d.pop("metric"), "metric is missing"),
    "a key too many": (lambda d: split(d).update(x=1), "splits.train: 'x' is not known here"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_does_not_add_up_is_named(tmp_path, name):
    change, message = CASES[name]
    data = document()
    change(data)
    with pytest.raises(ValueError, match=f"manifest.json is damaged: .*{message}"):
        read(tmp_path, data)


def test_no_mutation_ends_in_anything_but_one_line(tmp_path):
    refused = 0
    for data in mutants([json.dumps(document(), indent=1).encode()], COUNT, seed=3):
        try:
            read(tmp_path, data)
        except ValueError as error:
            refused += 1
            assert len(str(error)) < 600 and "manifest.json" in str(error)
    assert refused > COUNT / 2
