"""`load` of a name, of a repository, of what is wrong there, on a stand-in of the hub."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import dual_encoder
from dual_encoder.checkpoints import load

FIXTURES = Path(__file__).parent / "fixtures" / "pretrained"
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
ROW = replace(
    dual_encoder.CHECKPOINTS["clip-vit-base-patch32"],
    repository="duet/tiny",
    parameters=3_417,
    image_size=16,
    patch_size=8,
    embed_dim=8,
    context_length=8,
    mean=MEAN,
    std=STD,
    tag="tiny/duet",
)


def files_of(name):
    """A published repository: the fixture with other things beside it."""
    folder = FIXTURES / name
    paths = [path for path in folder.rglob("*") if path.is_file()]
    files = {str(path.relative_to(folder)): path.read_bytes() for path in paths}
    return {**files, "README.md": b"about", "pytorch_model.bin": b"never wanted"}


def assert_is(model, name):
    wanted = load_file(FIXTURES / name / "expected.safetensors")
    found = np.array(model.encode_image(wanted["image_pixels"]))
    np.testing.assert_allclose(found, wanted["image"], atol=1e-5)


def refused(error, *arguments, **options):
    with pytest.raises(error) as caught:
        dual_encoder.load(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture
def table(monkeypatch):
    """A table with one row, whose published files are a fixture."""

    def put(row):
        monkeypatch.setattr(load, "CHECKPOINTS", {"tiny": row})

    return put


@pytest.mark.parametrize("name", ["clip_quick_gelu_legacy_eos", "open_clip_vit"])
def test_a_repository_by_its_address(hub, name, tmp_path):
    hub.publish("duet/tiny", files_of(name))
    assert_is(dual_encoder.load("hf://duet/tiny"), name)
    fetched = {path.name for path in (tmp_path / "cache").rglob("snapshots/*/*")}
    assert "pytorch_model.bin" not in fetched and "README.md" not in fetched


def test_a_name_of_the_table_or_its_tag(hub, table):
    name = "clip_quick_gelu_legacy_eos"
    hub.publish("duet/tiny", files_of(name))
    model = dual_encoder.load("hf://duet/tiny")
    count = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    table(replace(ROW, parameters=count))
    size = (FIXTURES / name / "model.safetensors").stat().st_size
    assert load.bytes_here(load.CHECKPOINTS["tiny"]) == size
    for given in ("tiny", "tiny/duet"):
        assert_is(dual_encoder.load(given), name)
    assert dual_encoder.load("tiny", image_size=24).image_size == 24


def test_a_configuration_that_contradicts_the_table(hub, table):
    hub.publish("duet/tiny", files_of("clip_gelu_bfloat16"))
    table(ROW)
    message = refused(ValueError, "tiny")
    assert message.startswith("duet/tiny: its configuration contradicts the table of checkpoints:")
    assert "activation: the table has 'quick_gelu', the checkpoint 'gelu'" in message


def test_pixel_statistics_that_contradict_the_table(hub, table):
    files = files_of("clip_quick_gelu_legacy_eos")
    pixels = json.loads(files["preprocessor_config.json"])
    files["preprocessor_config.json"] = json.dumps({**pixels, "image_mean": STD}).encode()
    hub.publish("duet/tiny", files)
    table(ROW)
    assert "mean: the table has (0.4, 0.5, 0.6), the checkpoint (0.2, 0.3, 0.25)" in refused(
        ValueError, "tiny"
    )


def test_weights_that_would_have_to_be_unpickled(hub, table, tmp_path):
    files = files_of("clip_quick_gelu_legacy_eos")
    del files["model.safetensors"]
    hub.publish("duet/tiny", files)
    table(ROW)
    for given in ("tiny", "hf://duet/tiny"):
        message = refused(ValueError, given)
        assert "expected model*.safetensors among its files" in message
        assert "pytorch_model.bin would have to be unpickled" in message


def test_what_is_not_there(hub, table):
    table(ROW)
    assert load.bytes_here(ROW) is None
    for given in ("tiny", "hf://duet/tiny"):
        assert refused(FileNotFoundError, given).startswith("duet/tiny: no such repository")
    assert "expected a repository of the form 'org/repo'" in refused(ValueError, "hf://tiny")
