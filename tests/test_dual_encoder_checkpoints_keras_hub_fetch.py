"""Presets of KerasHub by name, from Kaggle's cache and from a repository of the other hub."""

import keras_hub
import numpy as np
import pytest

import dual_encoder
from dual_encoder.checkpoints.keras_hub import fetch

SIZES = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "mlp_dim": 16}
PIXELS = np.random.default_rng(0).integers(256, size=(1, 16, 16, 3), dtype="uint8")


def preset(folder):
    """A small preset and the features that KerasHub gives."""
    folder.mkdir(parents=True)
    backbone = keras_hub.models.ViTBackbone((16, 16, 3), patch_size=(8, 8), **SIZES)
    backbone.save_to_preset(str(folder))
    return np.asarray(backbone((PIXELS / 127.5 - 1).astype("float32")))[:, 0]


def test_a_preset_that_kaggle_s_cache_has(tmp_path, monkeypatch):
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    folder = tmp_path / "models" / "duet" / "tiny" / "keras" / "vit_tiny" / "1"
    wanted = preset(folder)
    folder.with_name("1.complete").touch()
    model = dual_encoder.load("kaggle://duet/tiny/keras/vit_tiny/1")
    np.testing.assert_allclose(model.encode_image(PIXELS), wanted, atol=1e-5)


def test_a_preset_in_a_repository(hub, tmp_path):
    wanted = preset(tmp_path / "preset")
    files = {path.name: path.read_bytes() for path in (tmp_path / "preset").iterdir()}
    hub.publish("duet/vit", files)
    model = dual_encoder.load("hf://duet/vit")
    np.testing.assert_allclose(model.encode_image(PIXELS), wanted, atol=1e-5)


def test_names_of_kerashub_stand_for_handles_and_others_do_not():
    assert fetch.handle("bert_tiny_en_uncased").startswith("keras/bert/keras/bert_tiny_en_uncased")
    assert fetch.handle("no_such_preset") is None
    assert fetch.handle("clip-vit-base-patch32") is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("deberta_v3_extra_small_en", "DebertaV3Backbone"),
        ("metaclip_2_vit_huge_patch14_224", "MetaCLIP2Backbone"),
        ("kaggle://keras/gemma/keras/gemma_2b_en", "GemmaBackbone"),
    ],
)
def test_other_kinds_are_refused_before_anything_is_fetched(name, kind, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ValueError, match=f"^{name}: expected a preset of CLIPBackbone, .*{kind}"):
        dual_encoder.load(name)


@pytest.mark.parametrize("kind", ["CLIPBackbone", "DeiTBackbone", "XLMRobertaBackbone"])
def test_the_class_of_a_preset_is_kerashub_s(kind):
    presets = getattr(keras_hub.models, kind).presets
    assert {fetch.kind(fetch.handle(name)) for name in presets} == {kind}
    assert fetch.kind("duet/tiny/keras/vit_tiny") is None


def test_an_address_that_is_none():
    with pytest.raises(ValueError, match=r"kaggle://x/y: expected kaggle://ORG/MODEL/keras/PRESET"):
        dual_encoder.load("kaggle://x/y")


def test_kaggle_away_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    monkeypatch.setenv("KAGGLE_API_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ConnectionError) as caught:
        dual_encoder.load("kaggle://duet/tiny/keras/vit_tiny")
    message = str(caught.value)
    assert message.startswith("kaggle://duet/tiny/keras/vit_tiny: Kaggle did not give duet/tiny/")
    assert "\n" not in message and "check the network" in message
