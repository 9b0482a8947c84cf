"""Whatever is wrong with a file or a command line, it is one line and the exit status for it.

Each kind is tried with faults drawn from a seed; `DUET_MUTATIONS=2000` draws so many of each.
"""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from mutations import mutants, mutated_documents, mutated_words
from PIL import Image
from safetensors.numpy import save_file
from tiny_indexes import make_index, unit

from dual_encoder import Index, describe_prompts
from dual_encoder.checkpoints import load
from duet import json_validation
from pipelines.__main__ import main
from pipelines.finetuning import auto_method, wise_ft
from pipelines.prediction.journal import Journal
from pipelines.prediction.model_of_run_folder import Source, find
from pipelines.runs import resume_check
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


def wrong_endings(path, document, read, *, count):
    """What else than one line ends the reading of a document with faults in it."""
    wrong = []
    texts = mutants([json.dumps(document).encode()], count, seed=1)
    for data in [*mutated_documents(document, count, seed=1), *texts]:
        path.write_bytes(data)
        try:
            read()
        except Exception as error:
            known = isinstance(error, ValueError | OSError) and not isinstance(error, UnicodeError)
            if not known or "\n" in str(error).strip():
                wrong.append((error, data[:80]))
    return wrong


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("clip_gelu_bfloat16", "config.json"),
        ("clip_gelu_bfloat16", "tokenizer_config.json"),
        ("siglip", "preprocessor_config.json"),
        ("siglip", "tokenizer_config.json"),
        ("vit_pooler", "config.json"),
        ("vit_pooler", "model.safetensors.index.json"),
        ("open_clip_vit", "open_clip_config.json"),
    ],
)
def test_settings_of_checkpoints(tmp_path, kind, name):
    folder = tmp_path / "checkpoint"
    shutil.copytree(CHECKPOINTS / kind, folder)
    if name.endswith(".index.json"):
        (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
        map_of = {"weight_map": {"a": "model-00001-of-00001.safetensors"}}
        (folder / name).write_text(json.dumps(map_of))
    document = json.loads((folder / name).read_text())
    count = max(2, COUNT // 10)
    assert (
        wrong_endings(folder / name, document, lambda: load.read_folder(folder), count=count) == []
    )


RESULTS = {
    "schema": 2,
    "command": "compare",
    "model": "m",
    "metrics": {},
    "per_class": [],
    "config": {"seeds": [1]},
    "recommendation": {"method": "zero-shot", "answer": ""},
}

CHOICE = {"method": "text-probe", "why": "", "tried": {"text-probe": 0.5}, "seconds": 1.0}

ALPHA = {
    "chosen": 0.5,
    "classes": [1],
    "curve": [{"alpha": 0.5, "seen_top1": 1.0}],
    "right": [True],
    "seconds": 1.0,
}

ROW = {"file": "a.jpg", "label": "dog", "classes": [{"class": "dog", "probability": 0.5}]}

PROMPTS = {
    "format": 1,
    "method": "coop",
    "class_names": ["dog"],
    "n_ctx": 2,
    "position": "end",
    "class_specific": False,
    "words": None,
    "template": None,
    "backbone": "m",
    "fingerprint": "0",
}

ORIGIN = {"records": "0", "models": {"m": "0"}, "versions": ["1"]}

STATE = {  # documents that Duet keeps of a run, and what reads them
    "results.json": (RESULTS, lambda folder: find(Source(str(folder)))),
    "origin.json": (ORIGIN, lambda folder: resume_check.check(folder, {**ORIGIN, "models": {}})),
    "auto.json": (
        CHOICE,
        lambda folder: json_validation.read(folder / "auto.json", auto_method.TABLE),
    ),
    "alpha.json": (
        ALPHA,
        lambda folder: json_validation.read(folder / "alpha.json", wise_ft.TABLE),
    ),
    "rows.jsonl": (ROW, lambda folder: Journal(folder.with_suffix(""), {}, multi_label=False)),
}


@pytest.mark.parametrize("name", STATE)
def test_documents_that_runs_keep(tmp_path, name):
    document, read = STATE[name]
    folder = tmp_path / "run.unfinished"
    folder.mkdir()
    assert wrong_endings(folder / name, document, lambda: read(folder), count=COUNT) == []


def test_the_manifest_and_the_index(records):
    make_index(records.parent / "index", unit(20, 8))
    for path, read in (
        (records / "manifest.json", lambda: Manifest.read(records)),
        (records.parent / "index" / "index.json", lambda: Index.open("index")),
    ):
        document = json.loads(path.read_text())
        assert wrong_endings(path, document, read, count=COUNT) == []


def test_the_metadata_of_prompts(tmp_path):
    """Read as JSON inside a file of vectors, whose header is another reader's business."""
    path, wrong = tmp_path / "prompts.safetensors", []
    for data in mutated_documents(PROMPTS, COUNT, seed=1):
        save_file({"context": np.zeros((2, 4), "float32")}, path, metadata={"duet": data.decode()})
        try:
            describe_prompts(path)
        except Exception as error:
            if not isinstance(error, ValueError):
                wrong.append((error, data[:80]))
    assert wrong == []


def test_an_index_that_is_nested_too_deep_is_named(tmp_path):
    (tmp_path / "index.json").write_text('{"schema": ' + "[" * 100_000)
    with pytest.raises(ValueError, match=r"index\.json: nested too deep; delete it"):
        Index.open(tmp_path)


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
