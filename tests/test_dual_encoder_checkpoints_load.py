"""`dual_encoder.load`: the ways in, and what each wrong one says."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import classifiers
import dual_encoder
from dual_encoder.checkpoints.fetch_by_name import settings

pytestmark = pytest.mark.usefixtures("all_eagerly")

CHECKPOINTS = Path(__file__).parent / "fixtures" / "pretrained"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run, with a model as training leaves it."""
    folder = tmp_path_factory.mktemp("run")
    tokenizer = dual_encoder.Tokenizer.learn(["a red star"], context_length=6)
    small = {"width": 8, "depth": 1, "heads": 2}
    model = dual_encoder.DualEncoder(
        dual_encoder.image_tower("vit-tiny", image_size=16, **small),
        dual_encoder.text_tower("transformer-tiny", tokenizer, **small),
        embed_dim=4,
        tokenizer=tokenizer,
    )
    model.build()
    model.compile("adamw")
    model.save(folder / "model.keras")
    return folder


def refused(error, name):
    with pytest.raises(error) as caught:
        dual_encoder.load(name)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_file_and_the_folder_of_a_run(run):
    images = np.zeros((1, 16, 16, 3), "uint8")
    one, two = dual_encoder.load(run / "model.keras"), dual_encoder.load(str(run))
    assert isinstance(one, dual_encoder.DualEncoder)
    np.testing.assert_array_equal(one.encode_image(images), two.encode_image(images))
    assert one.encode_text(one.tokenizer(["a red star"])).shape == (1, 4)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("shape-tiny", "shapes-tiny"),
        ("vit-b-32/openia", "ViT-B-32/openai or ViT-B-16/openai"),
        ("ViT-L/14@336px", "ViT-L-14-336/openai"),
        ("ViT-B/32", "ViT-B-32/openai"),
        ("openai/nothing-like-it", "hf://openai/nothing-like-it"),
        ("hf-hub:org/repo", "hf://org/repo"),
        ("https://huggingface.co/org/repo/tree/v1", "hf://org/repo@v1"),
        ("https://hf.co/org/repo/blob/main/config.json", "hf://org/repo"),
        ("", None),
    ],
)
def test_what_may_be_meant_by_a_name(name, meant):
    message = refused(FileNotFoundError, name)
    assert message.startswith(f"no model {name!r}; expected a .keras file, a folder, hf://")
    assert message.endswith(f"; did you mean {meant}?" if meant else "lists")


def test_a_name_in_a_folder_that_is_there_means_what_lies_beside_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs/photos").mkdir(parents=True)
    assert refused(FileNotFoundError, "runs/fotos").endswith("lists; did you mean runs/photos?")
    assert refused(FileNotFoundError, "runs/else").endswith("lists")


def test_the_folder_of_a_cache_names_its_snapshots(tmp_path):
    (tmp_path / "snapshots" / "abc").mkdir(parents=True)
    assert refused(FileNotFoundError, tmp_path).endswith("expected one of its snapshots: abc")


def test_weights_alone(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"x")
    assert refused(ValueError, path) == (
        f"{path}: weights alone are no model; expected the folder that they lie in, with "
        "open_clip_config.json or config.json, and a tokenizer, beside them"
    )
    assert refused(FileNotFoundError, tmp_path) == (
        f"{tmp_path}: expected open_clip_config.json or config.json with the weights; "
        "there is model.safetensors"
    )


@pytest.mark.parametrize(
    ("file", "name", "repository"),
    [
        ("ViT-B-32.pt", "clip-vit-base-patch32", "timm/vit_base_patch32_clip_224.openai"),
        ("ViT-L-14-336px.pt", "clip-vit-large-patch14-336", "timm/vit_large_patch14_clip_336."),
        ("RN50x4.pt", "RN50x4/openai", "timm/resnet50x4_clip.openai"),
        ("best.pt", None, None),
    ],
)
def test_weights_as_openai_s_package_keeps_them_name_their_row(file, name, repository, tmp_path):
    (tmp_path / file).write_bytes(b"x")
    message = refused(ValueError, tmp_path / file)
    assert "or the folder that they lie in" in message or name is None
    assert (f"expected {name}, the same from the hub" in message) == (name is not None)
    assert (f"hf://{repository}" in message) == (name is not None)


def test_a_folder_without_a_model(tmp_path):
    message = refused(FileNotFoundError, tmp_path)
    assert message.startswith(f"{tmp_path}: no model.keras in this folder (has the run finished?)")


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("manifest.json", "{} holds records; expected a model: a .keras file, a folder, "),
        ("export.json", "{} holds an export, which `predict` takes; expected a model: "),
        ("inspection.json", "{} holds what `inspect` found; expected a model: "),
        ("index.json", "{} holds an index of `retrieve`; expected a model: "),
        ("runs/paint/seed-1/model.keras", "{0} is a comparison; expected one of its runs: {0}/"),
        ("seed-1/model.keras", "{0}: expected one of the runs in it: {0}/seed-1"),
        (
            "cells/coop/prompts.safetensors",
            "{0}/cells/coop/prompts.safetensors holds learnt prompts; expected the model of them, "
            "and --prompts {0}/cells/coop/prompts.safetensors",
        ),
    ],
)
def test_a_folder_that_is_something_else_of_duet_s_is_named(file, message, tmp_path):
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).touch()
    (tmp_path / "features.safetensors").touch()  # most of them have some
    assert refused(FileNotFoundError, tmp_path).startswith(message.format(tmp_path))


def test_not_a_keras_file(tmp_path):
    path = tmp_path / "model.h5"
    path.write_bytes(b"x")
    assert refused(ValueError, path) == f"{path}: expected a .keras file; got '.h5'"


def test_another_model(tmp_path):
    path = tmp_path / "other.keras"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(path)
    expected = "expected a dual encoder, a tower or a classifier"
    assert refused(ValueError, path) == f"{path}: {expected}; got a Sequential"


def test_damaged_files(run, tmp_path):
    whole = (run / "model.keras").read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 3] ^= 255
    contents = {
        "empty": b"",
        "text": b"not a model",
        "half": whole[: len(whole) // 2],
        "flipped": bytes(flipped),
    }
    for name, content in contents.items():
        path = tmp_path / f"{name}.keras"
        path.write_bytes(content)
        said = (
            "model.weights.h5 is damaged (" if name == "flipped" else "not a readable .keras file ("
        )
        assert refused(ValueError, path).startswith(f"{path}: {said}"), name


def test_a_class_that_nobody_knows(tmp_path):
    path = tmp_path / "foreign.keras"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("metadata.json", "{}")
        file.writestr("config.json", '{"class_name": "A", "module": "b", "registered_name": "b>A"}')
    assert refused(ValueError, path).startswith(f"{path}: not a readable .keras file (")


def test_a_classifier_needs_no_other_import(run, tmp_path):
    model = classifiers.from_model(dual_encoder.load(run), classes=["star", "ring"])
    model.save(tmp_path / "model.keras")
    code = f"import dual_encoder; print(dual_encoder.load({str(tmp_path)!r}).class_names)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['star', 'ring']\n"


@keras.saving.register_keras_serializable("somebody")
class Mine(dual_encoder.DualEncoder):
    """A class that a fresh process does not know."""


def replace_in(path, old, new):
    """Replace a text in every member of an archive."""
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w") as file:
        for name, data in parts.items():
            file.writestr(name, data.replace(old, new))


def test_a_class_that_is_not_imported_is_named(run, tmp_path):
    known = dual_encoder.load(run)
    Mine.from_config(known.get_config()).built_now().save(tmp_path / "model.keras")
    path = tmp_path / "model.keras"
    replace_in(path, b"Mine", b"Ours")
    expected = "import what defines and registers the class Ours first"
    assert refused(ValueError, path) == f"{path}: not a readable .keras file ({expected})"


@keras.saving.register_keras_serializable("somebody")
class Scaled(keras.layers.Layer):
    """A layer that a fresh process does not know."""

    def call(self, inputs):
        return inputs / 255


def test_a_layer_inside_of_a_model_that_is_not_imported_is_named(tmp_path):
    image = keras.Input((8, 8, 3))
    plain = keras.Model(image, keras.layers.Flatten()(Scaled()(image)))
    path = tmp_path / "model.keras"
    classifiers.from_model(plain, classes=["star", "ring"]).save(path)
    replace_in(path, b"Scaled", b"Shaped")
    expected = "import what defines and registers the class Shaped first"
    assert refused(ValueError, path) == f"{path}: not a readable .keras file ({expected})"


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_the_global_precision_holds_for_a_packed_file(policy):
    expected = np.asarray(dual_encoder.load("shapes-tiny").encode_text("a red star"))
    keras.config.set_dtype_policy(policy)
    try:
        model = dual_encoder.load("shapes-tiny")
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.image_tower.dtype_policy.name == model.text_tower.dtype_policy.name == policy
    found = np.asarray(model.encode_text("a red star"))
    assert 0 < np.abs(found - expected).max() < 0.01


def test_a_sentencepiece_model_is_fetched_where_there_is_no_tokenizer_json():
    assert "spiece.model" in settings(["config.json", "spiece.model"])
    assert "spiece.model" not in settings(["spiece.model", "tokenizer.json"])


@pytest.mark.parametrize("size", [0, -8, "x", 8.0])
def test_an_image_size_that_is_none_is_refused(size):
    with pytest.raises(
        ValueError, match=f"image_size: expected a whole number above 0; got {size!r}"
    ):
        dual_encoder.load("shapes-tiny", image_size=size)


@pytest.mark.parametrize("key", ["width", "mlp_ratio"])
def test_sizes_that_the_weights_have_not_take_no_memory(tmp_path, key):
    """The variables would be of some hundred gigabytes; and the next checkpoint loads."""
    right = CHECKPOINTS / "open_clip_vit"
    folder = shutil.copytree(right, tmp_path / "wrong")
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["vision_cfg"][key] = 100_000 if key == "width" else 1e10
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"expected|do not match"):
        dual_encoder.load(folder)
    assert dual_encoder.load(right).built


def changed(tmp_path, name, change, **settings):
    """A checkpoint with other tensors and settings."""
    folder = shutil.copytree(CHECKPOINTS / name, tmp_path / name)
    weights = folder / "model.safetensors"
    save_file(change(load_file(weights)), weights)
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | settings))
    return folder


def test_a_scale_with_an_axis_is_the_same(tmp_path):
    folder = changed(
        tmp_path, "clip_quick_gelu_legacy_eos", lambda t: t | {"logit_scale": np.full(1, 1.5)}
    )
    assert float(dual_encoder.load(folder).log_scale) == 1.5


def test_a_part_that_is_there_twice_is_the_second_as_transformers_reads_it(tmp_path):
    """`transformers` completes the second by its own defaults before that replaces the first."""
    source = json.loads((CHECKPOINTS / "clip_quick_gelu_legacy_eos" / "config.json").read_text())
    first, act = source["text_config"], {"hidden_act": "gelu", "layer_norm_eps": 1e-3}
    second = {key: value for key, value in first.items() if key not in act}
    folder = changed(
        tmp_path,
        "clip_quick_gelu_legacy_eos",
        lambda tensors: tensors,
        text_config=first | act,
        text_config_dict=second,
    )
    tower = dual_encoder.load(folder).text_tower
    assert (tower.activation.__name__, tower.epsilon) == ("quick_gelu", 1e-5)


@pytest.mark.parametrize("name", ["clip_quick_gelu_legacy_eos", "siglip"])
def test_an_image_tower_with_a_classifier_is_no_dual_encoder(tmp_path, name):
    head = {"classifier.weight": np.ones((3, 8)), "classifier.bias": np.ones(3)}
    folder = changed(
        tmp_path,
        name,
        lambda t: head | {key: value for key, value in t.items() if key.startswith("vision_")},
        architectures=["CLIPForImageClassification"],
    )
    message = refused(ValueError, folder)
    assert message.endswith("an image classifier (architectures: CLIPForImageClassification)")


@pytest.mark.parametrize("beside", [True, False])
def test_an_adapter_is_not_passed_over(tmp_path, beside):
    if beside:
        shutil.copytree(CHECKPOINTS / "vit_classifier", tmp_path, dirs_exist_ok=True)
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    assert "got adapter_config.json, an adapter" in refused(ValueError, tmp_path)


def test_the_folder_of_a_training_names_its_checkpoints(tmp_path):
    for name in ("checkpoint-500", "checkpoint-1000"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    message = refused(FileNotFoundError, tmp_path)
    assert message.endswith("folders in it with a model: checkpoint-1000, checkpoint-500")


@pytest.mark.parametrize("name", [None, 3, b"shapes-tiny"])
def test_a_name_is_a_text_or_a_path(name):
    with pytest.raises(ValueError, match=r"^name: expected a text or a path, as .*; got "):
        dual_encoder.load(name)
