"""A `.keras` file that is damaged or hostile is refused in a line, before it is unpacked."""

import json
import os
import zipfile
import zlib

import numpy as np
import pytest
import safetensors.numpy
from mutations import mutants, mutated_documents
from tiny_models import clip

import dual_encoder
from dual_encoder.checkpoints.weights import load_keras_archive
from dual_encoder.checkpoints.weights.safetensors_mmap import map_tensors

COUNT = int(os.environ.get("DUET_MUTATIONS", "40"))


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """What is in a tiny model's file, by name."""
    path = tmp_path_factory.mktemp("keras") / "clip.keras"
    model = clip()
    model.build()
    model.save(path)
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


@pytest.fixture
def refused(tmp_path, members, monkeypatch):
    """Loads the members with some changed, and returns the message of the ValueError."""

    monkeypatch.setattr(load_keras_archive, "MOST_TEXT", 1_000_000)

    def load(changed, *, compression=zipfile.ZIP_STORED):
        path = tmp_path / "x.keras"
        with zipfile.ZipFile(path, "w", compression) as file:
            for name, data in (members | changed).items():
                if data is not None:
                    file.writestr(name, data)
        with pytest.raises(ValueError, match=r"x\.keras: ") as raised:
            dual_encoder.load(path)
        return str(raised.value)

    return load


def test_weights_that_are_no_numbers(tmp_path):
    model = clip()
    model.build()
    model.weights[0].assign(model.weights[0] * np.nan)
    model.save(tmp_path / "x.keras")
    with pytest.raises(ValueError, match=r"x\.keras: expected numbers for weights; got NaN or inf"):
        dual_encoder.load(tmp_path / "x.keras")


def test_a_configuration_that_unpacks_to_more_than_any_model_has(refused):
    said = refused({"config.json": b" " * 2_000_000}, compression=zipfile.ZIP_DEFLATED)
    assert "config.json would unpack to 2,000,000 bytes; expected 1,000,000 at most" in said


def test_weights_that_are_a_zip_bomb(refused):
    bomb = {"model.weights.h5": bytes(2_000_000)}
    assert "model.weights.h5 would unpack to 2,000,000" in refused(
        bomb, compression=zipfile.ZIP_DEFLATED
    )


@pytest.mark.parametrize("name", ["../evil.h5", "/evil.h5", "assets/../../evil"])
def test_members_that_lead_outside(refused, name):
    assert "expected members inside the archive" in refused({name: b"x"})


def test_a_file_without_a_configuration(refused):
    assert "it has no config.json" in refused({"config.json": None})


def test_edited_configurations(refused, members):
    """Keras reads these itself: whatever it raises is one line that names the file."""
    document = json.loads(members["config.json"])
    for data in mutated_documents(document, COUNT // 10, seed=2):
        try:
            assert len(refused({"config.json": data})) < 3000
        except pytest.fail.Exception:  # what was changed plays no role
            continue


def test_a_file_that_is_damaged_anywhere(tmp_path, members):
    path, data = tmp_path / "x.keras", bytearray()
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    data[:] = path.read_bytes()
    for at in (0, 40, len(data) // 2, len(data) - 30, len(data) - 200):
        path.write_bytes(data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :])
        with pytest.raises(ValueError, match=r"x\.keras"):
            dual_encoder.load(path)


def test_headers_of_safetensors_with_faults_in_them(tmp_path):
    path = tmp_path / "x.safetensors"
    safetensors.numpy.save_file({"a": np.zeros((2, 3)), "b": np.ones(4, "int64")}, path)
    whole = path.read_bytes()
    end = 8 + int.from_bytes(whole[:8], "little")
    refused = 0
    for header in mutants([whole[:end]], 5 * COUNT, seed=5):
        path.write_bytes(header + whole[end:])
        try:
            arrays, _ = map_tensors(path)
            assert all(zlib.crc32(np.array(each)) >= 0 for each in arrays.values())
        except ValueError as error:
            refused += str(path) in str(error)
    assert refused > 2 * COUNT
