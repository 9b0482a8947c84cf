"""Features of frozen towers: computed without the padding, kept, known again."""

import numpy as np
import pytest

from pipelines.runs import features as runs_features


def batches():
    """Five images in batches of two; the last row is padding."""
    images = np.arange(6, dtype=np.float32).reshape(3, 2, 1, 1, 1)
    labels = np.array([[0, 1], [1, 0], [2, 2]], np.int32)
    weights = np.array([[1, 1], [1, 1], [1, 0]], np.float32)
    return [({"image": x}, y, weight) for x, y, weight in zip(images, labels, weights, strict=True)]


def encode(images):
    return np.concatenate([images.reshape(-1, 1), -images.reshape(-1, 1)], axis=1)


def test_features_without_the_padding():
    found = runs_features.compute(encode, batches(), count=5)
    np.testing.assert_array_equal(found.values, [[0, 0], [1, -1], [2, -2], [3, -3], [4, -4]])
    np.testing.assert_array_equal(found.labels, [0, 1, 1, 0, 2])


def test_features_are_computed_once(tmp_path):
    calls = []

    def make():
        calls.append(1)
        return runs_features.compute(encode, batches(), count=5)

    path, key = tmp_path / "cache" / "train.safetensors", {"model": "a", "ids": [1, 2]}
    first = runs_features.cached(path, key, make)
    again = runs_features.cached(path, {"ids": [1, 2], "model": "a"}, make)
    np.testing.assert_array_equal(first.values, again.values)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert calls == [1]
    runs_features.cached(path, {**key, "model": "b"}, make)
    assert calls == [1, 1] and [p.name for p in path.parent.iterdir()] == ["train.safetensors"]


def test_nothing_is_kept_of_features_that_could_not_be_computed(tmp_path):
    def fail():
        raise ValueError("no image")

    with pytest.raises(ValueError, match="no image"):
        runs_features.cached(tmp_path / "train.safetensors", {}, fail)
    assert not list(tmp_path.iterdir())
