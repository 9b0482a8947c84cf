"""Write a tokenizer as files that `transformers` and `read_tokenizer` read."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers

from dual_encoder.tokenizer import Tokenizer

NOTE = "duet"  # of tokenizer_config.json: what no other key says

SPACES = {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}

ENDS = {"type": "Strip", "strip_left": True, "strip_right": True}

LOWER = {"type": "Lowercase"}

PUNCTUATION = {
    "type": "Replace",
    "pattern": {"Regex": r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]"""},
    "content": "",
}

UNDERSCORES = {"type": "Replace", "pattern": {"String": "_"}, "content": " "}

# What a tokenizer.json can say of each cleaning, for those who do not clean.
STEPS: dict[str, list[dict[str, Any]]] = {
    "none": [],
    "openai": [{"type": "NFC"}, SPACES, ENDS, LOWER],
    "whitespace": [SPACES, ENDS],
    "canonicalize": [UNDERSCORES, PUNCTUATION, LOWER, SPACES, ENDS],
    "siglip": [PUNCTUATION, LOWER, SPACES, ENDS],
}


@dataclass(frozen=True)
class SpecialTokens:
    """Those that begin, end and fill a row; `start` may be missing."""

    start: str | None
    end: str
    pad: str
    ids: dict[str, int | None]  # by the names that configurations give them


def special_tokens(tokenizer: Tokenizer) -> SpecialTokens:
    """Of a tokenizer.

    CLIP's rows in `open_clip` are filled with "!", which must not be special in a text, so the
    token that ends them stands for it: what follows the end changes nothing there.
    """
    inner = tokenizers.Tokenizer.from_str(tokenizer.json)
    special = {token.content for token in inner.get_added_tokens_decoder().values()}
    encoding = inner.encode("a")
    starts = len(encoding) > 1 and encoding.special_tokens_mask[0]
    start = encoding.tokens[0] if starts else None
    end = str(inner.id_to_token(tokenizer.end_id))
    pad = inner.id_to_token(tokenizer.pad_id)
    pad = pad if pad is not None and pad in special else end
    ids = {
        "bos_token_id": inner.token_to_id(start) if start else None,
        "eos_token_id": tokenizer.end_id,
        "pad_token_id": inner.token_to_id(pad),
    }
    return SpecialTokens(start, end, pad, ids)


def write_tokenizer(tokenizer: Tokenizer, folder: Path, *, masked: bool) -> None:
    """Write tokenizer.json and tokenizer_config.json.

    `transformers` gives the same ids, but for texts that hold the name of a special token and for
    what a cleaning mends beyond case, punctuation and spaces (broken encodings, HTML entities).

    Args:
        tokenizer: of the model.
        folder: there already.
        masked: whether the model is told which tokens are padding.
    """
    content = json.loads(tokenizer.json)
    if steps := STEPS[tokenizer.cleaning]:
        own = [content["normalizer"]] if content["normalizer"] else []
        content["normalizer"] = {"type": "Sequence", "normalizers": [*steps, *own]}
    _write(folder / "tokenizer.json", content)
    tokens = special_tokens(tokenizer)
    unknown = content["model"].get("unk_token")
    if content["model"].get("unk_id") is not None:
        unknown = content["model"]["vocab"][content["model"]["unk_id"]][0]
    named = {"bos_token": tokens.start, "cls_token": tokens.start, "eos_token": tokens.end}
    named |= {"sep_token": tokens.end, "pad_token": tokens.pad, "unk_token": unknown}
    config = tokenizer.get_config()
    del config["json"]
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": tokenizer.context_length,
        "model_input_names": ["input_ids", "attention_mask"] if masked else ["input_ids"],
        "clean_up_tokenization_spaces": False,
        "padding_side": "right",
        **{name: token for name, token in named.items() if token is not None},
        NOTE: config,
    }
    _write(folder / "tokenizer_config.json", settings)


def read_back(content: dict[str, Any], note: dict[str, Any]) -> Tokenizer:
    """The tokenizer that `write_tokenizer` wrote.

    Args:
        content: of tokenizer.json.
        note: of tokenizer_config.json, what tokenizer.json has not.
    """
    if steps := STEPS[note["cleaning"]]:
        own = content["normalizer"]["normalizers"][len(steps) :]
        content = {**content, "normalizer": own[0] if own else None}
    return Tokenizer(json.dumps(content, ensure_ascii=False), **note)


def _write(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document, ensure_ascii=False) + "\n", encoding="utf-8")
