"""The manifest round-trips, is written whole, and says what is wrong with a bad one."""

import dataclasses
import json

import pytest

import tfrecords
from tfrecords.manifest import Manifest, ShardInfo, SplitInfo

SHARD = ShardInfo(name="train-00000-of-00001.tfrecord", records=3, bytes=99, sha256="ab")
MANIFEST = Manifest(
    schema=1,
    dataset="pets",
    source={"kind": "folder"},
    class_names=("cat", "Käfer"),
    templates=("a photo of a {}.",),
    metric="top1",
    lossless=False,
    splits={
        "train": SplitInfo(
            count=3, labels=True, captions=False, class_counts=(1, 2), shards=(SHARD,), rejected=1
        )
    },
    options={"short_side": None},
    versions={"pillow": "12"},
)


def test_round_trip(tmp_path):
    MANIFEST.write(tmp_path)
    assert Manifest.read(tmp_path) == MANIFEST
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_multi_label_is_said_only_where_it_is_true(tmp_path):
    """Records of one label keep the manifest of schema 1, to the letter."""
    assert "multi_label" not in MANIFEST.to_json()
    several = dataclasses.replace(MANIFEST, schema=2, multi_label=True)
    several.write(tmp_path)
    assert Manifest.read(tmp_path) == several


def test_split_by_name():
    assert MANIFEST.split("train").count == 3
    with pytest.raises(ValueError, match="pets has no split 'test'; it has: train"):
        MANIFEST.split("test")


def test_a_folder_without_manifest_says_what_to_run(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError, match="prepare --folder IMAGES --out "):
            Manifest.read(folder)


def test_what_is_mistaken_for_records_is_named(tmp_path, monkeypatch):
    def refused(name):
        with pytest.raises(FileNotFoundError) as raised:
            Manifest.read(name)
        return str(raised.value)

    monkeypatch.chdir(tmp_path)

    for made in ("photos/cat", "run", "pets"):
        (tmp_path / made).mkdir(parents=True)
    (tmp_path / "run" / "config.yaml").touch()
    (tmp_path / "pets" / "manifest.json").touch()
    (tmp_path / "model.keras").touch()
    assert refused("photos").endswith("prepare --folder photos --out records/photos")
    (tmp_path / "my photos" / "cat").mkdir(parents=True)
    assert refused("my photos").endswith("--folder 'my photos' --out 'records/my photos'")
    assert refused("run").endswith("records: another command than prepare has written there")
    assert refused("model.keras") == (
        "model.keras is a file; expected a folder of records, as prepare writes it"
    )
    assert refused("petz") == (
        "petz holds no records (there is no such folder); did you mean pets?"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is damaged"),
        ("[]", "is damaged: expected an object; got a list"),
        ('{"schema": 99}', "schema version 99, expected 1 or 2"),
        ('{"schema": 1}', "captions|class_names is missing"),
        ('{"schema": 2}', "damaged: schema version 2 with multi_label None"),
        ('{"schema": 1, "multi_label": true}', "damaged: schema version 1 with multi_label True"),
    ],
)
def test_bad_manifests(tmp_path, text, message):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        Manifest.read(tmp_path)


def test_an_unknown_key_is_an_error(tmp_path):
    data = json.loads(MANIFEST.to_json()) | {"colour": "red"}
    (tmp_path / "manifest.json").write_text(json.dumps(data))
    with pytest.raises(ValueError, match="colour"):
        Manifest.read(tmp_path)


def test_what_is_imported_when_used_is_listed_too():
    assert {"load", "write", "verify", "Manifest"} <= set(dir(tfrecords))
