"""The sizes of towers, as configurations of `transformers` have them."""

from pathlib import Path
from typing import Any

from dual_encoder.checkpoints.activations import activation
from dual_encoder.checkpoints.huggingface.defaults import Config
from dual_encoder.checkpoints.huggingface.preprocessing import pixels
from dual_encoder.towers.vision_transformer import VisionTransformer


def vision_transformer(
    config: Config, folder: Path, *, kind: str, image_size: int | None, **options: Any
) -> VisionTransformer:
    """The image tower of a configuration, without its weights."""
    return VisionTransformer(
        image_size or config["image_size"],
        config["patch_size"],
        **transformer_sizes(config),
        **pixels(folder, config["image_size"], kind=kind),
        **options,
        name="image_tower",
    )


def transformer_sizes(config: Config) -> dict[str, Any]:
    """Sizes of a transformer, by our names, with its feed-forward layers by their ratio."""
    ratio = config["intermediate_size"] / config["hidden_size"]
    return sizes(config) | {"mlp_ratio": ratio}


def sizes(config: Config) -> dict[str, Any]:
    """Sizes that all transformers have, by our names."""
    return {
        "width": config["hidden_size"],
        "depth": config["num_hidden_layers"],
        "heads": config["num_attention_heads"],
        "activation": activation(config["hidden_act"]),
        "epsilon": config["layer_norm_eps"],
    }


def part_of(config: Config, name: str, usual: Config | None = None) -> Config:
    """A part of a configuration of two towers, with the `usual` values of what it leaves out.

    Older ones keep a part twice, and mean the second: also by what that leaves out.
    """
    usual = usual or {}
    found, second = usual | (config.get(name) or {}), config.get(f"{name}_dict")
    return found if second is None else found | usual | second
