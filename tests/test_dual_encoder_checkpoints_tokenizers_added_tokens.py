"""Tokens added to a vocabulary: the ids are those of transformers 5.23's own classes."""

import json
import shutil
from pathlib import Path

import pytest

from dual_encoder.checkpoints.tokenizers.read import read_tokenizer

FIXTURES = Path(__file__).parent / "fixtures" / "tokenizers"
NEXT = {"bert": 174, "clip": 634, "roberta": 381, "siglip": 152}  # how many ids there are before


@pytest.fixture
def rows(tmp_path):
    """Reads a copy of a folder of the fixtures with these files beside it, and returns ids."""

    def of(kind, texts, *, files):
        folder = shutil.copytree(FIXTURES / kind, tmp_path / kind)
        for name, content in files.items():
            (folder / name).write_text(json.dumps(content))
        return read_tokenizer(folder, context_length=64).rows(texts)

    return of


@pytest.mark.parametrize(
    ("kind", "ids"),
    [
        ("bert", [[2, 28, 174, 165, 3], [2, 174, 165, 3], [2, 175, 168, 165, 3]]),
        (
            "clip",
            [[632, 320, 634, 541, 633], [632, 634, 541, 633], [632, 635, 516, 541, 633]],
        ),
        (
            "roberta",
            [[0, 36, 224, 381, 224, 302, 2], None, [0, 382, 267, 224, 302, 2]],
        ),
    ],
)
def test_a_file_beside_an_old_vocabulary(kind, ids, rows):
    """Texts in lower case find them whatever their case; BERT's and CLIP's are."""
    count = NEXT[kind]
    files = {"added_tokens.json": {"[X1]": count + 1, "<new>": count}}
    found = rows(kind, ["A <new> cat", "<New>CAT", "[X1] the cat"], files=files)
    assert [row for row, wanted in zip(found, ids, strict=True) if wanted] == [*filter(None, ids)]


@pytest.mark.parametrize(("kind", "ids"), [("bert", [2, 174, 168, 165, 3]), ("siglip", None)])
def test_the_list_of_the_settings_counts_before_the_file(kind, ids, rows):
    token = {"content": "[X1]", "special": False, "normalized": False, "single_word": False}
    settings = json.loads((FIXTURES / "siglip" / "tokenizer_config.json").read_text())
    settings = settings if kind == "siglip" else {}
    settings["added_tokens_decoder"] = {str(NEXT[kind]): token}
    files = {"added_tokens.json": {"<new>": 3}, "tokenizer_config.json": settings}
    (found,) = rows(kind, ["[X1] the cat"], files=files)
    assert NEXT[kind] in found and (ids is None or found == ids)


def test_a_token_that_pads_may_be_added(tmp_path):
    folder = shutil.copytree(FIXTURES / "bert", tmp_path / "bert")
    (folder / "added_tokens.json").write_text('{"<new>": 174, "<pad2>": 175}')
    (folder / "special_tokens_map.json").write_text('{"pad_token": "<pad2>"}')
    tokenizer = read_tokenizer(folder, context_length=64)
    assert tokenizer.pad_id == 175
    assert tokenizer(["the cat", "<pad2> a"]).tolist()[0][-1] == 175
    assert 175 not in tokenizer.rows(["<pad2> a"])[0]  # a name in a text is not special


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"<new>": 179}, "added_tokens.json: expected id 174 for '<new>', the next one; got 179"),
        ({"cat": 3}, "added_tokens.json: expected id 165 for 'cat', as in the vocabulary; got 3"),
        ({"<new>": "7"}, "<new>: expected a whole number from 0; got '7'"),
        ([1], "added_tokens.json: expected an object; got a list"),
    ],
)
def test_ids_that_the_vocabulary_does_not_give_are_refused(content, message, rows):
    """transformers 5 gives other ids than the file; those of version 4 were the file's."""
    with pytest.raises(ValueError, match=message):
        rows("bert", ["a"], files={"added_tokens.json": content})


def test_a_list_without_ids_is_refused(rows):
    settings = {"added_tokens_decoder": {"first": {"content": "x"}}}
    with pytest.raises(ValueError, match="added_tokens_decoder: expected ids; got 'first'"):
        rows("bert", ["a"], files={"tokenizer_config.json": settings})
