"""Convert tokenizers of `transformers` and KerasHub to Duet's."""

import json
import tempfile
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
}

KINDS = {
    "BertTokenizer": "BertTokenizer",
    "DistilBertTokenizer": "BertTokenizer",
    "CLIPTokenizer": "CLIPTokenizer",
    "RobertaTokenizer": "RobertaTokenizer",
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
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_assets(folder)
        for theirs, ours in ASSETS.items():
            if (Path(folder) / theirs).is_file():
                (Path(folder) / theirs).rename(Path(folder) / ours)
        kind = KINDS[type(tokenizer).__name__]
        config: dict[str, Any] = {"tokenizer_class": kind}
        if kind == "BertTokenizer":
            config["do_lower_case"] = bool(tokenizer.lowercase)
        (Path(folder) / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
        return read_tokenizer(folder, context_length=context_length)
