"""Tokenizers learnt from captions."""

import json
import random

import numpy as np
import pytest
import tensorflow as tf

import dual_encoder
from dual_encoder import Tokenizer
from dual_encoder.shortest_token_rows import longest_row
from dual_encoder.tokenizer import SPECIAL

PAD, START, END, UNKNOWN = range(4)
TEXTS = ["a red star", "a red ring", "a blue star", "red, blue"]


@pytest.fixture(scope="module")
def tokenizer():
    """Large enough that every word of the texts is one token."""
    return Tokenizer.learn(TEXTS, context_length=6, vocabulary_size=64)


def ids_of(tokenizer):
    """Words to ids, as the library has them."""
    return json.loads(tokenizer.json)["model"]["vocab"]


def test_exact_ids(tokenizer):
    # Special tokens, then the characters of the texts in the order of the alphabet ("," first, "▁",
    # which begins a word, last), then what is merged, the most frequent pair first.
    assert [SPECIAL.index(name) for name in ("<pad>", "<start>", "<end>", "<unknown>")] == [
        *range(4)
    ]
    vocabulary = ids_of(tokenizer)
    characters = sorted(",abdegilnrstu▁")
    assert sorted(vocabulary, key=vocabulary.get)[4:18] == characters
    assert tokenizer.vocabulary_size == len(vocabulary) == 33
    a, red, star, comma = (vocabulary[token] for token in ("▁a", "▁red", "▁star", ","))
    np.testing.assert_array_equal(
        tokenizer(["a red star", "red,"]),
        [[START, a, red, star, END], [START, red, comma, END, PAD]],
    )


def test_ids_are_rows_of_int32(tokenizer):
    ids = tokenizer(["a red star", ""], length=6)
    assert (ids.dtype, ids.shape) == (np.int32, (2, 6))
    assert tokenizer(iter_free := ["red"]).shape == (1, 3) and iter_free == ["red"]
    assert tokenizer([]).shape == (0, 0)
    assert tokenizer([], length=5).shape == (0, 5)


def test_case_and_spaces_do_not_matter(tokenizer):
    plain, *others = tokenizer(["a red star", "A  RED star ", "\ta red\nstar", "a red \uff53tar"])
    assert all((other == plain).all() for other in others)


def test_truncation_keeps_the_end(tokenizer):
    vocabulary = ids_of(tokenizer)
    a, red = vocabulary["▁a"], vocabulary["▁red"]
    long = ["a red a red a red a red"]
    np.testing.assert_array_equal(tokenizer(long), [[START, a, red, a, red, END]])
    np.testing.assert_array_equal(tokenizer(long, length=4), [[START, a, red, END]])
    np.testing.assert_array_equal(tokenizer(["a red a red"]), [[START, a, red, a, red, END]])
    np.testing.assert_array_equal(tokenizer(long, length=2), [[START, END]])


def test_empty_text_is_start_and_end(tokenizer):
    np.testing.assert_array_equal(tokenizer(["", "  "]), [[START, END]] * 2)


def test_unknown_characters_are_one_id_each(tokenizer):
    row = tokenizer(["☃☃"])[0]
    assert list(row) == [START, ids_of(tokenizer)["▁"], UNKNOWN, UNKNOWN, END]


def test_a_caption_cannot_end_itself(tokenizer):
    row = tokenizer(["a <end> <pad>"], length=6)[0]
    assert list(row).count(END) == 1 and row[-1] == END and PAD not in row


@pytest.mark.parametrize(
    ("texts", "length", "message"),
    [
        ("a red star", None, "expected a list of strings; got the string 'a red star'"),
        (["a", None], None, "expected strings; got None among them"),
        ([b"a"], None, "expected strings; got b'a' among them"),
        (["a"], 7, "length: expected 2 to 6; got 7"),
        (["a"], 0, "length: expected 2 to 6; got 0"),
    ],
)
def test_refused_texts(tokenizer, texts, length, message):
    with pytest.raises(ValueError, match=message):
        tokenizer(texts, length=length)


@pytest.mark.parametrize("text", ["a red star", "red, blue", "blue"])
def test_decode_gives_the_text_back(tokenizer, text):
    assert tokenizer.decode(tokenizer([text], length=6)[0]) == text


def test_learning_refuses_what_it_cannot_learn_from():
    for texts, options, message in (
        ([], {}, "expected captions to learn a vocabulary from; got none"),
        (["", " "], {}, "expected captions to learn a vocabulary from; got none"),
        ("a red star", {}, "expected several strings; got the string 'a red star'"),
        (TEXTS, {"context_length": 2}, "context_length: expected at least 3; got 2"),
        (TEXTS, {"vocabulary_size": 10}, "vocabulary_size: expected at least 18, .* got 10"),
    ):
        with pytest.raises(ValueError, match=message):
            Tokenizer.learn(texts, **{"context_length": 8} | options)


def many_texts():
    rng = random.Random(0)  # with many ties between pairs
    return [" ".join(f"w{rng.randrange(200)}" for _ in range(6)) for _ in range(600)]


def test_learning_is_the_same_every_time_in_any_order():
    texts = many_texts()
    first = Tokenizer.learn(texts, context_length=8, vocabulary_size=150)
    assert first.vocabulary_size == 150
    for seed in range(3):  # each time the library hashes anew, as in another process
        random.Random(seed).shuffle(texts)
        again = Tokenizer.learn(iter(texts), context_length=8, vocabulary_size=150)
        assert again.get_config() == first.get_config()


def test_configuration_round_trip(tokenizer):
    again = Tokenizer.from_config(tokenizer.get_config())
    np.testing.assert_array_equal(again(TEXTS), tokenizer(TEXTS))
    assert (again.vocabulary_size, again.context_length) == (tokenizer.vocabulary_size, 6)


def test_a_configuration_from_before_cleaning(tokenizer):
    config = tokenizer.get_config()
    assert (config.pop("cleaning"), config.pop("pad_to_context")) == ("none", False)
    again = Tokenizer.from_config(config)
    np.testing.assert_array_equal(again(TEXTS), tokenizer(TEXTS))


def test_strict_refuses_what_would_be_cut(tokenizer):
    np.testing.assert_array_equal(tokenizer(TEXTS, strict=True), tokenizer(TEXTS))
    long = "a red a red a blue star" + " a red" * 20
    message = r"at most 6 tokens; got 49 in 'a red a red a blue .{38}\.\.\.' \(2 of 3 texts are"
    with pytest.raises(ValueError, match=message):
        tokenizer(["a", long, long], strict=True)
    with pytest.raises(ValueError, match=r"at most 3 tokens; got 4 in 'a red' \(1 of 2 texts"):
        tokenizer(["a", "a red"], length=3, strict=True)


def test_ids_inside_tf_data(tokenizer):
    texts = tf.data.Dataset.from_tensor_slices(TEXTS)
    for dataset, shape in (
        (texts, (6,)),
        (texts.batch(2), (None, 6)),
        (texts.batch(2, drop_remainder=True), (2, 6)),
    ):
        ids = dataset.map(tokenizer.encode_tf)
        assert ids.element_spec.shape.as_list() == list(shape)
        assert ids.element_spec.dtype == tf.int32
        rows = np.reshape([*ids.as_numpy_iterator()], (4, 6))
        np.testing.assert_array_equal(rows, tokenizer(TEXTS, length=6))


def test_strict_inside_tf_data(tokenizer):
    texts = tf.data.Dataset.from_tensors(["a red a red a red"])
    strict = texts.map(lambda texts: tokenizer.encode_tf(texts, strict=True))
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected at most 6 tokens; got 8"):
        next(iter(strict))
    assert next(iter(texts.map(tokenizer.encode_tf))).shape == (1, 6)


def test_half_a_character_is_refused(tokenizer):
    with pytest.raises(ValueError, match=r"expected whole characters; got 'a \\ud83d'"):
        tokenizer(["a cat", "a \ud83d"])


def test_cleaning_comes_first(tokenizer):
    options = {**tokenizer.get_config(), "cleaning": "whitespace"}
    cleaned = Tokenizer.from_config(options)
    np.testing.assert_array_equal(cleaned(["a &#114;ed"]), tokenizer(["a red"]))
    assert cleaned.get_config() == options
    with pytest.raises(ValueError, match=r"cleaning: expected one of none, .*; got 'clean'"):
        Tokenizer.from_config({**options, "cleaning": "clean"})


def test_rows_as_long_as_the_context(tokenizer):
    whole = Tokenizer.from_config({**tokenizer.get_config(), "pad_to_context": True})
    np.testing.assert_array_equal(whole(["a red"]), tokenizer(["a red"], length=6))
    assert (whole([]).shape, whole(["a red"], length=5).shape) == ((0, 6), (1, 5))


def test_rows_are_as_long_as_the_longest_prompt_where_padding_makes_no_difference():
    prompts = [["a photo of a star"], ["a photo of a small red ring", "a ring"]]
    model = dual_encoder.load("shapes-tiny")
    words = [text for several in prompts for text in several]
    found = longest_row(model, prompts)
    assert found == max(map(len, model.tokenizer.rows(words))) < model.context_length
    model.text_tower.causal = False
    assert longest_row(model, prompts) is None
