"""Build tokenizers from SentencePiece models (`spiece.model`, `vocabulary.spm`): pieces and scores.

They are protocol buffers; the fields that are read here are those of SentencePiece's
`sentencepiece_model.proto`. Its own Python class for them wants a newer protobuf than TensorFlow
takes.
"""

import functools
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, normalizers

from dual_encoder.checkpoints.tokenizers.legacy import add_template

FILES = ("spiece.model", "sentencepiece.bpe.model", "tokenizer.model", "vocabulary.spm")

SPACE = "▁"

UNIGRAM, BYTE_PAIRS = 1, 2  # of TrainerSpec.model_type

NORMAL, USER_DEFINED = 1, 4  # of a piece's type

LONGEST = 512  # letters of a piece; SentencePiece learns none above 16 unless told to

# Their ids are not their places in the model: these come first, and "<mask>" last.
FAIRSEQ = ("XLMRobertaTokenizer", "XLMRobertaTokenizerFast")
FIRST = ("<s>", "<pad>", "</s>", "<unk>")

# name, number, type of google.protobuf.FieldDescriptorProto, default or message
FIELDS: dict[str, tuple[tuple[str, int, int, str], ...]] = {
    "Piece": (("piece", 1, 9, ""), ("score", 2, 2, "0"), ("type", 3, 5, "1")),
    "Trainer": (
        ("model_type", 3, 5, "1"),
        ("byte_fallback", 35, 8, "false"),
        ("unk_id", 40, 5, "0"),
        ("eos_id", 42, 5, "2"),
    ),
    "Normalizer": (
        ("precompiled_charsmap", 2, 12, ""),
        ("add_dummy_prefix", 3, 8, "true"),
        ("remove_extra_whitespaces", 4, 8, "true"),
    ),
    "Model": (
        ("pieces", 1, 11, "Piece"),
        ("trainer", 2, 11, "Trainer"),
        ("normalizer", 3, 11, "Normalizer"),
    ),
}


def sentence_pieces(path: Path, settings: dict[str, Any]) -> tokenizers.Tokenizer:
    """A tokenizer whose ids are those of the SentencePiece model in a file, and its end.

    Args:
        path: of the model.
        settings: those of tokenizer_config.json, tokens as plain strings; `tokenizer_class` tells
            XLM-RoBERTa's, whose ids are not their pieces' places.

    Raises:
        ValueError: not such a model, or one of words or letters.
    """
    model = _parsed(path)
    fairseq = settings.get("tokenizer_class") in FAIRSEQ
    pieces = [(piece.piece, piece.score) for piece in model.pieces]
    unknown, end = model.trainer.unk_id, "</s>"
    if fairseq:
        pieces = [*((name, 0.0) for name in FIRST), *pieces[3:], ("<mask>", 0.0)]
        unknown = FIRST.index("<unk>")
    elif model.trainer.eos_id >= 0:
        end = settings.get("eos_token", pieces[model.trainer.eos_id][0])
    fallback = model.trainer.byte_fallback
    if model.trainer.model_type == UNIGRAM:
        kind: models.Model = models.Unigram(pieces, unknown, fallback)
    elif model.trainer.model_type == BYTE_PAIRS:
        kind = _byte_pairs(pieces, model, unknown=pieces[unknown][0])
    else:
        raise ValueError(f"{path.name}: expected unigrams or byte pairs; got words or letters")
    tokenizer = tokenizers.Tokenizer(kind)
    _add_steps(tokenizer, model.normalizer)
    defined = [piece.piece for piece in model.pieces if piece.type == USER_DEFINED]
    if defined and model.normalizer.add_dummy_prefix:  # which `tokenizers` would put before them
        raise ValueError(f"{path.name}: expected no user-defined pieces; got {defined[0]!r}")
    tokenizer.add_tokens([AddedToken(piece, normalized=True) for piece in defined])
    start = ["<s>"] if fairseq else []
    if settings.get("add_bos_token") and "bos_token" in settings:
        start = [settings["bos_token"]]
    add_template(tokenizer, single=[*start, "$A", end])
    return tokenizer


def _parsed(path: Path) -> Any:
    """The fields of a model."""
    from google.protobuf.message import DecodeError

    model = _message()()
    try:
        model.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise ValueError(f"{path.name}: not a SentencePiece model") from error
    count, trainer = len(model.pieces), model.trainer
    if not 0 <= trainer.unk_id < count or trainer.eos_id >= count:
        raise ValueError(f"{path.name}: not a SentencePiece model: {count} pieces")
    if max(len(piece.piece) for piece in model.pieces) > LONGEST:
        raise ValueError(f"{path.name}: expected pieces of at most {LONGEST} letters; got longer")
    return model


@functools.cache
def _message() -> Any:
    """The class of models, of `FIELDS`."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="pieces.proto", package="pieces")
    for message, fields in FIELDS.items():
        described = file.message_type.add(name=message)
        for name, number, kind, rest in fields:
            field = described.field.add(name=name, number=number, type=kind, label=1)
            if kind == field.TYPE_MESSAGE:
                field.type_name = f".pieces.{rest}"
            else:
                field.default_value = rest
    file.message_type[-1].field[0].label = 3  # repeated
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("pieces.Model"))


def _byte_pairs(pieces: list[tuple[str, float]], model: Any, *, unknown: str) -> models.BPE:
    """Any two normal pieces that make a third become it, those of the best score first."""
    normal = {
        name: (-score, index)
        for index, ((name, score), piece) in enumerate(zip(pieces, model.pieces, strict=True))
        if piece.type == NORMAL
    }
    pairs = [
        (rank, name[:cut], name[cut:])
        for name, rank in normal.items()
        for cut in range(1, len(name))
        if name[:cut] in normal and name[cut:] in normal
    ]
    return models.BPE(
        {name: index for index, (name, _) in enumerate(pieces)},
        [(left, right) for _, left, right in sorted(pairs)],
        unk_token=unknown,
        fuse_unk=True,
        byte_fallback=model.trainer.byte_fallback,
    )


def _add_steps(tokenizer: tokenizers.Tokenizer, rules: Any) -> None:
    """What SentencePiece does to a text before it looks for pieces, and undoes afterwards."""
    steps: list[normalizers.Normalizer] = []
    if rules.precompiled_charsmap:
        steps.append(normalizers.Precompiled(rules.precompiled_charsmap))
    if rules.remove_extra_whitespaces:
        steps += [
            normalizers.Replace(Regex(r"\A +| +\z"), ""),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    steps.append(normalizers.Replace(" ", SPACE))
    decoding: list[decoders.Decoder] = [
        decoders.Replace(SPACE, " "),
        decoders.ByteFallback(),
        decoders.Fuse(),
    ]
    if rules.add_dummy_prefix:
        steps.append(normalizers.Prepend(SPACE))
        decoding.append(decoders.Strip(content=" ", left=1))
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.decoder = decoders.Sequence(decoding)
