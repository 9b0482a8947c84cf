"""KerasHub's DeiT: an image encoder, with the pixels that the preset's converter makes."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dual_encoder.checkpoints.json_files import read_json
from dual_encoder.checkpoints.keras_hub import weights as names
from dual_encoder.checkpoints.weight_mapping import Entry, array, leading, one_way
from dual_encoder.single_tower import ImageEncoder
from dual_encoder.towers.vision_transformer import VisionTransformer

Config = Mapping[str, Any]

FILE = "preprocessor.json"

EMBEDDINGS = "deit_patching_and_embedding"


def deit(config: Config, folder: Path, image_size: int | None) -> ImageEncoder:
    """Of `DeiTBackbone`, whose second token never leaves its place: a register."""
    epsilon = config["layer_norm_epsilon"]
    return _encoder(config, folder, image_size, registers=1, epsilon=epsilon)


def _encoder(config: Config, folder: Path, image_size: int | None, **options: Any) -> ImageEncoder:
    patch = config["patch_size"]
    tower = VisionTransformer(
        image_size or config["image_shape"][0],
        patch if isinstance(patch, int) else patch[0],
        width=config["hidden_dim"],
        depth=config["num_layers"],
        heads=config["num_heads"],
        mlp_ratio=config["intermediate_dim"] / config["hidden_dim"],
        patch_bias=True,
        **options,
        **converted(folder),
        name="image_tower",
    )
    return ImageEncoder(tower)


def converted(folder: Path) -> dict[str, Any]:
    """Pixel statistics and resizing of the preset's image converter, x · scale + offset.

    Raises:
        FileNotFoundError: the preset has no preprocessor.json.
        ValueError: one without an image converter.
    """
    inner = read_json(folder, FILE).get("config", {}).get("image_converter")
    if not isinstance(inner, dict):
        raise ValueError(f"{folder}: expected an image_converter in {FILE}; got none")
    config = inner["config"]
    scale = np.broadcast_to(np.array(1.0 if (s := config.get("scale")) is None else s), 3)
    offset = np.broadcast_to(np.array(0.0 if (o := config.get("offset")) is None else o), 3)
    return {
        "mean": tuple(map(float, -offset / scale / 255)),
        "std": tuple(map(float, 1 / scale / 255)),
        "resize": "crop" if config.get("crop_to_aspect_ratio", True) else "squash",
        "interpolation": config.get("interpolation", "bilinear"),
    }


def deit_entries(model: ImageEncoder) -> list[Entry]:
    """The table of weight names of `DeiTBackbone`."""
    places = f"{EMBEDDINGS}/position_embedding"
    own = one_way(lambda arrays: np.delete(arrays[0][0], 1, axis=0))
    second = one_way(lambda arrays: arrays[0][0] + arrays[1][0, 1:2])
    block = names.block("mha", "ln_1", "ln_2", "mlp/dense", "output_layer/output")
    table = (
        array("class_token", f"{EMBEDDINGS}/class_token", leading(2))
        + array("patch_embedding/kernel", f"{EMBEDDINGS}/patch_embedding/kernel")
        + array("patch_embedding/bias", f"{EMBEDDINGS}/patch_embedding/bias")
        + array("positions", places, own)
        + [Entry("register_tokens", (f"{EMBEDDINGS}/distillation_token", places), second)]
        + names.norm("norm_post", "deit_encoder/ln")
        + names.blocks(model.image_tower, "deit_encoder/transformer_block_{}", block, first=1)
    )
    return _in_tower(table)


def _in_tower(table: list[Entry]) -> list[Entry]:
    """Inside the tower, with kernels of patches as matrices."""
    return [
        replace(
            entry,
            variable=f"image_tower/{entry.variable}",
            codec=names.PATCHES if entry.variable == "patch_embedding/kernel" else entry.codec,
        )
        for entry in table
    ]
