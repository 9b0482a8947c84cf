"""Folders of `save_pretrained`: both libraries load them with the same outputs."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest
from safetensors import safe_open
from tiny_models import (
    FAMILIES,
    FIXTURES,
    PIXELS,
    STATISTICS,
    TEXTS,
    assert_same,
    bert,
    clip,
    outputs,
    scrambled,
    siglip,
    tokenizer,
    vision,
    vit,
)

import dual_encoder
from dual_encoder import DualEncoder, ImageEncoder, TextEncoder

pytestmark = pytest.mark.usefixtures("all_eagerly")

PROGRAM = Path(__file__).parent / "parity" / "in_transformers.py"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Every family: its folder and its outputs."""
    parent, found = tmp_path_factory.mktemp("saved"), {}
    for name, make in FAMILIES.items():
        model = scrambled(make())
        dual_encoder.save_pretrained(model, parent / name)
        found[name] = parent / name, outputs(model)
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_duet_loads_it_back(name, saved):
    folder, expected = saved[name]
    model, original = dual_encoder.load(folder), FAMILIES[name]()
    assert type(model) is type(original)
    assert_same(outputs(model), expected)
    if hasattr(model, "image_tower"):
        assert model.preprocessing == original.preprocessing
        assert (model.image_tower.mean, model.image_tower.std) == tuple(STATISTICS.values())
    assert getattr(model, "class_names", None) == getattr(original, "class_names", None)


@pytest.mark.parametrize("name", [name for name in FAMILIES if "vit" not in name])
def test_the_tokenizer_is_the_same(name, saved):
    folder, _ = saved[name]
    ours, original = dual_encoder.load(folder).tokenizer, FAMILIES[name]().tokenizer
    texts = json.loads((FIXTURES / "references.json").read_text(encoding="utf-8"))["texts"]
    assert len(texts) > 20
    np.testing.assert_array_equal(ours(texts), original(texts))
    configs = [each.get_config() for each in (ours, original)]
    contents = [json.loads(config.pop("json")) for config in configs]
    assert configs[0] == configs[1] and contents[0] == contents[1]


def test_saving_again_changes_nothing(saved, tmp_path):
    for name in ("clip of open_clip", "siglip", "bert"):
        folder, _ = saved[name]
        dual_encoder.save_pretrained(dual_encoder.load(folder), tmp_path / name)
        for path in folder.rglob("*.*"):
            again = tmp_path / name / path.relative_to(folder)
            same = path.suffix == ".json" and json.loads(again.read_text("utf-8"))
            if path.suffix == ".json":
                assert same == json.loads(path.read_text("utf-8")), path
            else:
                assert again.read_bytes() == path.read_bytes(), path


@pytest.fixture(scope="module")
def in_transformers(saved, tmp_path_factory):
    """Outputs of every folder there."""
    if not (find_spec("transformers") and find_spec("torch")):
        pytest.skip("needs the extra `parity`: transformers and torch")
    pixels = tmp_path_factory.mktemp("given") / "pixels.npz"
    np.savez(pixels, pixels=PIXELS)
    folders = [str(folder) for folder, _ in saved.values()]
    command = [sys.executable, str(PROGRAM), str(pixels), json.dumps(TEXTS), *folders]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return {name: dict(np.load(f"{folder}.npz")) for name, (folder, _) in saved.items()}


@pytest.mark.parametrize("name", FAMILIES)
def test_transformers_gives_the_same(name, saved, in_transformers):
    found, (_, expected) = dict(in_transformers[name]), saved[name]
    model = FAMILIES[name]()
    if not isinstance(model, ImageEncoder):
        ids = found.pop("ids")
        np.testing.assert_array_equal(_texts_of(ids, model), _texts_of(None, model))
    if isinstance(model, TextEncoder):
        found = {"text": found[model.text_tower.pooling]}
    if isinstance(model, ImageEncoder):
        key = "logits" if "logits" in found else "pooler" if model.head else "first"
        found = {"image": found[key]}
    assert_same(found, expected, tolerance=1e-5)


def _texts_of(ids, model):
    """Rows of ids, theirs or ours, with zeros behind the end: what fills them may differ."""
    words = model.tokenizer
    ids = words(TEXTS, length=12) if ids is None else ids
    behind = np.cumsum(ids == words.end_id, axis=1) - (ids == words.end_id) > 0
    return np.where(behind, 0, ids)


def test_weights_are_float32_of_pytorch_s_format(saved):
    folder, _ = saved["clip"]
    with safe_open(folder / "model.safetensors", framework="numpy") as file:
        assert file.metadata() == {"format": "pt"}
        assert {file.get_slice(name).get_dtype() for name in file.keys()} == {"F32"}  # noqa: SIM118
        assert file.get_slice("logit_scale").get_shape() == []


def test_configuration(saved):
    config, pixels, words = (
        json.loads((saved["clip"][0] / f"{name}.json").read_text("utf-8"))
        for name in ("config", "preprocessor_config", "tokenizer_config")
    )
    assert config["text_config"]["hidden_act"] == "quick_gelu"
    assert config["text_config"]["eos_token_id"] == tokenizer("clip").end_id
    assert (config["vision_config"]["layer_norm_eps"], config["projection_dim"]) == (1e-6, 6)
    assert pixels["crop_size"] == {"height": 16, "width": 16} and pixels["resample"] == 3
    assert words["eos_token"] == words["pad_token"] == "<|endoftext|>"
    assert words["model_max_length"] == 12


@pytest.mark.parametrize("resize", ["crop", "squash"])
def test_a_margin_is_kept(resize, tmp_path):
    """Images are resized to 22 pixels, and the middle 16 of them are cut out."""
    model = clip(image={"crop_fraction": 0.7, "resize": resize})
    dual_encoder.save_pretrained(model, tmp_path / "x")
    found = json.loads((tmp_path / "x" / "preprocessor_config.json").read_text("utf-8"))
    assert set(found["size"].values()) == {22} and found["do_center_crop"]
    again, ours = (each.preprocessing for each in (dual_encoder.load(tmp_path / "x"), model))
    assert {int(16 / each.pop("crop_fraction")) for each in (again, ours)} == {22}
    assert again == ours


def test_the_scale_is_bounded_as_ours_is(tmp_path):
    model = clip()
    model.build()
    model.log_scale.assign(9.0)
    dual_encoder.save_pretrained(model, tmp_path / "x")
    with safe_open(tmp_path / "x" / "model.safetensors", framework="numpy") as file:
        np.testing.assert_allclose(np.exp(file.get_tensor("logit_scale")), 100, rtol=1e-6)


def own_words():
    return dual_encoder.Tokenizer.learn(TEXTS, context_length=8)


REFUSED = {
    "stem 'convolutions', this 'patch'": lambda: clip(image={"stem": "convolutions"}),
    "pooling 'average', this 'token'": lambda: clip(image={"pooling": "average"}),
    "patch_bias True": lambda: clip(image={"patch_bias": True}),
    "depth 1, this 0": lambda: clip(projection_depth=1),
    "loss_name 'sigmoid'": lambda: clip(loss_name="sigmoid"),
    "causal False": lambda: clip(text={"causal": False}),
    "end_id 2, which stands for the highest": lambda: clip(own_words()),
    "activation: expected one of": lambda: clip(text={"activation": "elu"}),
    "text_projection has activation relu, this linear": lambda: siglip(
        text_projection=keras.layers.Dense(8, activation="relu")
    ),
    "head has use_bias False": lambda: vit(keras.layers.Dense(3, use_bias=False)),
    "first_position 3, this 0 or 1": lambda: bert(first_position=3, positions=15),
    "image_tower is a ModifiedResNet, this has a VisionTransformer": lambda: DualEncoder(
        dual_encoder.ModifiedResNet(32, depths=[1, 1, 1, 1], width=8, heads=2, output_dim=6),
        clip().text_tower,
        tokenizer=tokenizer("clip"),
    ),
    "text_tower is a Bert, this has a TextTransformer": lambda: DualEncoder(
        vision(pre_norm=True), bert().text_tower, tokenizer=tokenizer("bert")
    ),
    "tokenizer is a NoneType": lambda: TextEncoder(bert().text_tower),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_architectures_that_are_refused(reason, tmp_path):
    with pytest.raises(ValueError) as caught:
        dual_encoder.save_pretrained(REFUSED[reason](), tmp_path / "x")
    message = str(caught.value)
    assert reason in message and 'model.save("x.keras")' in message and "\n" not in message
    assert list(tmp_path.iterdir()) == []


def test_a_weight_of_its_own_is_refused(tmp_path):
    model = vit()
    model.image_tower.add_weight((1,), name="extra")
    with pytest.raises(ValueError, match="weight image_tower/extra"):
        dual_encoder.save_pretrained(model, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_half_a_folder_is_never_left(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr("safetensors.numpy.save_file", fail)
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty"):
        with pytest.raises(OSError, match="disk full"):
            dual_encoder.save_pretrained(vit(), tmp_path / name)
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


def test_folders_with_files_are_left_alone(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    for path in (tmp_path / "full", tmp_path / "full" / "mine.txt"):
        with pytest.raises(FileExistsError, match="expected a new or an empty folder"):
            dual_encoder.save_pretrained(vit(), path)
    (tmp_path / "empty").mkdir()
    dual_encoder.save_pretrained(vit(), tmp_path / "empty")
    dual_encoder.save_pretrained(vit(), tmp_path / "deep" / "er")
    names = {"config.json", "model.safetensors", "preprocessor_config.json"}
    for folder in (tmp_path / "empty", tmp_path / "deep" / "er"):
        assert {path.name for path in folder.iterdir()} == names
    assert (tmp_path / "full" / "mine.txt").read_text() == "x"


@pytest.mark.parametrize("missing", ["tokenizer.json", "tokenizer_config.json"])
def test_a_folder_without_its_tokenizer(missing, tmp_path):
    dual_encoder.save_pretrained(clip(), tmp_path / "x")
    path = tmp_path / "x" / missing
    if missing == "tokenizer.json":
        path.unlink()
        error: type[Exception] = FileNotFoundError
    else:
        path.write_text(json.dumps({"duet": {"context_length": "many"}}))
        error = ValueError
    with pytest.raises(error, match="tokenizer"):
        dual_encoder.load(tmp_path / "x")
