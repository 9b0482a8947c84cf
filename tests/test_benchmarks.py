"""The benchmarks run, with models so small that their figures mean nothing."""

import importlib
import json
import multiprocessing
from pathlib import Path

import numpy as np
import processes
import pytest

import dual_encoder

ROOT = Path(__file__).parents[1]
SMALL = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)


@pytest.fixture
def embedding(monkeypatch):
    """The benchmark of encoders, its ViT-B/32 made tiny, its processes forked and not new."""
    monkeypatch.setattr(multiprocessing, "get_context", lambda kind: processes.SERVER)
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    module = importlib.import_module("embedding")
    words = dict(vocab_size=400, bos_token_id=398, eos_token_id=399, pad_token_id=399)
    config = dict(module.CONFIG, projection_dim=8)
    config["vision_config"] = config["vision_config"] | SMALL | dict(image_size=16, patch_size=8)
    config["text_config"] = config["text_config"] | SMALL | words
    monkeypatch.setattr(module, "CONFIG", config)
    return module


def test_the_checkpoint_of_the_benchmark_loads_and_its_prompts_have_ten_tokens(embedding, tmp_path):
    embedding.write_checkpoint(tmp_path)
    model = dual_encoder.load(tmp_path)
    prompts = [embedding.TEMPLATE.replace("{}", name) for name in embedding.class_names()]
    cut = embedding.prompt_ids(tmp_path, cut=True)
    assert cut.shape == (101, 10)
    np.testing.assert_array_equal(model.tokenizer(prompts, length=None), cut)
    assert embedding.prompt_ids(tmp_path, cut=False).shape == (101, 77)
    assert model.text_tower.end_id == cut[0, -1]


def test_ours_alone_is_measured(embedding, tmp_path, capsys):
    file = tmp_path / "figures.json"
    options = ["--sides", "ours", "--batches", "2", "--rounds", "1", "--seconds", "0"]
    assert embedding.main([*options, "--json", str(file)]) == 0
    report = json.loads(file.read_text())
    assert report["notes"] == []
    assert set(report["rates"]) == {"images, 2", "prompts, padded", "prompts, cut"}
    for rates in report["rates"].values():
        assert rates["ours"]["per_second"] > 0
        assert rates["ours"]["ours_to_this"] == 1
    assert report["load"]["ours"]["seconds"] > 0
    assert "a head of 101 classes" in capsys.readouterr().out


def test_what_a_side_cannot_do_is_left_out_with_the_reason(embedding, tmp_path, monkeypatch):
    broken = embedding.Side(without_library)
    monkeypatch.setitem(embedding.SIDES, "ours", broken)
    rates, notes = embedding.measure(["ours"], tmp_path, [2], rounds=1, seconds=0)
    assert all(found == {} for found in rates.values())
    assert notes == ["ours leaves out everything: ImportError: no such library"]


def without_library(folder, batches):
    raise ImportError("no such library")
