"""Convert tokenizers of `transformers` and KerasHub to Duet's."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tokenizers

from dual_encoder.checkpoints.tokenizers.read import read_tokenizer
from dual_encoder.tokenizer import Tokenizer

# KerasHub's names of the files of a tokenizer, and those of `transformers`.
ASSETS = {
    "vocabulary.json": "vocab.json",
    "merges.txt": "merges.txt",
    "vocabulary.txt": "vocab.txt",
    "vocabulary.spm": "vocabulary.spm",
}

# KerasHub's classes, and what tokenizer_config.json says of them in `transformers`.
KINDS: dict[str, dict[str, Any]] = {
    "BertTokenizer": {"tokenizer_class": "BertTokenizer"},
    "DistilBertTokenizer": {"tokenizer_class": "BertTokenizer"},
    "CLIPTokenizer": {"tokenizer_class": "CLIPTokenizer"},
    "RobertaTokenizer": {"tokenizer_class": "RobertaTokenizer"},
    "XLMRobertaTokenizer": {"tokenizer_class": "XLMRobertaTokenizer"},
    "SigLIPTokenizer": {"tokenizer_class": "SiglipTokenizer", "pad_token": "</s>"},
    "GemmaTokenizer": {"tokenizer_class": "GemmaTokenizer", "pad_token": "<pad>"},
}

# KerasHub's settings of a tokenizer that change ids, and those of `transformers`.
OPTIONS = {
    "lowercase": "do_lower_case",
    "strip_accents": "strip_accents",
    "add_prefix_space": "add_prefix_space",
}


def as_tokenizer(tokenizer: Any, *, context_length: int) -> Any:
    """A tokenizer of `transformers` or KerasHub as a `Tokenizer`, which is saved with a model;
    any other, None included, as it is.

    Raises ValueError for a kind that cannot be taken over.
    """
    if tokenizer is None or hasattr(tokenizer, "context_length"):
        return tokenizer
    if hasattr(tokenizer, "backend_tokenizer"):
        return _of_transformers(tokenizer, context_length=context_length)
    name = type(tokenizer).__name__
    if name in KINDS and hasattr(tokenizer, "save_assets"):
        return _of_keras_hub(tokenizer, context_length=context_length)
    raise ValueError(
        "tokenizer: expected a dual_encoder.Tokenizer, a fast one of transformers, or KerasHub's "
        f"{', '.join(KINDS)}; got {name}"
    )


def _of_transformers(tokenizer: Any, *, context_length: int) -> Tokenizer:
    own = tokenizers.Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    own.no_padding()
    own.no_truncation()
    end_id = tokenizer.eos_token_id
    if end_id is None:
        end_id = tokenizer.sep_token_id
    if tokenizer.pad_token_id is None or end_id is None:
        raise ValueError("tokenizer: expected one with a padding and an end token; it lacks one")
    return Tokenizer(
        own.to_str(),
        context_length=min(tokenizer.model_max_length, context_length),
        pad_id=tokenizer.pad_token_id,
        end_id=end_id,
    )


def _of_keras_hub(tokenizer: Any, *, context_length: int) -> Tokenizer:
    kind = type(tokenizer).__name__
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_assets(folder)
        options = tokenizer.get_config()
        return of_assets(Path(folder), kind, options=options, context_length=context_length)


def of_assets(assets: Path, kind: str, *, options: Mapping[str, Any], **reading: Any) -> Tokenizer:
    """The tokenizer whose files KerasHub wrote into the folder `assets`.

    Args:
        assets: with files of the names of `ASSETS`.
        kind: KerasHub's class, one of `KINDS`.
        options: KerasHub's settings of it, such as `lowercase`.
        reading: of `read_tokenizer`.
    """
    settings = KINDS[kind] | {OPTIONS[key]: options[key] for key in OPTIONS if key in options}
    with tempfile.TemporaryDirectory() as copy:
        for theirs, ours in ASSETS.items():
            if (assets / theirs).is_file():
                shutil.copyfile(assets / theirs, Path(copy) / ours)
        (Path(copy) / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
        return read_tokenizer(copy, **reading)
