"""Weights kept in Keras' form: loaded again without reading the checkpoint, and never wrong."""

import shutil

import numpy as np
import pytest
from tiny_models import FAMILIES, PIXELS, TEXTS, assert_same, clip, outputs, scrambled

import dual_encoder
from dual_encoder.checkpoints.weights import weight_cache, weight_mapping
from duet import cache_folder

pytestmark = pytest.mark.usefixtures("all_eagerly")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(cache_folder.SETTING, str(tmp_path / "cache"))
    monkeypatch.setattr(weight_cache, "LEAST", 0)
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A checkpoint, and what its model gives."""
    model = scrambled(clip())
    folder = tmp_path_factory.mktemp("made") / "clip"
    dual_encoder.save_pretrained(model, folder)
    return folder, outputs(model)


@pytest.fixture
def saved(made, tmp_path):
    """The same in a folder of the test's own."""
    folder, expected = made
    return shutil.copytree(folder, tmp_path / "clip"), expected


def files(cache):
    return sorted(cache.iterdir()) if cache.is_dir() else []


@pytest.mark.parametrize("name", FAMILIES)
def test_the_second_time_reads_the_kept_weights_alone(name, cache, tmp_path, monkeypatch):
    model = scrambled(FAMILIES[name]())
    dual_encoder.save_pretrained(model, tmp_path / name)
    dual_encoder.load(tmp_path / name)
    assert len(files(cache)) == 1

    def fail(*_):
        raise AssertionError("read a tensor of the checkpoint")

    monkeypatch.setattr(weight_mapping, "_value", fail)
    assert_same(outputs(dual_encoder.load(tmp_path / name)), outputs(model))
    assert len(files(cache)) == 1


def test_training_changes_the_model_and_not_the_file(cache, saved):
    folder, expected = saved
    dual_encoder.load(folder)
    (path,) = files(cache)
    before = path.read_bytes()
    model = dual_encoder.load(folder)
    model.compile("adamw")
    batch = {"image": PIXELS, "token_ids": np.asarray(model.tokenizer(TEXTS))}
    model.train_on_batch(batch, np.arange(len(TEXTS)))
    kernel = "text_tower/block_0/mlp_hidden/kernel"
    trained, fresh = (
        np.array(names_of(each)[kernel]) for each in (model, dual_encoder.load(folder))
    )
    assert np.abs(trained - fresh).max() > 1e-5
    assert path.read_bytes() == before
    assert_same(outputs(dual_encoder.load(folder)), expected)


def names_of(model):
    from dual_encoder.variable_names import named_variables

    return named_variables(model)


def test_large_weights_are_the_pages_of_the_file(cache, saved):
    folder, _ = saved
    variables = names_of(dual_encoder.load(folder))
    (path,) = files(cache)
    kept = weight_cache.find(path, {name: tuple(each.shape) for name, each in variables.items()})
    arrays = kept.arrays
    places = {name: array.ctypes.data % 64 for name, array in arrays.items()}
    assert all(places[name] == 0 for name, array in arrays.items() if array.nbytes % 64 == 0)
    assert sum(place == 0 for place in places.values()) > len(places) / 2


def test_another_checkpoint_in_the_same_place_is_read_and_the_old_weights_go(cache, saved):
    folder, _ = saved
    dual_encoder.load(folder)
    (old,) = files(cache)
    other = clip()
    for variable in other.trainable_variables:
        variable.assign(variable + 0.3)
    shutil.rmtree(folder)
    dual_encoder.save_pretrained(other, folder)
    found = outputs(dual_encoder.load(folder))
    assert_same(found, outputs(other))
    (new,) = files(cache)
    assert new != old


def test_other_sizes_of_images_are_kept_beside_and_gone_checkpoints_dropped(cache, saved, tmp_path):
    folder, _ = saved
    dual_encoder.load(folder)
    dual_encoder.load(folder, image_size=24)
    assert len(files(cache)) == 2
    shutil.rmtree(folder)
    dual_encoder.save_pretrained(clip(), tmp_path / "another")
    dual_encoder.load(tmp_path / "another")
    assert len(files(cache)) == 1


@pytest.mark.parametrize("damage", ["cut", "other shapes", "nothing"])
def test_damaged_files_are_made_again(cache, saved, damage):
    folder, expected = saved
    dual_encoder.load(folder)
    (path,) = files(cache)
    whole = path.read_bytes()
    if damage == "other shapes":
        weight_cache.write(path, {"log_scale": np.zeros(3, "float32")}, folder)
    else:
        path.write_bytes(whole[:-100] if damage == "cut" else b"")
    assert_same(outputs(dual_encoder.load(folder)), expected)
    assert path.read_bytes() == whole


def test_a_flipped_byte_is_noticed_and_the_checkpoint_read_again(cache, saved):
    folder, expected = saved
    dual_encoder.load(folder)
    (path,) = files(cache)
    whole = path.read_bytes()
    for place in (-1, -2000):
        damaged = bytearray(whole)
        damaged[place] ^= 0x40
        path.write_bytes(damaged)
        assert_same(outputs(dual_encoder.load(folder)), expected)
        assert files(cache) == []
        dual_encoder.load(folder)
        assert path.read_bytes() == whole


def test_a_damaged_state_is_dropped(cache, saved, tmp_path):
    folder, _ = saved
    dual_encoder.load(folder)
    (path,) = files(cache)
    path.write_bytes(path.read_bytes().replace(b'{\\"files', b'(\\"files', 1))
    dual_encoder.save_pretrained(clip(), tmp_path / "another")
    dual_encoder.load(tmp_path / "another")
    assert path not in files(cache) and len(files(cache)) == 1


@pytest.mark.parametrize("trouble", ["full", "fails", "a file is there", "unwanted", "small"])
def test_without_room_or_wish_nothing_is_kept_and_all_is_loaded(cache, saved, trouble, monkeypatch):
    folder, expected = saved
    if trouble == "full":
        usage = shutil.disk_usage("/")._replace(free=100)
        monkeypatch.setattr(weight_cache.shutil, "disk_usage", lambda _: usage)
    elif trouble == "fails":

        def fail(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(weight_cache.os, "replace", fail)
    elif trouble == "a file is there":
        cache.write_text("not a folder")
    elif trouble == "unwanted":
        monkeypatch.setenv(cache_folder.SETTING, "")
    else:
        monkeypatch.setattr(weight_cache, "LEAST", 64 << 20)
    assert_same(outputs(dual_encoder.load(folder)), expected)
    assert files(cache) == []


def test_another_layout_in_the_same_folder_has_a_place_of_its_own(cache, saved):
    folder, _ = saved
    shapes = {"kernel": (2, 3)}
    one, same, other = (
        weight_cache.place(folder, [n], shapes) for n in ("a.weight", "a.weight", "b")
    )
    assert one == same != other
