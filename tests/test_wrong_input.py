"""Whatever is wrong with a file or a command line, it is one line and the exit status for it.

Each kind is tried with faults drawn from a seed; `DUET_MUTATIONS=2000` draws so many of each.
"""

import json
import os
import shutil
from pathlib import Path

import pytest
from mutations import mutants, mutated_documents, mutated_words
from PIL import Image
from tiny_indexes import make_index, unit

import dual_encoder
from dual_encoder import Index
from pipelines.__main__ import main
from pipelines.prediction.source import Source, find
from tfrecords.manifest import Manifest, ShardInfo, SplitInfo

COUNT = int(os.environ.get("DUET_MUTATIONS", "40"))

CHECKPOINTS = Path(__file__).parent / "fixtures" / "pretrained"


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for i in range(12):
        Image.new("RGB", (8, 6), (20 * i, 0, 0)).save(tmp_path / f"{i}.jpg")
    return tmp_path


@pytest.fixture
def records(images):
    """A manifest of 3 classes whose shards nothing gets to read."""
    shard = ShardInfo("test-00000-of-00001.tfrecord", 3, 1, "0" * 64)
    splits = {"test": SplitInfo(3, True, False, (1, 1, 1), (shard,))}
    names = ("house_cat", "dog", "crème brûlée")
    (images / "records").mkdir()
    Manifest(1, "pets", {}, names, (), "top1", False, splits, {}, {}).write(images / "records")
    return images / "records"


def faults(argv, capsys):
    """What is wrong with how a command ends; "" for what it should be."""
    try:
        status = main(argv)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    _, said = capsys.readouterr()
    lines = [line for line in said.replace("\r", "\n").splitlines() if line.strip()]
    if "Traceback" in said:
        return f"traceback: {lines[-1]:.200}"
    if status not in (0, 1, 2):
        return f"status {status}"
    if lines and len(lines[-1]) > 1100:
        return f"{len(lines[-1])} characters"
    if status == 2 and not (lines and lines[-1].startswith("error: ")):
        return f"status 2 and {lines[-1:]}"
    return ""


def check(path, seeds, argv, capsys, *, count=COUNT):
    wrong = []
    for i, data in enumerate(mutants([seed.encode() for seed in seeds], count, seed=1)):
        path.write_bytes(data)
        fault = faults(argv, capsys)
        if fault:
            wrong.append((i, fault, data[:80]))
    assert not wrong, f"{len(wrong)} of {count}: {wrong[:5]}"[:2000]


def test_tables_of_labels(images, capsys):
    rows = [
        f"{i}.jpg,{'cat' if i % 2 else 'dog'},{'train' if i < 9 else 'test'}" for i in range(12)
    ]
    columns = "\n".join(["file,cat,dog", *(f"{i}.jpg,{i % 2},1" for i in range(12))])
    seeds = ["\n".join(["file,label,split", *rows]), columns, 'file;label\n"0.jpg";"a|b"\n']
    check(images / "t.csv", seeds, ["prepare", "--dry-run", "--labels", "t.csv"], capsys)


def test_tables_of_captions(images, capsys):
    rows = [f'{i}.jpg,"a man, a dog {i}"' for i in range(12)]
    seeds = ["\n".join(["image,caption", *rows]), "0.jpg#0\ta dog\n1.jpg#0\ta cat\n"]
    seeds += ["image_name| comment_number| comment\n0.jpg| 0| a dog\n1.jpg| 1   a cat\n"]
    check(images / "c.csv", seeds, ["prepare", "--dry-run", "--captions", "c.csv"], capsys)


def test_json_of_captions(images, capsys):
    coco = {
        "images": [{"id": i, "file_name": f"{i}.jpg"} for i in range(12)],
        "annotations": [{"image_id": i, "caption": f"number {i}"} for i in range(12)],
    }
    karpathy = [
        {"filename": f"{i}.jpg", "split": "train", "sentences": [{"raw": "a"}]} for i in range(3)
    ]
    seeds = [json.dumps(coco), json.dumps({"images": karpathy}), json.dumps({"0.jpg": ["a", "b"]})]
    seeds += [json.dumps([{"image": "0.jpg", "caption": "a"}])]
    check(images / "c.json", seeds, ["prepare", "--dry-run", "--captions", "c.json"], capsys)


def test_json_lines_of_labels(images, capsys):
    lines = [json.dumps({"file_name": f"{i}.jpg", "label": i % 2}) for i in range(12)]
    argv = ["prepare", "--dry-run", "--labels", "metadata.jsonl"]
    check(images / "metadata.jsonl", ["\n".join(lines)], argv, capsys)


@pytest.mark.parametrize("name", ["names.txt", "names.csv"])
def test_files_of_class_names(records, capsys, name):
    seeds = ["house cat\ndog\ncrème brûlée\n", "class,fr\ndog,chien\nhouse cat,chat\n"]
    argv = ["evaluate", "--data", "records", "--model", "nowhere.keras", "--out", "out"]
    check(records.parent / name, seeds, [*argv, "--class-names", name], capsys)


def test_configurations(images, capsys):
    (images / "f").mkdir()
    seeds = ["folder: f\nlimit: 5\nshort_side: null\nmulti_label: false\nignore_columns: [a, b]\n"]
    seeds += ["dataset: shapes\nvalidation_share: 0.5\nrunner: local\nseed: 3\n"]
    argv = ["prepare", "--config", "c.yaml", "--dry-run"]
    check(images / "c.yaml", seeds, argv, capsys)


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("clip_gelu_bfloat16", "config.json"),
        ("vit_pooler", "config.json"),
        ("siglip", "tokenizer_config.json"),
        ("siglip", "preprocessor_config.json"),
    ],
)
def test_configurations_of_checkpoints(tmp_path, kind, file):
    path = tmp_path / "checkpoint" / file
    shutil.copytree(CHECKPOINTS / kind, path.parent)
    text, count, wrong = path.read_bytes(), max(4, COUNT // 8), []
    documents = mutated_documents(json.loads(text), count, seed=1)
    for data in [*documents, *mutants([text], count, seed=1)]:
        path.write_bytes(data)
        try:
            dual_encoder.load(path.parent)
        except Exception as error:
            is_kind = isinstance(error, ValueError | OSError) and not isinstance(
                error, UnicodeError
            )
            if not is_kind or "\n" in str(error) or str(path.parent) not in str(error):
                wrong.append((error, data[:80]))
    assert not wrong, f"{len(wrong)} of {2 * count}: {wrong[:5]}"[:2000]


@pytest.mark.parametrize("kind", ["manifest", "index", "results"])
def test_documents_that_duet_writes(records, kind):
    results = {
        "schema": 2,
        "command": "compare",
        "model": "m",
        "metrics": {},
        "per_class": [],
        "config": {"seeds": [1]},
        "recommendation": {"method": "zero-shot", "answer": ""},
    }
    (records.parent / "run").mkdir()
    make_index(records.parent / "index", unit(20, 8))
    path, read = {
        "manifest": (records / "manifest.json", lambda: Manifest.read(records)),
        "index": (records.parent / "index" / "index.json", lambda: Index.open("index")),
        "results": (records.parent / "run" / "results.json", lambda: find(Source("run"))),
    }[kind]
    document = results if kind == "results" else json.loads(path.read_text())
    wrong = []
    texts = mutants([json.dumps(document).encode()], COUNT, seed=1)
    for data in [*mutated_documents(document, COUNT, seed=1), *texts]:
        path.write_bytes(data)
        try:
            read()
        except Exception as error:
            if isinstance(error, UnicodeError) or not isinstance(error, ValueError | OSError):
                wrong.append((error, data[:80]))
    assert not wrong, f"{len(wrong)} of {2 * COUNT}: {wrong[:5]}"[:2000]


def test_command_lines(records, capsys):
    wrong = []
    seeds = [
        ["prepare", "--folder", "f", "--limit", "3", "--seed", "1", "--dry-run"],
        ["prepare", "--dataset", "food101", "--data-dir", "f", "--dry-run", "--shots", "2"],
        ["prepare", "--labels", "t.csv", "--images", "f", "--multi-label", "--dry-run"],
        ["evaluate", "--data", "records", "--model", "no.keras", "--out", "o", "--bootstrap", "9"],
        ["evaluate", "--data", "records", "--model", "no.keras", "--out", "o", "--templates", "{}"],
        ["export", "--model", "no.keras", "--format", "litert", "--out", "o", "--top-k", "3"],
        ["retrieve", "--index", "i", "--query", "a dog", "--k", "5"],
        ["datasets", "--json"],
    ]
    for i, argv in enumerate(mutated_words(seeds, COUNT, seed=1)):
        if argv[0] == "prepare" and "--dry-run" not in argv:
            argv = [*argv, "--dry-run"]
        fault = faults(argv, capsys)
        if fault:
            wrong.append((i, fault, argv))
    assert not wrong, f"{len(wrong)} of {COUNT}: {wrong[:5]}"
