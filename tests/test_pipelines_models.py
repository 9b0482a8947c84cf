"""`models` prints everything that can be named, as tables and as JSON."""

import json
from pathlib import Path

import pytest
from huggingface_hub import constants
from published_repositories import published, tiny_texts

from dual_encoder import CHECKPOINTS, IMAGE_TOWERS, TEXT_TOWERS
from dual_encoder.checkpoints import fetch_by_name
from dual_encoder.checkpoints.open_clip import text_towers
from pipelines.__main__ import main
from pipelines.models import entries, tables

CLIPA = Path(__file__).parent / "fixtures" / "pretrained" / "open_clip_clipa"
ROW = {
    "name": "tiny",
    "kind": "dual-encoder",
    "parameters": 1_234_000,
    "image_size": 64,
    "licence": "MIT",
    "zero_shot": {"shapes": 0.925},
    "bytes_here": 5_678_000,
}
TAG = {
    "name": "ViT-X/web",
    "image_size": 224,
    "parameters": 1_000_000,
    "licence": "MIT",
    "refusal": "",
    "average": 0.5,
    "imagenet": 0.625,
}


def test_json_from_the_command_line_is_quiet(capfd):
    assert main(["models", "--json"]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    found = json.loads(out)
    assert [row["name"] for row in found["checkpoints"]] == list(CHECKPOINTS)
    assert found["image_towers"] == list(IMAGE_TOWERS)
    assert found["text_towers"] == list(TEXT_TOWERS)


def test_a_checkpoint_says_whether_it_is_here():
    rows = {row["name"]: row for row in entries()["checkpoints"]}
    shipped = CHECKPOINTS["shapes-tiny"]
    assert rows["shapes-tiny"]["bytes_here"] == shipped.file.stat().st_size
    assert rows["clip-rn50"]["zero_shot"]["food101"] == 0.808
    assert rows["clip-rn50"]["licence"] == "MIT"


def test_tags_say_their_licence_or_that_none_is_stated():
    stated = {row["name"]: row["licence"] for row in entries()["open_clip"]}
    assert stated["ViT-H-14-378-quickgelu/dfn5b"] == "Apple-Sample-Code"
    assert stated["ViT-L-14-CLIPA/datacomp1b"] == "not stated"
    assert sum(name != "not stated" for name in stated.values()) > 180


def test_tables_for_people():
    missing = {**ROW, "name": "a longer name", "bytes_here": None, "zero_shot": {}}
    text = {**ROW, "name": "words", "kind": "text-encoder", "image_size": None, "zero_shot": {}}
    found = {"checkpoints": [ROW, missing, text]}
    other = {
        **TAG,
        "name": "Y/web",
        "parameters": None,
        "licence": "not stated",
        "refusal": "no towers",
    }
    found |= {"image_towers": ["vit"], "text_towers": ["bert", "gru"], "open_clip": [TAG, other]}
    lines = tables(found).splitlines()
    cells = [" ".join(line.split()) for line in lines]
    assert cells[2] == "tiny 64 1,234,000 5 5.7 MB MIT shapes 92.5%"
    assert cells[3] == "a longer name 64 1,234,000 5 no MIT"
    assert lines[2].index("64") == lines[3].index("64")
    assert "words 1,234,000 5 5.7 MB MIT" in cells
    assert "OpenCLIP's own table (--model MODEL/TAG): 1 of 2 load" in lines
    assert "ViT-X/web 224 1,000,000 4 MIT imagenet 62.5%, 38 sets 50.0%" in cells
    assert "Y/web 224 not stated does not load: no such towers" in cells
    assert "image towers (--image-tower):" in lines and lines[-1] == "  bert, gru"


@pytest.fixture
def publish(hub, monkeypatch, tmp_path):
    """Put a row's repository on the stand-in of the hub, its tiny model's sizes in the table."""
    monkeypatch.setattr(text_towers, "HF_TEXT", tiny_texts())
    rows = {}

    def put(name, change=dict):
        folder = tmp_path / name
        folder.mkdir()
        repository = published(name, folder)
        files = change(repository.files)
        hub.publish(
            repository.row.repository,
            files,
            reference=repository.revision,
            sizes=repository.sizes,
        )
        rows[name] = repository.row
        monkeypatch.setattr(fetch_by_name, "CHECKPOINTS", rows)
        return files

    return put


def checked(capsys, *names):
    """Status, and the cells of each line of the table."""
    status = main(["models", "--check", *names])
    lines = capsys.readouterr().out.splitlines()
    return status, lines


NAMES = ("clip-vit-base-patch32", "clip-vit-large-patch14", "vit-base-patch16-224",
    "vit-large-patch16-224", "bert-small-uncased", "minilm-l6")  # fmt: skip


def test_the_hub_is_asked_without_fetching_weights(publish, hub, capsys):
    files = {name: publish(name) for name in NAMES}
    status, lines = checked(capsys, *NAMES)
    assert status == 0, "\n".join(lines)
    assert lines[0].split() == ["name", "commit", "MB", "weights"]
    for name, line in zip(NAMES, lines[1:], strict=False):
        assert line.split()[0] == name and line.endswith("  ok")
    assert lines[-1] == f"{len(NAMES)} of {len(NAMES)} can be loaded"
    assert lines[2].split()[2:4] == ["1,710.5", "model.safetensors"]  # MB as published
    assert "pytorch_model.bin" in lines[4] and "model.safetensors" in lines[3]
    asked = [request.path for request in hub.requests]
    assert not any(path.endswith(".bin") for path in asked)  # only their names are looked at
    assert all(files.values())


def test_what_is_in_the_way_of_a_row_is_in_its_line(publish, capsys):
    def without_weights(files):
        return {name: data for name, data in files.items() if "model" not in name}

    def otherwise(files):
        config = json.loads(files["config.json"]) | {"hidden_act": "swish"}
        return files | {"config.json": json.dumps(config).encode()}

    def one_layer_more(files):
        config = json.loads(files["config.json"]) | {"num_hidden_layers": 2}
        return files | {"config.json": json.dumps(config).encode()}

    publish("vit-base-patch16-224", without_weights)
    publish("bert-base-uncased", otherwise)
    publish("minilm-l6", one_layer_more)
    publish("roberta-base")
    status, lines = checked(
        capsys, "vit-base-patch16-224", "bert-base-uncased", "minilm-l6", "roberta-base"
    )
    assert status == 1
    assert "no weights here; expected model.safetensors, pytorch_model.bin" in lines[1]
    assert "activation: expected one of" in lines[2] and "'swish'" in lines[2]
    assert "variables without a tensor" in lines[3]
    assert lines[4].endswith("ok") and lines[-1] == "1 of 4 can be loaded"


def test_rows_whose_repositories_are_gone_and_names_of_nothing(publish, capsys):
    publish("minilm-l6")
    status, lines = checked(capsys, "hf://duet/nothing")
    assert status == 1 and "no such repository on the hub" in lines[1]
    assert main(["models", "--check", "minilm"]) == 2
    assert capsys.readouterr().err == (
        "error: no checkpoint 'minilm'; expected hf://org/repo, or a name that `python -m "
        "pipelines models` lists; did you mean minilm-l6?\n"
    )


def test_a_tag_of_open_clip_at_a_revision(hub, capsys):
    files = {path.name: path.read_bytes() for path in CLIPA.iterdir()}
    hub.publish("UCSC-VLAA/ViT-L-14-CLIPA-datacomp1B", files, reference="refs/pr/1")
    status, lines = checked(capsys, "ViT-L-14-CLIPA/datacomp1b", "--revision", "refs/pr/1")
    assert status == 0 and lines[1].split()[0] == "ViT-L-14-CLIPA/datacomp1b@refs/pr/1"
    status, lines = checked(capsys, "ViTamin-L/datacomp1b")
    assert status == 1 and "Duet has no such model (expected timm_model" in lines[1]


def test_without_a_network_it_is_one_line(hub, monkeypatch, capsys):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert main(["models", "--check"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and hub.requests == []
    assert err == (
        "error: timm/resnet50_clip.openai: HF_HUB_OFFLINE is set; unset it, or fetch the files "
        "beforehand\n"
    )
