"""OpenCLIP's own table: every published tag, with what it takes and whether Duet has the model."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tiny_sizes import name_tiny_towers

import dual_encoder

FIXTURES = Path(__file__).parent / "fixtures" / "pretrained"
TAGS = dual_encoder.open_clip_tags()


def test_every_tag_of_open_clip_is_there_and_most_load():
    assert len(TAGS) == 196
    assert sum(not row.refusal for row in TAGS.values()) >= 150


def test_a_row_has_what_the_library_and_its_results_say():
    row = TAGS["ViT-B-16-SigLIP/webli"]
    assert row.repository == "timm/ViT-B-16-SigLIP"
    assert (row.parameters, row.image_size, row.embed_dim) == (203_155_970, 224, 768)
    assert (row.imagenet, row.average) == (0.7604, 0.6232)
    assert TAGS["ViT-B-16-SigLIP2/webli"].imagenet is None  # in no results of theirs


def test_the_tables_agree():
    rows = [row for row in dual_encoder.CHECKPOINTS.values() if row.tag]
    assert len(rows) == 19
    for row in rows:
        tag = TAGS[row.tag]
        assert not tag.refusal and tag.licence == row.licence
        for fact in ("parameters", "image_size", "embed_dim"):
            assert getattr(tag, fact) == getattr(row, fact), (row.tag, fact)


def test_a_model_that_duet_has_not_is_refused_by_its_name():
    with pytest.raises(ValueError) as caught:
        dual_encoder.load("ViTamin-L/datacomp1b")
    message = str(caught.value)
    assert message.startswith("ViTamin-L/datacomp1b: Duet has no such model (expected timm_model")
    assert "vitamin_large_224" in message and "\n" not in message


@pytest.mark.parametrize(
    ("name", "fixture"),
    [
        ("ViT-L-14-CLIPA/datacomp1b", "open_clip_clipa"),
        ("MobileCLIP-S1/datacompdr", "open_clip_fastvit"),
    ],
)
def test_a_tag_is_loaded_from_its_repository(hub, monkeypatch, name, fixture):
    name_tiny_towers(monkeypatch)
    folder = FIXTURES / fixture
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    hub.publish(TAGS[name].repository, files)
    model = dual_encoder.load(name)
    wanted = load_file(folder / "expected.safetensors")
    np.testing.assert_allclose(model.encode_text(wanted["token_ids"]), wanted["text"], atol=1e-5)
    np.testing.assert_allclose(
        model.encode_image(wanted["image_pixels"]), wanted["image"], atol=1e-5
    )
