"""The table of checkpoints against the configurations that are published under its names."""

import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from dual_encoder import CHECKPOINTS
from dual_encoder.checkpoints.catalog_row_check import contradictions, describe
from dual_encoder.checkpoints.huggingface import read as huggingface_read
from dual_encoder.checkpoints.open_clip import read as open_clip_read

sys.path.insert(0, str(Path(__file__).parent / "parity"))
from cases import CASES
from files import write_settings

PUBLISHED = [name for name, row in CHECKPOINTS.items() if row.repository]


def tensor(*shape):
    """Stands for one of a file: building a model asks for names and shapes alone."""
    return np.broadcast_to(np.float32(0), shape)


def build(name, folder):
    """The model of a row's published configuration, without memory for its weights."""
    row, config = CHECKPOINTS[name], CASES[name]
    write_settings(config, row, folder)
    tensors = {}
    if "id2label" in config:
        tensors["classifier.weight"] = tensor(len(config["id2label"]), config["hidden_size"])
    elif row.kind == "image-encoder" or row.pooling == "pooler":
        tensors["pooler.dense.weight"] = tensor(row.embed_dim, row.embed_dim)
    try:
        with keras.StatelessScope(initialize_variables=False):
            if row.layout == "open_clip":
                return open_clip_read.build(folder)
            return huggingface_read.build(folder, tensors)[1]
    finally:
        keras.utils.clear_session()  # or Keras gives them their weights at the next occasion


def test_every_published_row_has_a_case():
    assert set(CASES) == set(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_row_is_what_the_configuration_makes(name, tmp_path):
    model = build(name, tmp_path)
    assert contradictions(model, CHECKPOINTS[name]) == []
    assert describe(model)["parameters"] == CHECKPOINTS[name].parameters > 0


def test_a_contradiction_names_both_sides(tmp_path):
    model = build("bert-small-uncased", tmp_path)
    found = contradictions(model, CHECKPOINTS["bert-base-uncased"])
    assert "embed_dim: the table has 768, the checkpoint 512" in found
    assert any(line.startswith("parameters: the table has 109482240") for line in found)


def test_every_row_says_what_a_user_chooses_by():
    for name, row in CHECKPOINTS.items():
        assert row.kind and row.licence and row.trained_on and row.embed_dim, name
        assert bool(row.image_size) == (row.kind != "text-encoder"), name
        assert bool(row.tokenizer) == bool(row.context_length) == bool(row.pooling), name
        assert bool(row.zero_shot) <= bool(row.source), name
        assert all(0 < top1 < 1 for top1 in row.zero_shot.values()), name


def test_tags_are_unique():
    tags = [row.tag for row in CHECKPOINTS.values() if row.tag]
    assert len(set(tags)) == len(tags) >= 18
