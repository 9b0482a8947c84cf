"""The feature cache: what is kept of a frozen tower, known again, and gone on with."""

import json
from dataclasses import dataclass, replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from colours import Colours
from safetensors.numpy import load_file
from tiny_models import clip
from tiny_sources import TinySource

import dual_encoder
import tfrecords
from duet import unit_rows
from pipelines.__main__ import main
from pipelines.retrieval import embedding_jobs
from pipelines.runs import feature_cache, safetensors_files
from pipelines.runs import image_features as runs_features
from pipelines.runs.feature_cache import FeatureCache

pytestmark = pytest.mark.usefixtures("all_eagerly")


def batches():
    """Five images in batches of two; the last row is padding."""
    images = np.arange(6, dtype=np.float32).reshape(3, 2, 1, 1, 1)
    labels = np.array([[0, 1], [1, 0], [2, 2]], np.int32)
    weights = np.array([[1, 1], [1, 1], [1, 0]], np.float32)
    return [({"image": x}, y, weight) for x, y, weight in zip(images, labels, weights, strict=True)]


def encode(images):
    return np.concatenate([images.reshape(-1, 1), -images.reshape(-1, 1)], axis=1)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    tfrecords.write(Colours(), folder, shard_size=40, workers=1, progress=False)
    return folder


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    built = clip()
    built.build()
    return built


@pytest.fixture
def computed(monkeypatch):
    """The numbers of images that were encoded, by piece."""
    counts, pieces = [], feature_cache._in_pieces

    def counted(*args, **options):
        for piece in pieces(*args, **options):
            counts.append(len(piece))
            yield piece

    monkeypatch.setattr(feature_cache, "_in_pieces", counted)
    monkeypatch.setattr(feature_cache, "PIECE", 32)
    return counts


def cache_of(records, folder):
    return FeatureCache(folder, str(records), tfrecords.Manifest.read(records), batch_size=16)


def test_features_without_the_padding():
    found = runs_features.compute(encode, batches(), count=5)
    np.testing.assert_array_equal(found.values, [[0, 0], [1, -1], [2, -2], [3, -3], [4, -4]])
    np.testing.assert_array_equal(found.labels, [0, 1, 1, 0, 2])


def test_models_with_the_same_weights_that_compute_otherwise_do_not_share_features(model):
    """As two towers of one checkpoint do, of which one has the approximate GELU."""
    other = clip(image={"activation": "gelu"})
    other.build()
    same = clip()
    same.build()
    for weights in (other.weights, same.weights):
        for weight, value in zip(weights, model.weights, strict=True):
            weight.assign(value)
    own = feature_cache._fingerprint(model)
    assert feature_cache._fingerprint(same) == own != feature_cache._fingerprint(other)


def test_a_split_is_embedded_once_and_its_unit_rows_are_the_models_embeddings(
    records, model, tmp_path, computed
):
    first = cache_of(records, tmp_path).read(model, "test")
    again = cache_of(records, tmp_path).read(model, "test")  # as another process would
    assert computed == [32, 4]
    np.testing.assert_array_equal(first.values, again.values)
    np.testing.assert_array_equal(again.labels, np.arange(36) % 6)
    assert again.seconds == pytest.approx(first.seconds) and first.seconds > 0
    (x, _, _) = next(iter(tfrecords.load(records, "test", batch_size=36, **model.preprocessing)))
    expected = np.asarray(model.encode_image(x["image"]))
    np.testing.assert_allclose(unit_rows.unit(first.values), expected, atol=1e-5)


def test_images_are_rows_in_the_order_asked_for_and_only_missing_ones_are_computed(
    records, model, tmp_path, computed
):
    cache = cache_of(records, tmp_path)
    ids, labels = cache.labels("train")
    some = cache.read(model, "train", ids[[50, 3, 50]])
    assert computed == [2]
    np.testing.assert_array_equal(some.labels, labels[[50, 3, 50]])
    whole = cache.read(model, "train")
    assert sum(computed) == 90  # two, and the other 88
    np.testing.assert_allclose(some.values, whole.values[[50, 3, 50]], atol=1e-5)


def test_what_was_stopped_goes_on(records, model, tmp_path, computed):
    pieces = cache_of(records, tmp_path)._computed(
        model, "train", np.arange(90), view=0, folder=tmp_path / "half"
    )
    next(pieces)
    pieces.close()
    kept = [load_file(path) for path in (tmp_path / "half").iterdir()]
    assert [len(piece["ids"]) for piece in kept] == [32]
    (folder,) = {cache_of(records, tmp_path)._folder(model, "train", 0)}
    (tmp_path / "half").rename(folder)
    del computed[:]
    cache_of(records, tmp_path).read(model, "train")
    assert sum(computed) == 58


def test_a_damaged_piece_is_computed_again(records, model, tmp_path, computed):
    whole = cache_of(records, tmp_path).read(model, "test")
    path = sorted(tmp_path.rglob("*.safetensors"))[0]
    for damage in (
        lambda: path.write_bytes(path.read_bytes()[:40]),
        lambda: safetensors_files.write(path, {"values": whole.values}),
    ):
        damage()
        again = cache_of(records, tmp_path).read(model, "test")
        np.testing.assert_allclose(again.values, whole.values, atol=1e-5)


def test_other_weights_views_and_records_are_other_features(records, model, tmp_path):
    other = clip()
    other.build()
    cache = cache_of(records, tmp_path)
    cut = SimpleNamespace(
        image_tower=model.image_tower,
        image_projection=model.image_projection,
        preprocessing={**model.preprocessing, "crop_fraction": 0.5},
    )
    folders = [
        cache._folder(model, "test", 0),
        cache._folder(other, "test", 0),
        cache._folder(cut, "test", 0),
        cache._folder(model, "train", 0),
        cache._folder(model, "test", 1),
        cache._folder(model, "test", 2),
    ]
    assert len(set(folders)) == len(folders)


def test_views_depend_on_their_number_and_the_image_alone_and_are_embedded_once(
    records, model, tmp_path, computed
):
    cache = cache_of(records, tmp_path / "some")
    ids, labels = cache.labels("train")
    some = cache.read(model, "train", ids[[50, 3, 50]], views=3)
    assert some.values.shape == (3, 3, 6) and computed == [2, 2, 2]
    np.testing.assert_array_equal(some.labels, labels[[50, 3, 50]])
    np.testing.assert_array_equal(
        some.values[0], cache.read(model, "train", ids[[50, 3, 50]]).values
    )
    first, second, third = some.values
    assert abs(first - second).max() > 1e-3 and abs(second - third).max() > 1e-3
    more = cache.read(model, "train", ids[:60], views=4)  # other images and one view more
    assert computed[3:] == [32, 26] * 3 + [32, 28]
    np.testing.assert_allclose(more.values[:3, [50, 3, 50]], some.values, atol=1e-5)
    assert cache.read(model, "train", ids[:60], views=4).seconds == pytest.approx(more.seconds)
    assert len(computed) == 11


def test_without_a_folder_nothing_is_kept(records, model, tmp_path, computed):
    cache = cache_of(records, None)
    cache.read(model, "test")
    cache.read(model, "test")
    assert sum(computed) == 72 and not list(tmp_path.iterdir())


def test_evaluate_takes_features_from_a_cache_and_says_the_same(home, computed):
    arguments = ["--data", str(home / "records"), "--model", str(home / "clip.keras")]
    found = []
    for out, more in (("plain", []), ("first", ["--features"]), ("again", ["--features"])):
        given = [*more, str(home / "cache")] if more else []
        out = home / out
        command = ["evaluate", *arguments, "--out", str(out), "--bootstrap", "0", *given]
        assert main(command) == 0
        found.append(json.loads((out / "results.json").read_text())["metrics"])
    assert sum(computed) == 36  # the images of split test, once
    assert found[1] == found[2]
    assert found[0] == pytest.approx(found[1], abs=1e-4)


def indexed(home, index, *more):
    """The rows by image, once `retrieve --build` has made them."""
    where = ["--index", str(home / "indexes" / index), "--data", str(home / "records")]
    made = ["--model", str(home / "clip.keras"), *more]
    assert main(["retrieve", "--build", *where, *made]) == 0
    shards = dual_encoder.Index.open(home / "indexes" / index).shards
    return {
        name: row for rows in shards for name, row in zip(rows.ids(), rows.embeddings, strict=True)
    }


def assert_the_same(found, expected):
    assert found.keys() == expected.keys()
    for name, row in found.items():
        np.testing.assert_allclose(row, expected[name], atol=1e-5)


def test_an_index_of_records_shares_the_cache_with_the_other_commands(home, computed):
    plain = indexed(home, "plain", "--batch-size", "7")
    assert len(plain) == 126 and not computed
    shared = ["--features", str(home / "shared")]
    given = ["--data", str(home / "records"), "--model", str(home / "clip.keras"), *shared]
    assert main(["evaluate", *given, "--out", str(home / "before"), "--bootstrap", "0"]) == 0
    assert sum(computed) == 36  # split test
    assert_the_same(indexed(home, "first", *shared), plain)
    assert sum(computed) == 36 + 90
    assert main(["inspect", *given, "--out", str(home / "inspected")]) == 0
    assert_the_same(indexed(home, "again", *shared, "--splits", "test", "train"), plain)
    assert sum(computed) == 36 + 90


def test_an_index_that_was_stopped_takes_what_the_cache_has(home, computed, monkeypatch):
    plain, keep, kept = indexed(home, "whole"), embedding_jobs._keep, []
    monkeypatch.setattr(embedding_jobs, "PART", 50)

    def stopped(*args):
        keep(*args)
        kept.append(args)
        if len(kept) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(embedding_jobs, "_keep", stopped)
    shared = ["--features", str(home / "stopped_cache")]
    with pytest.raises((KeyboardInterrupt, AssertionError)):
        indexed(home, "stopped", *shared)
    assert sum(computed) == 90  # split train, of which the index has 50
    piece = sorted((home / "stopped_cache").rglob("*.safetensors"))[0]
    piece.write_bytes(piece.read_bytes()[:40])
    assert_the_same(indexed(home, "stopped", *shared), plain)
    assert [len(args[1]) for args in kept] == [50, 40, 36]
    assert sum(computed) == 90 + 36


@dataclass(frozen=True)
class Several(TinySource):
    """Its images have several labels."""

    multi_label = True

    def read(self, split, start, stop):
        for raw in super().read(split, start, stop):
            yield replace(raw, label=(raw.label, 2) if raw.label < 2 else (2,))


@pytest.mark.parametrize(
    "source",
    [TinySource(labels=False, captions=2), Several()],
    ids=["captions", "several labels"],
)
def test_an_index_of_records_of_every_kind(home, tmp_path, computed, source):
    tfrecords.write(source, tmp_path / "records", workers=1, progress=False)
    (tmp_path / "clip.keras").symlink_to(home / "clip.keras")
    plain = indexed(tmp_path, "plain")
    shared = ["--features", str(tmp_path / "cache")]
    assert_the_same(indexed(tmp_path, "index", *shared), plain)
    assert sum(computed) == 30
