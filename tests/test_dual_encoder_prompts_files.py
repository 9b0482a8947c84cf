"""Saved prompts: back as they were, and refused where they mean nothing."""

import json
import shutil

import numpy as np
import pytest
from keras import ops
from prompted_models import model_of
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import dual_encoder
from dual_encoder import CoCoOp, CoOp, describe_prompts, load_prompts, nearest_words, save_prompts

NAMES = ["cat", "red apple pie", "café"]
OPTIONS = {
    "end": {"n_ctx": 3},
    "class-specific": {"n_ctx": 3, "class_specific": True, "position": "front"},
    "words": {"words": "a photo of a", "position": "middle"},
}


@pytest.fixture(scope="module")
def clip():
    return model_of("clip")


@pytest.fixture(scope="module")
def file(clip, tmp_path_factory):
    path = tmp_path_factory.mktemp("prompts") / "prompts.safetensors"
    save_prompts(CoOp(clip, NAMES, n_ctx=3, seed=1), path, backbone="tiny-clip", shots=4)
    return path


def moved(prompts):
    rng = np.random.default_rng(0)
    for weight in prompts.weights:
        weight.assign(rng.normal(size=weight.shape))
    return prompts


@pytest.mark.parametrize(
    ("kind", "options"),
    [*((CoOp, name) for name in OPTIONS), (CoCoOp, "end"), (CoCoOp, "words")],
)
def test_there_and_back(clip, kind, options, tmp_path):
    given = {"words": None, **OPTIONS[options]}
    prompts = moved(kind(clip, NAMES, **given))
    save_prompts(prompts, tmp_path / "p.safetensors", backbone="tiny-clip", seed=3)
    assert (tmp_path / "p.safetensors").stat().st_size < 10_000
    loaded = load_prompts(tmp_path / "p.safetensors", clip, class_names=NAMES)
    assert type(loaded) is kind and loaded.class_names == NAMES
    for ours, theirs in zip(loaded.weights, prompts.weights, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(ours), ops.convert_to_numpy(theirs))
    x = np.ones((2, 6), "float32")
    np.testing.assert_allclose(loaded(x), prompts(x), atol=1e-6)
    about = describe_prompts(tmp_path / "p.safetensors")
    assert (about["backbone"], about["seed"], about["n_ctx"]) == ("tiny-clip", 3, prompts.n_ctx)


def test_frozen_prompts_are_written_too(clip, tmp_path):
    prompts = CoOp(clip, NAMES, n_ctx=3, seed=1)
    prompts.trainable = False
    save_prompts(prompts, tmp_path / "p.safetensors", backbone="tiny-clip")
    loaded = load_prompts(tmp_path / "p.safetensors", clip)
    np.testing.assert_array_equal(*map(ops.convert_to_numpy, (loaded.context, prompts.context)))


def refused(error, *arguments, **options):
    with pytest.raises(error) as caught:
        load_prompts(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_another_backbone_is_refused(clip, file):
    other = model_of("clip")
    assert load_prompts(file, other).n_ctx == 3  # the same weights
    weight = other.text_tower.weights[0]
    weight.assign(ops.convert_to_numpy(weight) + 1e-3)
    message = refused(ValueError, file, other, backbone="another")
    own, found = dual_encoder.fingerprint(clip)[:8], dual_encoder.fingerprint(other)[:8]
    assert f"learnt with tiny-clip (fingerprint {own})" in message
    assert message.endswith(f"got another (fingerprint {found})")


def test_other_class_names_are_refused(clip, file):
    message = refused(ValueError, file, clip, class_names=["cat", "dog", "café"])
    assert message.endswith("class 1 is 'red apple pie', not 'dog'")
    message = refused(ValueError, file, clip, class_names=NAMES[:2])
    assert message.endswith("learnt for 3 class names, not for these 2")


def test_damaged_files_are_refused(clip, file, tmp_path):
    assert "no prompts at" in refused(FileNotFoundError, tmp_path / "none.safetensors", clip)
    (tmp_path / "text").write_text("words")
    assert "expected a safetensors file of prompts" in refused(ValueError, tmp_path / "text", clip)
    save_file({"a": np.zeros(2)}, tmp_path / "other")
    assert "holds no learnt prompts" in refused(ValueError, tmp_path / "other", clip)
    with safe_open(file, framework="numpy") as opened:
        metadata = opened.metadata()
    for of in ({"context": np.zeros((3, 12), "float32")}, load_file(file)):
        changed = metadata | {"duet": metadata["duet"].replace("tiny", "TINY")}
        save_file(of, tmp_path / "changed", metadata=changed)
        assert "its checksum is another" in refused(ValueError, tmp_path / "changed", clip)
    metadata.pop("crc32")  # as of an older Duet
    damaged = {"context": np.full((3, 12), np.nan, "float32")}
    save_file(damaged, tmp_path / "nan", metadata=metadata)
    assert "NaN or infinite values" in refused(ValueError, tmp_path / "nan", clip)
    save_file({"context": np.zeros((4, 12), "float32")}, tmp_path / "shape", metadata=metadata)
    assert "expected n_ctx vectors of each context" in refused(ValueError, tmp_path / "shape", clip)
    assert json.loads(metadata["duet"])["class_names"] == NAMES
    shutil.copy(file, tmp_path / "copy")
    assert load_file(tmp_path / "copy")["context"].shape == (3, 12)


def test_the_nearest_words_of_vectors_out_of_all_bounds_have_distances(clip):
    coop = CoOp(clip, NAMES, n_ctx=1)
    coop.context.assign(np.full(coop.context.shape, 1e30, "float32"))
    assert all(np.isfinite(distance) for words in nearest_words(coop) for _, distance in words)


def test_the_nearest_words_of_words_are_these_words(clip):
    coop = CoOp(clip, NAMES, words="a photo of a")
    found = nearest_words(coop, 3)
    ids = coop.frames.words
    assert [len(words) for words in found] == [3] * len(ids)
    for own, ((word, distance), *others) in zip(ids, found, strict=True):
        assert word == clip.tokenizer.decode([own]).strip() and distance < 0.01
        assert all(far > 0.1 for _, far in others)
