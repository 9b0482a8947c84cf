"""Build tokenizers from the files that predate tokenizer.json."""

from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from dual_encoder.checkpoints.json_schemas import read_json
from duet import json_validation

Merges = list[tuple[str, str]]

WORD_END = "</w>"  # of CLIP's byte pairs

CONTRACTIONS = "'s|'t|'re|'ve|'m|'ll|'d"

WORDS = r"[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"  # letters, one digit, anything else

# Where case does not matter, U+017F is an "s", and U+0345 is no part of a word and left out.
WORDS_IN_ANY_CASE = f"(?i:{CONTRACTIONS})|{WORDS[:-2]}\\x{{0345}}]+"


def byte_pairs(folder: Path, settings: dict[str, Any]) -> tokenizers.Tokenizer:
    """CLIP's or RoBERTa's, from vocab.json and merges.txt: CLIP's mark the ends of words.

    Args:
        settings: those of tokenizer_config.json, tokens as plain strings.

    Raises:
        ValueError: neither; the vocabulary has not the tokens that begin and end their texts, or
            one id for two tokens; merges.txt does not make the vocabulary.
    """
    vocabulary = read_json(folder, "vocab.json", {"*": json_validation.COUNT})
    if len(set(vocabulary.values())) < len(vocabulary):
        raise ValueError("vocab.json: expected an id for each token; got one for two")
    build = _clip if any(token.endswith(WORD_END) for token in vocabulary) else _roberta
    return build(settings, vocabulary, _merges(folder / "merges.txt", vocabulary))


def _merges(path: Path, vocabulary: dict[str, int]) -> Merges:
    """The pairs of a file, one a line; its first line may be its version.

    Tokens of several letters come from a pair each, but for some special ones: where many do not,
    a part of the file is missing.
    """
    pairs = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), 1):
        if line and not line.startswith("#version"):
            first, _, second = line.partition(" ")
            if not first or not second or " " in second:
                raise ValueError(
                    f"{path.name}, line {number}: expected two tokens; got {line!r:.60}"
                )
            pairs.append((first, second))
    made = {first + second for first, second in pairs}
    long = (token for token in vocabulary if len(token.removesuffix(WORD_END)) > 1)
    left = [token for token in long if token not in made and not token.startswith("<")]
    if len(left) > max(8, len(vocabulary) // 1000):
        raise ValueError(
            f"{path.name} does not make {len(left):,} of the {len(vocabulary):,} tokens of "
            f"vocab.json ({left[-1]!r:.40}): is it cut off?"
        )
    return pairs


def _clip(
    settings: dict[str, Any], vocabulary: dict[str, int], merges: Merges
) -> tokenizers.Tokenizer:
    """Lower-cased words."""
    names = ("<|startoftext|>", "<|endoftext|>")
    if names[0] not in vocabulary:  # open_clip's own
        names = ("<start_of_text>", "<end_of_text>")
    start, end = settings.get("bos_token", names[0]), settings.get("eos_token", names[1])
    tokenizer = tokenizers.Tokenizer(
        models.BPE(
            vocabulary,
            merges,
            unk_token=settings.get("unk_token", end),
            end_of_word_suffix=WORD_END,
        )
    )
    spaces = normalizers.Replace(tokenizers.Regex(r"\s+"), " ")
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), spaces, normalizers.Lowercase()]
    )
    words = tokenizers.Regex(f"{CONTRACTIONS}|{WORDS}")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return _between(tokenizer, start, end)


def words_of_open_clip() -> dict[str, Any]:
    """Parts of a tokenizer.json for CLIP's byte pairs of texts that "openai" cleaned.

    Nothing is normalized again.
    """
    pattern = {"Regex": WORDS_IN_ANY_CASE}
    split = {"type": "Split", "pattern": pattern, "behavior": "Removed", "invert": True}
    to_bytes = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    steps = [split, to_bytes | {"use_regex": False}]
    return {"normalizer": None, "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps}}


def _roberta(
    settings: dict[str, Any], vocabulary: dict[str, int], merges: Merges
) -> tokenizers.Tokenizer:
    """Words as they are written, with the space before them."""
    tokenizer = tokenizers.Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(
        add_prefix_space=settings.get("add_prefix_space", False)
    )
    tokenizer.decoder = decoders.ByteLevel()
    start, end = settings.get("cls_token", "<s>"), settings.get("sep_token", "</s>")
    return _between(tokenizer, start, end)


def word_pieces(folder: Path, settings: dict[str, Any]) -> tokenizers.Tokenizer:
    """BERT's, from vocab.txt, which has one token a line.

    Args:
        settings: those of tokenizer_config.json, tokens as plain strings.

    Raises:
        ValueError: the vocabulary has not the tokens that begin and end a text.
    """
    lines = (folder / "vocab.txt").read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")
    vocabulary = {token: index for index, token in enumerate(lines)}
    unknown = settings.get("unk_token", "[UNK]")
    if unknown not in vocabulary:
        raise ValueError(f"unk_token: not in the vocabulary: {unknown}")
    tokenizer = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token=unknown))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=settings.get("tokenize_chinese_chars", True),
        strip_accents=settings.get("strip_accents"),
        lowercase=settings.get("do_lower_case", True),
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    start, end = settings.get("cls_token", "[CLS]"), settings.get("sep_token", "[SEP]")
    return _between(tokenizer, start, end)


def _between(tokenizer: tokenizers.Tokenizer, start: str, end: str) -> tokenizers.Tokenizer:
    """The same, with every text between these two tokens."""
    add_template(tokenizer, single=[start, "$A", end])
    return tokenizer


def add_template(tokenizer: tokenizers.Tokenizer, *, single: list[str]) -> None:
    """Put texts, "$A", among special tokens.

    Raises:
        ValueError: a token that is not in the vocabulary.
    """
    tokens = [token for token in single if token != "$A"]
    missing = [token for token in tokens if tokenizer.token_to_id(token) is None]
    if missing:
        raise ValueError(f"tokens that begin and end a text: not in the vocabulary: {missing}")
    tokenizer.add_special_tokens(tokens)
    ids = [(token, tokenizer.token_to_id(token)) for token in tokens]
    tokenizer.post_processor = processors.TemplateProcessing(single=single, special_tokens=ids)
