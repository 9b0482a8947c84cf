"""Read the JSON files of a checkpoint folder."""

import json
from pathlib import Path
from typing import Any

# Keys of published configurations: objects, numbers of layers, and other sizes.
_PARTS = {"vision_config", "text_config", "model_cfg", "vision_cfg", "text_cfg", "preprocess_cfg"}
_LAYERS = {"num_hidden_layers", "num_layers", "layers", "depths"}
_SIZES = _LAYERS | {
    *("hidden_size", "hidden_sizes", "intermediate_size", "num_attention_heads", "num_channels"),
    *("image_size", "patch_size", "vocab_size", "max_position_embeddings", "type_vocab_size"),
    *("projection_dim", "embed_dim", "width", "heads", "context_length", "num_heads"),
}
_MOST_LAYERS, _MOST = 1000, 2**31 - 1


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


def check_sizes(folder: Path, name: str, config: Any) -> None:
    """Raises ValueError, naming the key, for sizes in a configuration that no model can have."""
    for key, value in config.items():
        if key in _PARTS and value is not None:
            if not isinstance(value, dict):
                raise ValueError(f"{folder}: {name}: {key}: expected an object; got {value!r:.60}")
            check_sizes(folder, name, value)
        if key in _SIZES and value is not None:
            most = _MOST_LAYERS if key in _LAYERS else _MOST
            for size in value if isinstance(value, list) and value else [value]:
                if type(size) is not int or not 1 <= size <= most:
                    raise ValueError(
                        f"{folder}: {name}: {key}: expected a whole number from 1 to {most:,}; "
                        f"got {size!r:.60}"
                    )
