"""Tokenizers of published checkpoints: ids beside those of transformers' and open_clip's classes.

References and vocabularies are written by tests/parity/tokenizer_fixtures.py.
"""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tokenizers

from dual_encoder import Tokenizer
from dual_encoder.checkpoints.tokenizers.read import read_tokenizer
from dual_encoder.text_cleaning import CLEANINGS

FIXTURES = Path(__file__).parent / "fixtures" / "tokenizers"
REFERENCES = json.loads((FIXTURES / "references.json").read_text(encoding="utf-8"))
TEXTS, LENGTH = REFERENCES["texts"], REFERENCES["length"]
# Pad and end ids: CLIP pads with its end in transformers, with 0 in open_clip; RoBERTa with 1,
# BERT with 0; SigLIP with its end.
IDS = {
    "clip none": ("<|endoftext|>", "<|endoftext|>"),
    "clip openai": (0, "<|endoftext|>"),
    "roberta none": (1, 2),
    "roberta whitespace": (1, 2),
    "xlm_roberta none": (1, 2),
    "xlm_roberta whitespace": (1, 2),
    "bert none": (0, 3),
    "siglip none": (1, 1),
    "siglip siglip": (1, 1),
    "siglip canonicalize": (1, 1),
}
# Cleanings that must not be taken for each other: both are the reference's of another checkpoint.
OTHERS = {"none": "whitespace", "whitespace": "none", "openai": "none"}
OTHERS |= {"siglip": "canonicalize", "canonicalize": "siglip"}


def read(name, **options):
    """That of a folder of the fixtures, for a key such as "clip openai"."""
    folder, cleaning = name.split()
    options = {"context_length": LENGTH, "cleaning": cleaning} | options
    return read_tokenizer(FIXTURES / folder, **options)


def padded(rows, pad_id):
    return [row + [pad_id] * (LENGTH - len(row)) for row in rows]


@pytest.fixture
def folder(tmp_path):
    """A copy of CLIP's folder, to break."""
    return shutil.copytree(FIXTURES / "clip", tmp_path / "clip")


def test_every_reference_is_tested():
    assert REFERENCES["ids"].keys() == IDS.keys() == REFERENCES["ending"].keys()
    assert {name.split()[1] for name in IDS} == CLEANINGS.keys()
    assert max(map(len, TEXTS)) > 300 and "" in TEXTS


@pytest.mark.parametrize("name", IDS)
def test_ids_are_those_of_the_reference(name):
    tokenizer = read(name)
    ids = tokenizer(TEXTS, length=LENGTH)
    rows = padded(REFERENCES["ids"][name], tokenizer.pad_id)
    differing = [text for text, row, ours in zip(TEXTS, rows, ids, strict=True) if row != [*ours]]
    assert differing == []


@pytest.mark.parametrize("name", IDS)
def test_another_cleaning_gives_other_ids(name):
    folder, cleaning = name.split()
    other = read(f"{folder} {'siglip' if name == 'siglip none' else OTHERS[cleaning]}")
    rows = padded(REFERENCES["ids"][name], read(name).pad_id)
    other.pad_id = read(name).pad_id
    assert other(TEXTS, length=LENGTH).tolist() != rows


@pytest.mark.parametrize(("name", "expected"), IDS.items())
def test_pad_and_end(name, expected):
    tokenizer = read(name)
    vocabulary = json.loads(tokenizer.json)["model"]["vocab"]
    pad, end = (vocabulary[token] if isinstance(token, str) else token for token in expected)
    assert (tokenizer.pad_id, tokenizer.end_id) == (pad, end)


@pytest.mark.parametrize("name", IDS)
def test_a_text_cannot_end_itself(name):
    """In the reference it can: "a </s> cat" ends twice, and CLIP reads nothing behind the first.

    Captions are data, so ours differ here on purpose. Only open_clip's cleaning for SigLIP, which
    takes punctuation out beforehand, has the reference spell the name too.
    """
    tokenizer, ending = read(name, pad_to_context=False), REFERENCES["ending"][name]
    row = tokenizer([ending["text"]])[0].tolist()
    assert row.index(tokenizer.end_id) == len(row) - 1 >= 3
    ends_early = ending["ids"].index(tokenizer.end_id) < len(row) - 1
    assert ends_early == (name != "siglip canonicalize")


@pytest.mark.parametrize("text", ["</s>", "a</s>b", "<pad><mask>", "x <s>", "</s></s>"])
@pytest.mark.parametrize("folder", ["xlm_roberta", "siglip", "roberta"])
def test_special_names_are_spelled(folder, text):
    """Unigram vocabularies hold them as pieces of score 0, the best there is."""
    tokenizer = read(f"{folder} none", pad_to_context=False)
    inside = tokenizer([text])[0][:-1]
    start = 0 if folder == "siglip" else 1
    special = {0, 1} if folder == "siglip" else {0, 1, 2, tokenizer.vocabulary_size - 1}
    assert len(inside) > start and not special & {*inside[start:].tolist()}


@pytest.mark.parametrize("name", IDS)
def test_too_long_is_cut_with_the_end_kept(name):
    tokenizer = read(name, context_length=6)
    whole = read(name, context_length=400, pad_to_context=False)
    text = "the cat and the dog on a mat " * 20
    row, long = tokenizer([text])[0], whole([text])[0]
    assert len(long) > 50 and len(row) == 6
    assert row.tolist() == [*long[:5].tolist(), tokenizer.end_id]


@pytest.mark.parametrize("name", ["clip openai", "bert none", "siglip siglip"])
def test_ids_inside_tf_data_are_those_outside(name):
    import tensorflow as tf

    tokenizer = read(name)
    expected = tokenizer(TEXTS, length=LENGTH)
    one = tf.data.Dataset.from_tensor_slices(TEXTS).map(tokenizer.encode_tf)
    assert one.element_spec == tf.TensorSpec((LENGTH,), tf.int32)
    np.testing.assert_array_equal([*one.as_numpy_iterator()], expected)
    some = tf.data.Dataset.from_tensor_slices(TEXTS).batch(11, drop_remainder=True)
    some = some.map(tokenizer.encode_tf)
    assert some.element_spec == tf.TensorSpec((11, LENGTH), tf.int32)
    np.testing.assert_array_equal(np.concatenate([*some.as_numpy_iterator()]), expected[:22])
    pairs = tokenizer.encode_tf(tf.constant([["a cat", "2024"]]))
    np.testing.assert_array_equal(pairs, tokenizer(["a cat", "2024"], length=LENGTH)[None])


def test_siglip_is_padded_to_its_context():
    for name, width in (("siglip siglip", LENGTH), ("siglip canonicalize", LENGTH)):
        assert read(name)(["a cat"]).shape == (1, width)
    assert read("siglip none")(["a cat"]).shape[1] < LENGTH
    assert read("siglip none", pad_to_context=True)(["a cat"]).shape == (1, LENGTH)
    assert read("clip openai")(["a cat"]).shape[1] < LENGTH


def test_settings_name_siglip(tmp_path):
    folder = shutil.copytree(FIXTURES / "siglip", tmp_path / "siglip")
    settings = {"tokenizer_class": "SiglipTokenizer", "pad_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    assert read_tokenizer(folder, context_length=64)(["a cat"]).shape == (1, 64)


@pytest.mark.parametrize("cleaning", ["none", "openai"])
def test_a_tokenizer_json_neither_cuts_nor_pads(folder, cleaning):
    """Nor does its normalizer see what "openai" cleaned: of "e&#769;" it would make one letter."""
    made = read(f"clip {cleaning}")
    whole = tokenizers.Tokenizer.from_str(read("clip none").json)
    whole.enable_truncation(5)
    whole.enable_padding(length=9, pad_id=3)
    for name in ("vocab.json", "merges.txt"):
        (folder / name).unlink()
    whole.save(str(folder / "tokenizer.json"))
    again = read_tokenizer(folder, context_length=LENGTH, cleaning=cleaning)
    np.testing.assert_array_equal(again(TEXTS), made(TEXTS))
    assert (again.pad_id, again.end_id) == (made.pad_id, made.end_id)


@pytest.mark.parametrize(
    ("token", "expected"),
    [("!", "!"), ({"content": "!", "lstrip": False}, "!"), (None, "<|endoftext|>")],
)
def test_pad_token_of_the_settings(folder, token, expected):
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    (folder / "special_tokens_map.json").write_text(json.dumps({"pad_token": token}))
    tokenizer = read_tokenizer(folder, context_length=8)
    assert tokenizer.pad_id == vocabulary[expected]
    # It is a sign like any other in a text, which transformers would take for padding.
    assert vocabulary["!</w>"] in tokenizer(["a cat !"])[0]


def test_names_of_open_clip(folder):
    names = {"<|startoftext|>": "<start_of_text>", "<|endoftext|>": "<end_of_text>"}
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    renamed = {names.get(token, token): index for token, index in vocabulary.items()}
    (folder / "vocab.json").write_text(json.dumps(renamed), encoding="utf-8")
    again = read_tokenizer(folder, context_length=LENGTH, cleaning="openai")
    np.testing.assert_array_equal(again(TEXTS), read("clip openai")(TEXTS))


def test_an_end_that_only_the_settings_want(tmp_path):
    content = json.loads((FIXTURES / "siglip" / "tokenizer.json").read_text(encoding="utf-8"))
    content["post_processor"] = None
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    settings = {"eos_token": "</s>", "pad_token": "</s>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match="expected texts to end with a token of their own"):
        read_tokenizer(tmp_path, context_length=8)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings | {"add_eos_token": True}))
    again = read_tokenizer(tmp_path, context_length=LENGTH)
    np.testing.assert_array_equal(again(TEXTS), read("siglip none")(TEXTS))


def test_bert_can_keep_case(tmp_path):
    folder = shutil.copytree(FIXTURES / "bert", tmp_path / "bert")
    lower = read("bert none")
    assert (lower(["CAT"]) == lower(["cat"])).all()
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False}))
    cased = read_tokenizer(folder, context_length=LENGTH)
    np.testing.assert_array_equal(cased(["cat"]), lower(["cat"]))
    assert cased(["CAT"])[0].tolist() == [2, 1, 3]  # one unknown word


@pytest.mark.parametrize("name", ["clip none", "roberta none", "bert none"])
def test_vocabularies_may_begin_with_a_mark_and_end_lines_as_windows_does(tmp_path, name):
    folder = shutil.copytree(FIXTURES / name.split()[0], tmp_path / "t")
    for path in folder.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    np.testing.assert_array_equal(
        read_tokenizer(folder, context_length=LENGTH)(TEXTS), read(name)(TEXTS)
    )


def _with_one_id_twice(text):
    vocabulary = json.loads(text)
    first, second = list(vocabulary)[5:7]
    return json.dumps(vocabulary | {first: vocabulary[second]})


@pytest.mark.parametrize(
    ("folder", "file", "change", "message"),
    [
        ("clip", "merges.txt", lambda t: t[: t.index("\n", len(t) // 2)], "is it cut off"),
        ("roberta", "merges.txt", lambda t: t[: t.index("\n", len(t) // 2)], "is it cut off"),
        ("clip", "merges.txt", lambda t: f"{t}a b c\n", "expected two tokens; got 'a b c'"),
        ("clip", "vocab.json", _with_one_id_twice, "expected an id for each token"),
        ("bert", "vocab.txt", lambda t: t.replace("[UNK]", "[X]"), "unk_token: not in the voc"),
    ],
)
def test_damaged_vocabularies_are_told(tmp_path, folder, file, change, message):
    path = shutil.copytree(FIXTURES / folder, tmp_path / "t") / file
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(ValueError, match=f"no tokenizer can be read: .*{message}"):
        read_tokenizer(path.parent, context_length=LENGTH)


def test_bert_keeps_case_though_its_tokenizer_json_does_not(tmp_path):
    document = json.loads(tokenizers.Tokenizer.from_str(read("bert none").json).to_str())
    (tmp_path / "tokenizer.json").write_text(json.dumps(document))
    settings = {"pad_token": "[PAD]", "strip_accents": None}
    for lower in (None, True, False):
        (tmp_path / "tokenizer_config.json").write_text(
            json.dumps(settings | ({} if lower is None else {"do_lower_case": lower}))
        )
        tokenizer = read_tokenizer(tmp_path, context_length=LENGTH)
        assert (tokenizer.rows(["CAT"]) == tokenizer.rows(["cat"])) is (lower is not False)


@pytest.mark.parametrize("inside", [True, False])
def test_roberta_s_space_before_a_text_is_as_the_settings_say(tmp_path, inside):
    """As `RobertaTokenizer` of transformers 5.23, whatever tokenizer.json has."""
    folder = shutil.copytree(FIXTURES / "roberta", tmp_path / "roberta")
    settings, rows = tmp_path / "roberta" / "tokenizer_config.json", {}
    for spaced in (True, False):
        settings.write_text(json.dumps({"add_prefix_space": spaced}))
        rows[spaced] = read_tokenizer(folder, context_length=LENGTH)(["cat"]).tolist()
    assert rows[True] != rows[False]
    made = tokenizers.Tokenizer.from_str(read("roberta none").json)
    made.pre_tokenizer.add_prefix_space = inside
    made.save(str(folder / "tokenizer.json"))
    for spaced in (True, False):
        settings.write_text(json.dumps({"add_prefix_space": spaced}))
        assert read_tokenizer(folder, context_length=LENGTH)(["cat"]).tolist() == rows[spaced]
    settings.write_text("{}")
    assert read_tokenizer(folder, context_length=LENGTH)(["cat"]).tolist() == rows[inside]


@pytest.mark.parametrize("file", ["tokenizer_config.json", "config.json"])
@pytest.mark.parametrize(
    ("folder", "known", "other"),
    [
        ("bert", "BertTokenizerFast", "BertJapaneseTokenizer"),  # words by MeCab, then pieces
        ("clip", "CLIPTokenizer", "HerbertTokenizer"),
        ("roberta", "RobertaTokenizerFast", "GPT2Tokenizer"),  # without begin and end
    ],
)
def test_a_vocabulary_of_a_tokenizer_with_other_rules_is_refused(
    tmp_path, folder, known, other, file
):
    where = shutil.copytree(FIXTURES / folder, tmp_path / folder)
    (where / file).write_text(json.dumps({"tokenizer_class": known}))
    ours = read_tokenizer(where, context_length=LENGTH)
    np.testing.assert_array_equal(ours(TEXTS), read(f"{folder} none")(TEXTS))
    (where / file).write_text(json.dumps({"tokenizer_class": other}))
    with pytest.raises(ValueError, match=f"expected a tokenizer_class of .*; got '{other}'"):
        read_tokenizer(where, context_length=LENGTH)


@pytest.mark.parametrize("option", ["truncation", "padding"])
def test_a_tokenizer_json_that_cuts_or_pads_at_the_beginning_is_refused(tmp_path, option):
    tokenizer = tokenizers.Tokenizer.from_str(read("bert none").json)
    tokenizer.enable_truncation(5, direction="left" if option == "truncation" else "right")
    tokenizer.enable_padding(direction="left" if option == "padding" else "right")
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ValueError, match=f"expected {option}_side right in tokenizer.json"):
        read_tokenizer(tmp_path, context_length=LENGTH)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({f"{option}_side": "right"}))
    read_tokenizer(tmp_path, context_length=LENGTH)


@pytest.mark.parametrize("name", ["clip openai", "roberta none", "siglip siglip"])
def test_round_trips(name, tmp_path):
    tokenizer = read(name)
    again = Tokenizer.from_config(json.loads(json.dumps(tokenizer.get_config())))
    np.testing.assert_array_equal(again(TEXTS), tokenizer(TEXTS))
    saved = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(tokenizer))
    np.testing.assert_array_equal(saved(TEXTS), tokenizer(TEXTS))
    assert tokenizer.decode(tokenizer(["a photo of a cat"])[0]) == "a photo of a cat"


def test_refused_folders(folder, tmp_path):
    def refused(error, message, **options):
        with pytest.raises(error, match=message):
            read_tokenizer(folder, **{"context_length": 8} | options)

    refused(ValueError, "cleaning: expected one of none, openai, .*; got 'lower'", cleaning="lower")
    (folder / "special_tokens_map.json").write_text('{"pad_token": "<nothing>"}')
    refused(ValueError, "clip: .*pad_token: not in the vocabulary: <nothing>")
    (folder / "special_tokens_map.json").write_text("{")
    refused(ValueError, "special_tokens_map.json: not readable as JSON")
    (folder / "special_tokens_map.json").unlink()
    (folder / "tokenizer_config.json").write_text('{"truncation_side": "left"}')
    refused(ValueError, "truncation_side: expected null or 'right'; got 'left'")
    (folder / "tokenizer_config.json").unlink()
    (folder / "merges.txt").write_text("#version: 0.2\nno such\n")
    refused(ValueError, "clip: no tokenizer can be read")
    (folder / "vocab.json").write_text('{"a": 0}')
    (folder / "merges.txt").write_text("#version: 0.2\n")
    refused(ValueError, r"not in the vocabulary: \['<s>', '</s>'\]")
    (folder / "vocab.json").unlink()
    needed = "expected tokenizer.json, vocab.json and merges.txt, vocab.txt, or spiece.model or "
    refused(FileNotFoundError, needed)


@pytest.fixture
def siglip_2(tmp_path):
    """A folder with byte pairs as SigLIP 2 has them, and the library's own tokenizer of it."""
    letters = [chr(code) for code in range(33, 127)]
    words = ["<pad>", "<eos>", "<bos>", "<unk>", *(f"<0x{i:02X}>" for i in range(256)), "▁"]
    vocabulary = {word: index for index, word in enumerate([*words, *letters])}
    made = tokenizers.Tokenizer(
        tokenizers.models.BPE(vocabulary, [], unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    made.normalizer = tokenizers.normalizers.Replace(" ", "▁")
    made.add_special_tokens(["<pad>", "<eos>", "<bos>"])
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="$A <eos>", special_tokens=[("<eos>", 1)]
    )
    made.save(str(tmp_path / "tokenizer.json"))
    settings = {"tokenizer_class": "GemmaTokenizer", "pad_token": "<pad>", "eos_token": "<eos>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    lower = tokenizers.normalizers.Lowercase()
    made.normalizer = tokenizers.normalizers.Sequence([lower, made.normalizer])
    return tmp_path, made


@pytest.mark.parametrize(
    "text", ["A photo of a dog.", "snake_case, Ü", "", "  two  spaces ", "ΣΑΣ"]
)
def test_siglip_2_makes_texts_lower_case_and_no_more(siglip_2, text):
    """As `Siglip2Tokenizer` of transformers 5.24; SigLIP's own cleaning drops punctuation."""
    folder, reference = siglip_2
    ours = read_tokenizer(folder, context_length=64, cleaning="siglip")
    expected = reference.encode(text).ids
    assert ours([text]).tolist() == [expected + [0] * (64 - len(expected))]
