"""Build text towers, projections and tokenizers from the `text_cfg` of OpenCLIP configurations."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import keras

from dual_encoder.checkpoints.tokenizers.read import read_tokenizer
from dual_encoder.tokenizer import Tokenizer
from dual_encoder.towers.bert import Bert
from dual_encoder.towers.text_transformer import TextTransformer
from dual_encoder.towers.transformer import gelu_tanh

Config = Mapping[str, Any]

Made = tuple[keras.layers.Layer, keras.layers.Layer | None, Tokenizer]

KEYS = {
    "context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio", "hf_tokenizer_name",
    "tokenizer_kwargs", "pool_type", "eos_id", "pad_id", "no_causal_mask", "proj_bias",
    "proj_type", "norm_kwargs", "act_kwargs", "embed_cls", "output_tokens",
}  # fmt: skip

HF_KEYS = {
    "context_length", "hf_model_name", "hf_tokenizer_name", "hf_pooler_type", "hf_proj_type",
    "tokenizer_kwargs", "hf_model_pretrained",
}  # fmt: skip

# Published sizes of the text models that OpenCLIP names instead of describing.
HF_TEXT: Mapping[str, Config] = {
    "roberta-base": dict(vocabulary_size=50_265, width=768, depth=12, heads=12, segments=1),
    "xlm-roberta-base": dict(vocabulary_size=250_002, width=768, depth=12, heads=12, segments=1),
    "xlm-roberta-large": dict(vocabulary_size=250_002, width=1024, depth=24, heads=16, segments=1),
}

ROBERTA_POSITIONS, ROBERTA_PAD = 514, 1

# CLIP's token of the end is the one with the highest id.
POOLINGS = {"argmax": "end", "eos": "end", "last": "last"}


def clip_text(folder: Path, text: Config, embed_dim: int, activation: Any) -> Made:
    """OpenCLIP's own transformer with the switches that SigLIP, CLIPA, MetaCLIP 2 and CoCa set.

    Raises:
        ValueError: a value that stands for another model.
    """
    context, vocabulary = text.get("context_length", 77), text.get("vocab_size", 49_408)
    pooling = _choice(text, "pool_type", POOLINGS, "argmax")
    norm, act = text.get("norm_kwargs") or {}, text.get("act_kwargs") or {}
    if set(norm) - {"eps"}:
        raise ValueError(f"expected norm_kwargs with eps alone; got {norm}")
    if act not in ({}, {"approximate": "tanh"}):
        raise ValueError(f"expected act_kwargs approximate 'tanh' or none; got {act}")
    tower = TextTransformer(
        vocabulary,
        context,
        end_id=text.get("eos_id", 2) if text.get("pool_type") == "eos" else vocabulary - 1,
        width=text["width"],
        depth=text["layers"],
        heads=text["heads"],
        mlp_ratio=text.get("mlp_ratio", 4),
        activation=gelu_tanh if act else activation,
        causal=not text.get("no_causal_mask", False),
        pooling="class" if text.get("embed_cls", False) else pooling,
        pad_id=text.get("pad_id", 0),
        epsilon=norm.get("eps", 1e-5),
        name="text_tower",
    )
    tokenizer = _tokenizer(folder, text, context, whole_rows=not tower.trims_exactly)
    return tower, _projection(text, embed_dim), tokenizer


def _projection(text: Config, embed_dim: int) -> keras.layers.Layer | None:
    kind = _choice(text, "proj_type", {"linear": "linear", "none": "none"}, "linear")
    if kind == "none":
        return keras.layers.Identity(name="text_projection")
    biased = text.get("proj_bias", False)
    return keras.layers.Dense(embed_dim, name="text_projection") if biased else None


def _tokenizer(folder: Path, text: Config, context: int, *, whole_rows: bool) -> Tokenizer:
    """CLIP's byte pairs where no other tokenizer is named."""
    options = dict(text.get("tokenizer_kwargs") or {})
    named = text.get("hf_tokenizer_name")
    cleaning = options.pop("clean", "whitespace") if named else "openai"
    hidden_end = options.pop("strip_sep_token", False)
    if options:
        raise ValueError(f"expected tokenizer_kwargs clean and strip_sep_token; got {options}")
    return read_tokenizer(
        folder,
        context_length=context,
        cleaning=cleaning,
        pad_to_context=True if whole_rows else None,
        end_as_padding=hidden_end,
    )


def hf_text(folder: Path, text: Config, embed_dim: int, activation: Any) -> Made:
    """RoBERTa or XLM-R with a projection of two layers.

    Raises:
        ValueError: another model, pooling or projection.
    """
    name = text["hf_model_name"].rpartition("/")[2]
    _choice({"hf_model_name": name}, "hf_model_name", HF_TEXT, name)
    for key, expected in (("hf_pooler_type", "mean_pooler"), ("hf_proj_type", "mlp")):
        if text.get(key, expected) != expected:
            raise ValueError(f"expected {key} {expected!r}; got {text[key]!r}")
    context = text.get("context_length", 77)
    tower = Bert(
        context_length=context,
        pad_id=ROBERTA_PAD,
        positions=ROBERTA_POSITIONS,
        first_position=ROBERTA_PAD + 1,
        pooling="mean",
        epsilon=1e-5,
        **HF_TEXT[name],
        name="text_tower",
    )
    dense = partial(keras.layers.Dense, use_bias=False)
    projection = keras.Sequential(
        [
            keras.Input((tower.width,)),
            dense((tower.width + embed_dim) // 2, activation="gelu", name="hidden"),
            dense(embed_dim, name="output"),
        ],
        name="text_projection",
    )
    return tower, projection, read_tokenizer(folder, context_length=context, cleaning="whitespace")


def _choice(config: Config, key: str, choices: Mapping[str, Any], default: str) -> Any:
    value = config.get(key, default)
    if value not in choices:
        raise ValueError(f"expected {key} {', '.join(choices)}; got {value!r}")
    return choices[value]
