"""What sentence-transformers writes beside a text encoder."""

import json

import pytest

from dual_encoder.checkpoints.huggingface.sentence_pooling import pooling

CLS, MEAN, MAX = (f"pooling_mode_{mode}" for mode in ("cls_token", "mean_tokens", "max_tokens"))


def written(folder, modes, *, steps=(), name="1_Pooling"):
    (folder / name).mkdir()
    (folder / name / "config.json").write_text(json.dumps(modes))
    if steps:
        modules = [{"idx": 0, "name": "0", "path": path, "type": kind} for kind, path in steps]
        (folder / "modules.json").write_text(json.dumps(modules))
    return folder


def test_a_folder_that_says_nothing(tmp_path):
    assert pooling(tmp_path) is None


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        ({"word_embedding_dimension": 8, CLS: False, MEAN: True, MAX: False}, "mean"),
        ({CLS: True, MEAN: False, "include_prompt": True}, "first"),
        ({"pooling_mode": "cls"}, "first"),
    ],
)
def test_the_one_pooling(modes, expected, tmp_path):
    assert pooling(written(tmp_path, modes)) == expected


@pytest.mark.parametrize(
    ("modes", "got"),
    [
        ({CLS: True, MEAN: True}, "cls and mean"),
        ({MAX: True}, "max"),
        ({"pooling_mode_weightedmean_tokens": True, MEAN: True}, "mean and weightedmean"),
        ({"pooling_mode": "lasttoken"}, "lasttoken"),
        ({}, "none"),
    ],
)
def test_several_poolings_or_others_are_refused(modes, got, tmp_path):
    message = f"expected cls or mean pooling in 1_Pooling/config.json; got {got}$"
    with pytest.raises(ValueError, match=message):
        pooling(written(tmp_path, modes))


PACKAGE = "sentence_transformers.models"


def test_steps_that_change_no_direction(tmp_path):
    steps = (f"{PACKAGE}.Transformer", ""), (f"{PACKAGE}.Pooling", "2_Mean")
    steps += ((f"{PACKAGE}.Normalize", "3_Normalize"),)
    assert pooling(written(tmp_path, {MEAN: True}, steps=steps, name="2_Mean")) == "mean"


def test_a_dense_layer_behind_the_pooling_is_refused(tmp_path):
    steps = (f"{PACKAGE}.Pooling", "1_Pooling"), (f"{PACKAGE}.Dense", "2_Dense")
    with pytest.raises(
        ValueError, match="expected steps of Transformer, Pooling, Normalize; got 'Dense'"
    ):
        pooling(written(tmp_path, {MEAN: True}, steps=steps))


@pytest.mark.parametrize("text", ["{", "7", '[{"kind": 1}]', '], "x": [', "\xff"])
def test_steps_that_are_none(text, tmp_path):
    (tmp_path / "modules.json").write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=r"modules\.json: "):
        pooling(tmp_path)
