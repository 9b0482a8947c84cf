"""Dual encoders packed into one file, and the table of those that ship with the package."""

import keras
import keras_hub
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import dual_encoder
from dual_encoder import CHECKPOINTS, DualEncoder, save_packed
from dual_encoder.checkpoints import load_packed
from dual_encoder.checkpoints.catalog_row_check import contradictions

TEXTS = ["a red star", "a blue ring"]
TOKENIZER = dual_encoder.Tokenizer.learn(TEXTS, context_length=8)
IMAGES = np.random.default_rng(0).integers(256, size=(2, 16, 16, 3), dtype=np.uint8)


def own():
    sizes = {"width": 8, "depth": 1, "heads": 2}
    image = dual_encoder.VisionTransformer(16, 8, stem="convolutions", **sizes)
    words = dual_encoder.TextTransformer(
        TOKENIZER.vocabulary_size, 8, end_id=TOKENIZER.end_id, **sizes
    )
    return DualEncoder(image, words, embed_dim=4, tokenizer=TOKENIZER, loss_name="sigmoid")


def of_keras_hub():
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8}
    vit = keras_hub.models.ViTBackbone((16, 16, 3), patch_size=(8, 8), mlp_dim=16, **sizes)
    bert = keras_hub.models.BertBackbone(TOKENIZER.vocabulary_size, intermediate_dim=16, **sizes)
    words = dual_encoder.HubTextTower(bert, context_length=8, pad_id=TOKENIZER.pad_id)
    image = dual_encoder.KerasImageTower(vit)
    return DualEncoder(image, words, embed_dim=4, projection_depth=1, tokenizer=TOKENIZER)


@pytest.fixture
def packed(tmp_path):
    """A model and its file; its weights are such that half precision holds them."""
    model = own()
    model.build()
    for weight in model.weights:
        weight.assign(keras.ops.convert_to_numpy(weight).astype("float16").astype("float32"))
    save_packed(model, tmp_path / "model.safetensors")
    return model, tmp_path / "model.safetensors"


def metadata(path):
    with safe_open(path, framework="numpy") as file:
        return file.metadata()


def test_round_trip(packed):
    model, path = packed
    loaded = load_packed(path)
    np.testing.assert_array_equal(loaded.encode_image(IMAGES), model.encode_image(IMAGES))
    np.testing.assert_array_equal(
        loaded.encode_text(loaded.tokenizer(TEXTS)), model.encode_text(TOKENIZER(TEXTS))
    )
    assert (loaded.loss_name, float(loaded.logit_bias)) == ("sigmoid", -10)
    assert loaded.logit_scale.dtype == "float32" and loaded.count_params() == model.count_params()
    assert {array.dtype for array in load_file(path).values()} == {np.dtype("float16")}


def test_round_trip_of_other_people_s_towers(tmp_path):
    model = of_keras_hub()
    model.build()
    save_packed(model, tmp_path / "model.safetensors")
    loaded = load_packed(tmp_path / "model.safetensors")
    assert len(loaded.weights) == len(model.weights)
    for ours, theirs in zip(loaded.weights, model.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2**-11, rtol=2**-11)


def test_names_do_not_depend_on_what_was_built_first(packed, tmp_path):
    model, path = packed
    again = own()
    again.text_tower.build(None)  # by itself, before the model
    again.build()
    save_packed(again, tmp_path / "again.safetensors")
    names = set(load_file(path))
    assert set(load_file(tmp_path / "again.safetensors")) == names
    assert {"log_scale", "logit_bias", "text_tower/positions"} < names
    assert "image_tower/block_0/norm_1/gamma" in names and len(names) == len(model.weights)


def test_both_leftovers_are_listed(packed):
    _, path = packed
    arrays = load_file(path)
    arrays["image_tower/extra"] = np.zeros(3, "float16")
    arrays["text_tower/positions"] = np.zeros((9, 8), "float16")
    del arrays["log_scale"]
    save_file(arrays, path, metadata=metadata(path))
    with pytest.raises(ValueError) as caught:
        load_packed(path)
    weights, variables = str(caught.value).split("; ")
    assert weights.endswith("['image_tower/extra (3,)', 'text_tower/positions (9, 8)']")
    assert variables.endswith("['log_scale ()', 'text_tower/positions (8, 8)']")


def test_files_of_something_else(packed, tmp_path):
    _, path = packed
    other = tmp_path / "other.safetensors"
    save_file({"x": np.zeros(2)}, other)
    with pytest.raises(ValueError, match="expected a dual encoder; its metadata"):
        load_packed(other)
    other.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        load_packed(other)
    with pytest.raises(FileNotFoundError):
        load_packed(tmp_path / "none.safetensors")


def test_numbers_that_half_precision_cannot_hold(packed, tmp_path):
    model, _ = packed
    model.text_tower.positions.assign(np.full((8, 8), 7e4))
    with pytest.raises(ValueError, match=r"text_tower/positions: .* at most 65504"):
        save_packed(model, tmp_path / "large.safetensors")
    assert not (tmp_path / "large.safetensors").exists()


def test_the_shipped_checkpoint_is_what_the_table_says():
    row, model = CHECKPOINTS["shapes-tiny"], dual_encoder.load("shapes-tiny")
    assert contradictions(model, row) == []
    assert row.file.stat().st_size <= 2_000_000
    assert row.zero_shot and all(0 < top1 <= 1 for top1 in row.zero_shot.values())
    assert model.encode_text(model.tokenizer(["a red star"])).shape == (1, row.embed_dim)
