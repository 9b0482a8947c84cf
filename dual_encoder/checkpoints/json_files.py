"""Read the JSON files of a checkpoint folder."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

# Of settings that stand for nothing else, whatever the layout: those that count something, alone
# or of each stage, those that measure something, and parts with settings of their own.
COUNTS = frozenset(
    [
        "attn_pooler_heads",
        "context_length",
        "depths",
        "embed_dim",
        "head_width",
        "heads",
        "hidden_size",
        "hidden_sizes",
        "image_size",
        "intermediate_size",
        "layers",
        "max_position_embeddings",
        "num_attention_heads",
        "num_channels",
        "num_heads",
        "num_hidden_layers",
        "patch_size",
        "projection_dim",
        "projection_size",
        "vocab_size",
        "width",
        "window_size",
    ]
)
OF_STAGES = frozenset(["depths", "hidden_sizes", "layers", "num_heads"])
MEASURES = frozenset(
    [
        "attention_probs_dropout_prob",
        "hidden_dropout_prob",
        "layer_norm_eps",
        "mlp_ratio",
        "num_register_tokens",
        "pad_token_id",
        "rope_theta",
        "type_vocab_size",
    ]
)
PARTS = frozenset(
    ["model_cfg", "preprocess_cfg", "text_cfg", "text_config", "vision_cfg", "vision_config"]
)


def read_json(folder: Path, name: str) -> dict:
    """A JSON file of the folder.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is not JSON, or not an object.
    """
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(f"{folder}: no {name} here")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected an object; got a {type(found).__name__}")
    return found


def read_config(folder: Path, name: str) -> dict:
    """The configuration of a model, whose sizes are sizes.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is not JSON, or a setting is none of its kind; names it.
    """
    found = read_json(folder, name)
    for problem in _problems(found):
        raise ValueError(f"{folder}: {name}: {problem}")
    return found


def _problems(config: Mapping[str, Any]) -> Iterator[str]:
    for key, value in config.items():
        if key in PARTS and not isinstance(value, dict):
            yield f"expected {key} with settings; got {value!r}"
        if value is not None and key in COUNTS:
            several = isinstance(value, list) and key in OF_STAGES
            if not value or not all(_is_count(each) for each in (value if several else [value])):
                whole = "whole numbers" if several else "a whole number"
                yield f"expected {whole} above 0 for {key}; got {value!r}"
        elif value is not None and key in MEASURES and not _is_measure(value):
            yield f"expected a number that is not below 0 for {key}; got {value!r}"
        elif isinstance(value, dict):
            yield from _problems(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_measure(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
