"""Read the JSON files of a checkpoint folder, with tables of what their settings hold."""

from pathlib import Path
from typing import Any

from duet import json_validation

_SIZE, _WIDTH, _DEPTH = (
    json_validation.up_to(1 << 14),
    json_validation.up_to(1 << 17),
    json_validation.up_to(1 << 10),
)

_VOCABULARY = json_validation.up_to(1 << 24)

_TOWER = {  # whatever layout and family: keys of one name mean one thing
    "attention_dropout?": (None, json_validation.NUMBER),
    "depths?": [_DEPTH],
    "eos_token_id?": (None, json_validation.COUNT, [json_validation.COUNT]),
    "hidden_act?": str,
    "hidden_dropout_prob?": (None, json_validation.NUMBER),
    "hidden_size?": _WIDTH,
    "hidden_sizes?": [_WIDTH],
    "id2label?": (None, dict, list),
    "image_size?": _SIZE,
    "intermediate_size?": _WIDTH,
    "layer_norm_eps?": json_validation.POSITIVE,
    "max_position_embeddings?": _VOCABULARY,
    "mlp_ratio?": json_validation.POSITIVE,
    "num_attention_heads?": _DEPTH,
    "num_channels?": json_validation.COUNT,
    "num_heads?": (_DEPTH, [_DEPTH]),
    "num_hidden_layers?": _DEPTH,
    "num_register_tokens?": json_validation.COUNT,
    "pad_token_id?": (None, json_validation.COUNT),
    "patch_size?": _SIZE,
    "projection_dim?": _WIDTH,
    "projection_size?": (None, _WIDTH),
    "rope_theta?": json_validation.POSITIVE,
    "type_vocab_size?": json_validation.COUNT,
    "vocab_size?": _VOCABULARY,
    "window_size?": _SIZE,
}

CONFIG = _TOWER | {
    "model_type?": str,
    **dict.fromkeys(
        ("text_config?", "vision_config?", "text_config_dict?", "vision_config_dict?"),
        (None, _TOWER),
    ),
}

_OPEN_CLIP_TOWER = {
    "context_length?": _VOCABULARY,
    "head_width?": (None, _WIDTH),
    "heads?": (None, _DEPTH),
    "hf_model_name?": str,
    "image_size?": (None, _SIZE),
    "layers?": (None, _DEPTH, [_DEPTH]),
    "mlp_ratio?": (None, json_validation.POSITIVE),
    "patch_size?": (None, _SIZE),
    "timm_model_name?": (None, str),
    "vocab_size?": _VOCABULARY,
    "width?": (None, _WIDTH),
}

OPEN_CLIP = {
    "model_cfg": {
        "embed_dim": _WIDTH,
        "quick_gelu?": (None, bool),
        "vision_cfg": _OPEN_CLIP_TOWER,
        "text_cfg": _OPEN_CLIP_TOWER,
    },
    "preprocess_cfg?": {"mean?": [json_validation.NUMBER], "std?": [json_validation.POSITIVE]},
}

KERAS_HUB = {"class_name": str, "registered_name?": str, "config?": dict}

POOLING = {"*": (None, bool, str, json_validation.NUMBER)}

_TOKEN = (str, {"content": str})

TOKENS = {  # of special_tokens_map.json and tokenizer_config.json
    **{
        f"{name}_token?": (None, *_TOKEN)
        for name in ("bos", "cls", "eos", "mask", "pad", "sep", "unk")
    },
    "added_tokens_decoder?": {
        "*": {
            "content": str,
            **dict.fromkeys(
                ("special?", "normalized?", "lstrip?", "rstrip?", "single_word?"), bool
            ),
        }
    },
    **dict.fromkeys(
        ("additional_special_tokens?", "extra_special_tokens?"),
        (None, {"*": _TOKEN}, [_TOKEN]),
    ),
    "model_max_length?": (None, json_validation.NUMBER),
    "tokenizer_class?": (None, str),
    **dict.fromkeys(("padding_side?", "truncation_side?"), (None, json_validation.one_of("right"))),
}

WEIGHT_MAP = {"weight_map": {"*": json_validation.FILE_NAME}}  # of weights in several files


def read_json(folder: Path, name: str, table: dict[str, Any] | None = None) -> dict:
    """A JSON file of the folder.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is not JSON, not an object, or not as the table has it.
    """
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(f"{folder}: no {name} here")
    return json_validation.read(path, table)
