"""Read KerasHub's DeiT and DINOv2 presets, with the preprocessing of their image converter."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dual_encoder.checkpoints.json_schemas import read_json
from dual_encoder.checkpoints.keras_hub import weights as names
from dual_encoder.checkpoints.weights.weight_table_entries import (
    Arrays,
    Codec,
    Entry,
    array,
    leading,
    one_way,
)
from dual_encoder.single_tower_models import ImageEncoder
from dual_encoder.towers.rotary_transformer import RotaryTransformer
from dual_encoder.towers.vision_transformer import VisionTransformer

Config = Mapping[str, Any]

FILES = ("image_converter.json", "preprocessor.json")  # the converter, or what has one

EMBEDDINGS = "deit_patching_and_embedding"


def deit(config: Config, folder: Path, image_size: int | None) -> ImageEncoder:
    """Of `DeiTBackbone`, whose second token never leaves its place: a register."""
    options = _options(config, folder, image_size, registers=1)
    epsilon, ratio = config["layer_norm_epsilon"], _mlp_ratio(config)
    return ImageEncoder(VisionTransformer(mlp_ratio=ratio, epsilon=epsilon, **options))


def dinov2(config: Config, folder: Path, image_size: int | None) -> ImageEncoder:
    """Of `DINOV2Backbone`: features of the class token. The giant has gated mlps."""
    registers = config["num_register_tokens"]
    options = _options(config, folder, image_size, registers=registers) | {"epsilon": 1e-6}
    if not config["use_swiglu_ffn"]:
        return ImageEncoder(VisionTransformer(mlp_ratio=_mlp_ratio(config), **options))
    mlp_dim = (int(config["intermediate_dim"] * 2 / 3) + 7) // 8 * 8  # as KerasHub rounds it
    return ImageEncoder(
        RotaryTransformer(mlp_dim=mlp_dim, activation="silu", gated=True, **options)
    )


def _mlp_ratio(config: Config) -> float:
    return config["intermediate_dim"] / config["hidden_dim"]


def _options(
    config: Config, folder: Path, image_size: int | None, *, registers: int
) -> dict[str, Any]:
    patch = config["patch_size"]
    return {
        "image_size": image_size or config["image_shape"][0],
        "patch_size": patch if isinstance(patch, int) else patch[0],
        "width": config["hidden_dim"],
        "depth": config["num_layers"],
        "heads": config["num_heads"],
        "registers": registers,
        "patch_bias": True,
        **converted(folder),
        "name": "image_tower",
    }


def converted(folder: Path) -> dict[str, Any]:
    """Pixel statistics and resizing of the preset's image converter, x · scale + offset.

    Raises:
        FileNotFoundError: the preset has neither of `FILES`.
        ValueError: a preprocessor.json without an image converter.
    """
    own, within = ((folder / name).is_file() for name in FILES)
    if own:
        inner: Any = read_json(folder, FILES[0])
    elif within:
        inner = read_json(folder, FILES[1]).get("config", {}).get("image_converter")
    else:
        raise FileNotFoundError(f"{folder}: no file {' or '.join(FILES)}, which says of pixels")
    if not isinstance(inner, dict):
        raise ValueError(f"{folder}: expected an image_converter in {FILES[1]}; got none")
    config = inner["config"]
    return {
        **statistics(config.get("scale"), config.get("offset")),
        "resize": "crop" if config.get("crop_to_aspect_ratio", True) else "squash",
        "interpolation": config.get("interpolation", "bilinear"),
    }


def statistics(scale: Any, offset: Any) -> dict[str, tuple[float, ...]]:
    """Mean and deviation by which (x / 255 - mean) / std is x · scale + offset, a number each or
    one for each channel; None for 1 and 0."""
    std = 1 / (255 * np.broadcast_to(1.0 if scale is None else scale, 3))
    mean = -np.broadcast_to(0.0 if offset is None else offset, 3) * std
    return {"mean": tuple(mean.tolist()), "std": tuple(std.tolist())}


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


def dinov2_entries(model: ImageEncoder) -> list[Entry]:
    """The table of weight names of `DINOV2Backbone`, whose positions are interpolated already."""
    tower: Any = model.image_tower
    block = names.block("attention/attention", "norm1", "norm2", "mlp/fc1", "mlp/fc2")
    if isinstance(tower, RotaryTransformer):
        block = [entry for entry in block if not entry.variable.startswith("mlp_")]
        block += [*_halves("mlp_gate", 0), *_halves("mlp_hidden", 1)]
        block += names.dense("mlp_output", "mlp/weights_out")
    table = (
        array("class_token", "embeddings/cls_token", leading(2))
        + array("patch_embedding/kernel", "embeddings/patch_embeddings/projection/kernel")
        + array("patch_embedding/bias", "embeddings/patch_embeddings/projection/bias")
        + array("positions", "embeddings/interpolated_position_embeddings", leading(1))
        + names.norm("norm_post", "layernorm")
        + names.blocks(tower, "encoder/layers_{}", [_scaled(entry) for entry in block])
    )
    if tower.registers:
        table += array("register_tokens", "embeddings/register_tokens", leading(1))
    return _in_tower(table)


def _halves(layer: str, which: int) -> list[Entry]:
    """The gate, or what it opens, of a layer that has both."""
    codec = one_way(lambda arrays: np.split(arrays[0], 2, axis=-1)[which])
    return [
        Entry(f"{layer}/{part}", (f"mlp/weights_in/{part}",), codec) for part in ("kernel", "bias")
    ]


def _scaled(entry: Entry) -> Entry:
    """The last layer before a sum takes the scale of the sum."""
    for ours, scale in (("attention_output", "layer_scale1"), ("mlp_output", "layer_scale2")):
        if entry.variable.startswith(f"{ours}/"):

            def read(arrays: Arrays, codec: Codec = entry.codec) -> np.ndarray:
                return codec.read(arrays[:1]).astype("float32") * arrays[1]

            return replace(entry, tensors=(*entry.tensors, f"{scale}/lambda1"), codec=one_way(read))
    return entry


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
