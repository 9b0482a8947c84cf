"""Records that are not what was written are named by every command, before it computes anything."""

import json
import shutil

import pytest

from pipelines.__main__ import main

pytestmark = pytest.mark.usefixtures("all_eagerly")

FIRST, SECOND = (f"train-0000{i}-of-00003.tfrecord" for i in range(2))


def swap(records):
    (records / FIRST).rename(records / "x")
    (records / SECOND).rename(records / FIRST)
    (records / "x").rename(records / SECOND)


def flip(records):
    data = bytearray((records / FIRST).read_bytes())
    data[len(data) // 2] ^= 1
    (records / FIRST).write_bytes(data)


def truncate(records):
    (records / FIRST).write_bytes((records / FIRST).read_bytes()[:-5])


def in_manifest(change):
    def damage(records):
        path = records / "manifest.json"
        data = json.loads(path.read_text())
        change(data["splits"]["train"]["shards"])
        path.write_text(json.dumps(data))

    return damage


DAMAGE = {
    "shards swapped": (swap, FIRST),
    "a bit flipped": (flip, FIRST),
    "a shard cut short": (truncate, FIRST),
    "a shard missing": (lambda records: (records / FIRST).unlink(), f"{FIRST} is missing"),
    "a shard taken out": (in_manifest(list.pop), "shards were taken out"),
    "entries swapped": (in_manifest(list.reverse), "or put in another order"),
    "no shards": (in_manifest(list.clear), "expected a shard at least"),
    "outside": (in_manifest(lambda s: s[0].update(name=f"../{FIRST}")), "no name of one of its"),
}

NOWHERE = "no-such-model.keras"  # to load it would be a complaint of its own
COMMANDS = {
    "prompt": ["--models", NOWHERE, "--methods", "zero-shot", "--shots", "1", "--out", "out"],
    "evaluate": ["--model", NOWHERE, "--split", "train", "--out", "out"],
    "retrieve": ["--build", "--model", NOWHERE, "--index", "out"],
    "finetune": ["--model", NOWHERE, "--batch-size", "16", "--out", "out"],
    "train": ["--batch-size", "16", "--out", "out"],
    "compare": ["--model", NOWHERE, "--out", "out"],
    "inspect": ["--model", NOWHERE, "--out", "out"],
    "export": ["--model", NOWHERE, "--split", "train", "--format", "litert", "--out", "out"],
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_one_line_and_nothing_is_made(colours, tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(colours / "records", tmp_path / "records")
    damage, message = DAMAGE[name]
    damage(tmp_path / "records")
    for command, words in COMMANDS.items():
        status = main([command, "--data", "records", *words])
        error = capsys.readouterr().err
        assert status == 2 and error.count("\n") == 1, (command, error)
        assert message in error, (command, error)
        assert not (tmp_path / "out").exists(), command
