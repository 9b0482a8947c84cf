"""Tokenizers made of SentencePiece models: ids beside those of SentencePiece itself."""

import io
import json

import pytest
import sentencepiece

from dual_encoder.checkpoints.tokenizers.read import read_tokenizer
from dual_encoder.checkpoints.tokenizers.sentencepiece_model import LONGEST

TEXTS = [
    "a photo of a cat.",
    "  two   dogs,\ton the\nGRASS ",
    "café ﬁancé \uff46\uff55ll Ⅻ",
    "it's 2024 at 3:45",
    "▁low▁line snake_case",
    "東京 мир 😀 unseen ☃☃",
    "a\n\nb   c <table> <mask>",
    "",
    " ",
    "the cat " * 30,
]
KINDS = {
    "unigrams": {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1},
    "byte pairs": {"model_type": "bpe"},
    "unigrams and bytes": {"byte_fallback": True, "vocab_size": 420},
    "byte pairs of Gemma": {
        "model_type": "bpe",
        "byte_fallback": True,
        "vocab_size": 420,
        "add_dummy_prefix": False,
        "remove_extra_whitespaces": False,
        "normalization_rule_name": "identity",
        "user_defined_symbols": ["<mask>", "<table>", "\n", "\n\n", "▁▁", "▁▁▁"],
        "eos_piece": "<eos>",
        "pad_id": 0,
        "eos_id": 1,
        "bos_id": 2,
        "unk_id": 3,
    },
}


def learnt(**options):
    """A model as SentencePiece writes it."""
    model = io.BytesIO()
    usual = {"vocab_size": 150, "character_coverage": 0.98, "hard_vocab_limit": False}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([text.replace("\n", " ") for text in TEXTS[:6] * 3]),
        model_writer=model,
        minloglevel=2,
        num_threads=1,
        **usual | options,
    )
    return model.getvalue()


@pytest.fixture(scope="module")
def made():
    return {kind: learnt(**options) for kind, options in KINDS.items()}


def read(folder, model, *, name="spiece.model", **settings):
    (folder / name).write_bytes(model)
    settings = {"pad_token": "</s>"} | settings
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return read_tokenizer(folder, context_length=200)


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_those_of_sentencepiece_and_the_end(kind, made, tmp_path):
    end = KINDS[kind].get("eos_piece", "</s>")
    ours = read(tmp_path, made[kind], pad_token=end)
    theirs = sentencepiece.SentencePieceProcessor(model_proto=made[kind])
    expected = {text: [*theirs.encode(text), theirs.eos_id()] for text in TEXTS}
    assert dict(zip(TEXTS, ours.rows(TEXTS), strict=True)) == expected
    assert {theirs.unk_id()} & {*expected[TEXTS[5]]} or "byte_fallback" in KINDS[kind]
    assert (ours.end_id, ours.pad_id) == (theirs.eos_id(), theirs.eos_id())
    assert ours.decode(ours([TEXTS[0]])[0]) == TEXTS[0]


def test_ids_of_xlm_roberta_are_one_more(made, tmp_path):
    name, settings = "sentencepiece.bpe.model", {"tokenizer_class": "XLMRobertaTokenizer"}
    model = made["unigrams and bytes"]
    ours = read(tmp_path, model, name=name, pad_token="<pad>", **settings)
    theirs = sentencepiece.SentencePieceProcessor(model_proto=model)
    inside = [index + 1 for index in theirs.encode(TEXTS[0])]
    assert ours.rows(TEXTS[:1]) == [[0, *inside, 2]]
    assert (ours.pad_id, ours.vocabulary_size) == (1, len(theirs) + 2)


def test_xlm_roberta_need_not_name_its_tokenizer(made, tmp_path):
    """The first repositories had a model and sizes alone; `transformers` goes by the model then."""
    (tmp_path / "config.json").write_text('{"model_type": "xlm-roberta"}')
    name, model = "sentencepiece.bpe.model", made["unigrams and bytes"]
    ours = read(tmp_path, model, name=name, pad_token="<pad>")
    theirs = sentencepiece.SentencePieceProcessor(model_proto=model)
    assert ours.rows(["a cat"]) == [[0, *(index + 1 for index in theirs.encode("a cat")), 2]]


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_spells_a_special_piece(kind, made, tmp_path):
    ours = read(tmp_path, made[kind], pad_token=KINDS[kind].get("eos_piece", "</s>"))
    special = {"<s>", "</s>", "<eos>", "<pad>", "<unk>"}
    for name in special:
        spelled = ours.rows([f"a {name} b {name}"])[0][:-1]
        assert not {ours._tokenizer.id_to_token(index) for index in spelled} & (special - {"<unk>"})


def test_a_start_that_the_settings_want(made, tmp_path):
    ours = read(tmp_path, made["byte pairs"], add_bos_token=True, bos_token="<s>")
    assert ours.rows(["a"])[0][0] == 1


def test_what_is_no_such_model_is_refused(made, tmp_path):
    def refused(model, message):
        with pytest.raises(ValueError, match=f"no tokenizer can be read: spiece.model: {message}"):
            read(tmp_path, model)

    refused(b"", "not a SentencePiece model: 0 pieces")
    refused(b"\x0a\xff\xff\xff\xff\x0f", "not a SentencePiece model$")
    refused(made["byte pairs"][:200], "not a SentencePiece model")
    refused(learnt(model_type="char"), "expected unigrams or byte pairs; got words or letters")
    refused(learnt(user_defined_symbols=["<x>"]), "expected no user-defined pieces; got '<x>'")
    length = len(varint(LONGEST + 1)) + LONGEST + 2
    piece = b"\x0a" + varint(length) + b"\x0a" + varint(LONGEST + 1) + b"x" * (LONGEST + 1)
    refused(piece * 3, f"expected pieces of at most {LONGEST} letters; got longer")


def varint(number):
    """A number from 128 to 16,383 as protocol buffers have it."""
    return bytes([0x80 | number & 0x7F, number >> 7])
