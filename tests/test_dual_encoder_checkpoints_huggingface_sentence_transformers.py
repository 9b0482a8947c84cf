"""What sentence-transformers writes beside a text encoder."""

import json
import shutil
from pathlib import Path

import pytest

from dual_encoder.checkpoints.huggingface.sentence_transformers import pooling, texts
from dual_encoder.checkpoints.tokenizers.read import read_tokenizer

BERT = Path(__file__).parent / "fixtures" / "tokenizers" / "bert"
IDS = [2, 28, 166, 167, 28, 165, 3]

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


OWN, ROBERTA, TOKENIZER = (
    f"{name}_config.json" for name in ("sentence_bert", "sentence_roberta", "tokenizer")
)
NEWEST = {  # of version 6.2
    "transformer_task": "feature-extraction",
    "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
    "module_output_name": "token_embeddings",
    "tokenizer_args": {},
}


@pytest.mark.parametrize(
    ("files", "length", "lower"),
    [
        ({}, 16, False),
        ({OWN: {"max_seq_length": 8, "do_lower_case": False}}, 8, False),
        ({OWN: {"max_seq_length": None, "do_lower_case": True}}, 16, True),
        ({OWN: {"max_seq_length": 400}}, 16, False),
        ({OWN: NEWEST}, 16, False),
        ({OWN: {}, ROBERTA: {"max_seq_length": 5}}, 5, False),
        ({TOKENIZER: {"model_max_length": 6}}, 6, False),
        ({TOKENIZER: {"model_max_length": 10**30}}, 16, False),
        ({TOKENIZER: {"model_max_length": 6}, OWN: {"max_seq_length": 9}}, 9, False),
    ],
)
def test_how_texts_are_read(files, length, lower, tmp_path):
    """Lengths are those of sentence-transformers 6.2, of a model with 16 positions."""
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    assert texts(tmp_path, most=16) == {"context_length": length, "lower": lower}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frobnicate": 1}, "frobnicate: expected nothing, for its effect is unknown; got 1"),
        ({"tokenizer_args": {"use_fast": False}}, "tokenizer_args: expected nothing"),
        ({"do_lower_case": "no"}, "do_lower_case: expected null or true or false; got 'no'"),
        (
            {"transformer_task": "fill-mask"},
            "transformer_task: expected 'feature-extraction'",
        ),
        ({"max_seq_length": 0}, "max_seq_length: expected .*; got 0"),
    ],
)
def test_unknown_ways_to_read_texts_are_refused(settings, message, tmp_path):
    (tmp_path / "sentence_bert_config.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match=message):
        texts(tmp_path, most=16)


def test_a_vocabulary_with_case_is_told_texts_in_lower_case(tmp_path):
    """Ids of sentence-transformers 6.2, for the vocabulary of the fixtures."""
    folder = shutil.copytree(BERT, tmp_path / "bert")
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    assert read_tokenizer(folder, context_length=16).rows(["a Photo of a CAT"]) != [IDS]
    (folder / "sentence_bert_config.json").write_text('{"do_lower_case": true}')
    assert read_tokenizer(folder, **texts(folder, most=16)).rows(["a Photo of a CAT"]) == [IDS]


def test_a_prompt_before_every_text_is_refused(tmp_path):
    path = tmp_path / "config_sentence_transformers.json"
    path.write_text(json.dumps({"prompts": {"query": "query: "}, "default_prompt_name": None}))
    assert texts(tmp_path, most=16)["context_length"] == 16
    path.write_text(json.dumps({"prompts": {"query": "query: "}, "default_prompt_name": "query"}))
    with pytest.raises(ValueError, match="default_prompt_name: expected null; got 'query'"):
        texts(tmp_path, most=16)


def test_a_model_in_a_folder_of_its_own_is_pooled_as_the_one_around_says(tmp_path):
    """As the versions of before 2022 wrote it; the model's own folder says nothing."""
    steps = (f"{PACKAGE}.Transformer", "0_Transformer"), (f"{PACKAGE}.Pooling", "1_Pooling")
    written(tmp_path, {MEAN: True}, steps=steps)
    for name in ("0_Transformer", "another"):
        (tmp_path / name).mkdir()
    assert pooling(tmp_path / "0_Transformer") == "mean"
    assert pooling(tmp_path / "another") is None
    prompt = {"default_prompt_name": "query"}
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps(prompt))
    with pytest.raises(ValueError, match="default_prompt_name: expected null; got 'query'"):
        texts(tmp_path / "0_Transformer", most=16)
