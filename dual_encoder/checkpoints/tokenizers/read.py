"""Read the tokenizer of a published checkpoint from its text files; nothing is unpickled."""

import contextlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import normalizers, pre_tokenizers

from dual_encoder.checkpoints.json_schemas import TOKENS, read_json
from dual_encoder.checkpoints.tokenizers.added_tokens import add_tokens
from dual_encoder.checkpoints.tokenizers.legacy import (
    WORD_END,
    add_template,
    byte_pairs,
    word_pieces,
    words_of_open_clip,
)
from dual_encoder.checkpoints.tokenizers.sentencepiece_model import FILES, sentence_pieces
from dual_encoder.checkpoints.tokenizers.write import NOTE, read_back
from dual_encoder.tokenizer import Tokenizer

NAMES = tuple(f"{name}_token" for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"))

# Of BERT's normalizer -> of tokenizer_config.json.
BERT_LETTERS = {
    "lowercase": "do_lower_case",
    "strip_accents": "strip_accents",
    "handle_chinese_chars": "tokenize_chinese_chars",
}

# Whose texts are read as the files here are put together, without "Fast" at their end; others have
# rules of their own, such as Japanese ones that look up words before pieces.
CLASSES: dict[str, tuple[str, ...]] = {
    "vocab.json": ("CLIPTokenizer", "RobertaTokenizer", "BartTokenizer", "LongformerTokenizer"),
    "vocab.txt": ("BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MPNetTokenizer"),
    **dict.fromkeys(
        FILES,
        ("SiglipTokenizer", "Siglip2Tokenizer", "XLMRobertaTokenizer", "T5Tokenizer")
        + ("GemmaTokenizer",),
    ),
}

# Of a `model_type` whose folders need not name a tokenizer.
CLASS_OF_MODEL = {"xlm-roberta": "XLMRobertaTokenizer"}

OF_MODEL = {"tokenizer_class?": (None, str), "model_type?": str}

NEEDED = f"expected tokenizer.json, vocab.json and merges.txt, vocab.txt, or {' or '.join(FILES)}"


def read_tokenizer(
    folder: str | Path,
    *,
    context_length: int,
    cleaning: str = "none",
    pad_to_context: bool | None = None,
    end_as_padding: bool = False,
    lower: bool = False,
) -> Tokenizer:
    """The tokenizer of the checkpoint in `folder`, with the ids of its reference.

    A tokenizer.json is taken as it is; older layouts are put together from their vocabulary. One
    difference is meant: a text with the name of a special token in it, such as "</s>", gets no such
    token, so a caption cannot end itself. Rows are padded with the `pad_token` of the settings;
    CLIP's after "openai" cleaning with 0, as in open_clip. SigLIP 2's texts, byte pairs where
    SigLIP's are unigrams, are only made lower case, as `transformers` 5.24 does it.

    Args:
        folder: holds tokenizer.json, or vocab.json and merges.txt (CLIP, RoBERTa), or vocab.txt
            (BERT), or a SentencePiece model (SigLIP, XLM-RoBERTa, Gemma) such as spiece.model;
            tokenizer_config.json, special_tokens_map.json and added_tokens.json are read where they
            are.
        context_length: most tokens per text.
        cleaning: what texts go through first, a name of `CLEANINGS`.
        pad_to_context: see `Tokenizer`; None for yes with SigLIP's, which read the last position.
        end_as_padding: whether texts end with the padding's token, as CLIPA was trained.
        lower: whether letters become small before anything else.

    Raises:
        FileNotFoundError: none of these files.
        ValueError: a file that cannot be read, no token to pad or to end with, no such cleaning.
    """
    folder = Path(folder)
    settings = _settings(folder)
    if NOTE in settings:
        return _written_here(folder, settings[NOTE], context_length=context_length)
    with _readable(folder, but=FileNotFoundError):
        tokenizer = _assembled(folder, settings)
        add_tokens(tokenizer, folder, settings, whole=(folder / "tokenizer.json").is_file())
        tokenizer.no_truncation()  # `Tokenizer` cuts and pads
        tokenizer.no_padding()
        end = _end(tokenizer, settings)
        is_siglip = cleaning in ("siglip", "canonicalize")
        if cleaning == "siglip" and isinstance(tokenizer.model, tokenizers.models.BPE):
            cleaning, lower = "none", True
        if lower:
            _lower(tokenizer)
        _mark(tokenizer, {settings[name] for name in NAMES if name in settings} | {end})
        clip = getattr(tokenizer.model, "end_of_word_suffix", None) == WORD_END
        as_open_clip = clip and cleaning == "openai"
        (end_id,) = _ids(tokenizer, [end])
        usual = (end,) if clip else ("<pad>", "[PAD]")
        pad_id = 0 if as_open_clip else _pad_id(tokenizer, settings, usual=usual)
        if end_as_padding:
            start = tokenizer.encode("a").tokens[0]
            add_template(tokenizer, single=[start, "$A", str(tokenizer.id_to_token(pad_id))])
            end_id = pad_id
        text = _text(tokenizer, as_open_clip=as_open_clip)
    if pad_to_context is None:
        pad_to_context = is_siglip or str(settings.get("tokenizer_class")).startswith("Siglip")
    with _readable(folder, but=ValueError):  # the library reads its text less willingly than files
        return Tokenizer(
            text,
            context_length=context_length,
            pad_id=pad_id,
            end_id=end_id,
            cleaning=cleaning,
            pad_to_context=pad_to_context,
        )


@contextlib.contextmanager
def _readable(folder: Path, *, but: type[Exception] | tuple[()] = ()) -> Iterator[None]:
    """Names the folder in whatever error the library raises, `but` those."""
    try:
        yield
    except but:
        raise
    except Exception as error:  # the library has no narrower one
        raise ValueError(f"{folder}: no tokenizer can be read: {error}") from error


def longest_text(folder: Path, *, most: int) -> int:
    """Tokens that a text may have by the `model_max_length` of a folder; at most `most`."""
    return bounded(_settings(folder).get("model_max_length"), most=most)


def bounded(longest: float | None, *, most: int) -> int:
    """A setting of tokens per text, at most `most`; `most` where it says none, or less than one."""
    return int(min(longest, most)) if longest and longest >= 1 else most


def _text(tokenizer: tokenizers.Tokenizer, *, as_open_clip: bool) -> str:
    """Its JSON, with what the library's own objects cannot say."""
    text = tokenizer.to_str()
    unigram = isinstance(tokenizer.model, tokenizers.models.Unigram)
    if not as_open_clip and not unigram:
        return text
    content = json.loads(text)
    if as_open_clip:
        content |= words_of_open_clip()
    if unigram:
        _keep_apart(content)
    return json.dumps(content, ensure_ascii=False)


def _written_here(folder: Path, note: Any, *, context_length: int) -> Tokenizer:
    """What `write_tokenizer` wrote: the note has all that tokenizer.json has not."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder}: no {path.name} beside tokenizer_config.json")
    with _readable(folder):
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        length = min(note["context_length"], context_length)
        return read_back(json.loads(tokenizer.to_str()), {**note, "context_length": length})


def _settings(folder: Path) -> dict[str, Any]:
    """Both files of settings, names of tokens as plain strings; tokenizer_config.json wins.

    What neither says of the tokenizer's class is that of config.json.
    """
    settings: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            found = read_json(folder, name, TOKENS)
            settings |= {key: value for key, value in found.items() if value is not None}
    if "tokenizer_class" not in settings and (folder / "config.json").is_file():
        model = read_json(folder, "config.json", OF_MODEL)
        named = model.get("tokenizer_class") or CLASS_OF_MODEL.get(model.get("model_type", ""))
        settings |= {"tokenizer_class": named} if named else {}
    tokens = {name: settings[name] for name in NAMES if name in settings}
    return settings | {
        name: token["content"] if isinstance(token, dict) else token
        for name, token in tokens.items()
    }


def _assembled(folder: Path, settings: dict[str, Any]) -> tokenizers.Tokenizer:
    """From what is there, the newest layout first."""
    if (folder / "tokenizer.json").is_file():
        tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        _refuse_left(tokenizer, settings)
        _as_set(tokenizer, settings)
        return tokenizer
    if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        _refuse_others("vocab.json", settings)
        return byte_pairs(folder, settings)
    if (folder / "vocab.txt").is_file():
        _refuse_others("vocab.txt", settings)
        return word_pieces(folder, settings)
    for name in FILES:
        if (folder / name).is_file():
            _refuse_others(name, settings)
            return sentence_pieces(folder / name, settings)
    raise FileNotFoundError(f"{folder}: {NEEDED}")


def _refuse_others(file: str, settings: dict[str, Any]) -> None:
    """Raises ValueError if a vocabulary is of a tokenizer that reads texts by other rules."""
    named = settings.get("tokenizer_class")
    if named is not None and named.removesuffix("Fast") not in CLASSES[file]:
        raise ValueError(
            f"expected a tokenizer_class of {', '.join(CLASSES[file])} with {file}; got {named!r}"
        )


def _refuse_left(tokenizer: tokenizers.Tokenizer, settings: dict[str, Any]) -> None:
    """Raises ValueError if texts are cut or padded at their beginning, unless settings say else."""
    for side, options in (
        ("truncation_side", tokenizer.truncation), ("padding_side", tokenizer.padding)
    ):  # fmt: skip
        if side not in settings and str((options or {}).get("direction")).lower() == "left":
            raise ValueError(f"expected {side} right in tokenizer.json; got left")


def _as_set(tokenizer: tokenizers.Tokenizer, settings: dict[str, Any]) -> None:
    """Letters and spaces as the settings have them, which count before those of tokenizer.json."""
    spaces = settings.get("add_prefix_space")
    if isinstance(tokenizer.pre_tokenizer, pre_tokenizers.ByteLevel) and spaces is not None:
        tokenizer.pre_tokenizer.add_prefix_space = spaces  # RoBERTa's
    own = getattr(tokenizer.normalizer, "lowercase", None)
    if not isinstance(tokenizer.normalizer, normalizers.BertNormalizer) or own is None:
        return
    for name, setting in BERT_LETTERS.items():
        if settings.get(setting) is not None:
            setattr(tokenizer.normalizer, name, settings[setting])


def _mark(tokenizer: tokenizers.Tokenizer, names: set[str]) -> None:
    """As special tokens, which `decode` leaves out, those that the vocabulary has."""
    known = (name for name in sorted(names) if tokenizer.token_to_id(name) is not None)
    tokenizer.add_special_tokens(list(known))


def _lower(tokenizer: tokenizers.Tokenizer) -> None:
    """Letters become small before anything else."""
    steps = [normalizers.Lowercase(), *filter(None, [tokenizer.normalizer])]
    tokenizer.normalizer = normalizers.Sequence(steps)


def _end(tokenizer: tokenizers.Tokenizer, settings: dict[str, Any]) -> str:
    """The token that ends every text. Where none does but the settings want one, it is added."""
    encoding = tokenizer.encode("a")
    if encoding.ids and encoding.special_tokens_mask[-1]:
        return encoding.tokens[-1]
    end = settings.get("eos_token")
    if not settings.get("add_eos_token") or end is None:
        raise ValueError("expected texts to end with a token of their own; they do not")
    start = [settings["bos_token"]] if settings.get("add_bos_token") else []
    add_template(tokenizer, single=[*start, "$A", end])
    return end


def _pad_id(
    tokenizer: tokenizers.Tokenizer, settings: dict[str, Any], *, usual: tuple[str, ...]
) -> int:
    """Of the token that the settings name, else of the first of the `usual` that there is."""
    names = (settings["pad_token"],) if "pad_token" in settings else usual
    if found := _ids(tokenizer, names):
        return found[0]
    raise ValueError(f"pad_token: not in the vocabulary: {', '.join(names)}")


def _ids(tokenizer: tokenizers.Tokenizer, names: Iterable[str]) -> list[int]:
    """Of those that the vocabulary has."""
    found = (tokenizer.token_to_id(name) for name in names)
    return [index for index in found if index is not None]


def _keep_apart(content: dict[str, Any]) -> None:
    """See to it that no text can spell a special token; changes `content`.

    The library passes over those that are marked as special. But Unigram vocabularies hold them as
    pieces too, of score 0, the best there is: names found in a text are cut in two.
    """
    special = {token["content"] for token in content["added_tokens"] if token["special"]}
    pieces = (piece for piece, score in content["model"]["vocab"] if score == 0)
    special |= {piece for piece in pieces if re.fullmatch("<.+>", piece)}
    halves = (
        f"(?<={re.escape(name[0])}){re.escape(name[1:])}"
        for name in sorted(special)
        if len(name) > 1
    )
    pattern = {"Regex": "|".join(halves)}
    split = {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
    steps = [step for step in (content["pre_tokenizer"], split) if step]
    content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": steps}
