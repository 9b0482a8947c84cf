"""Image encoders of `transformers` beside ViT: DINOv2, DINOv3, MAE, DeiT, ConvNeXt, Swin.

Also CLIP's and SigLIP's image towers by themselves. Features are what the library calls pooled; a
classifier is kept where it takes just these.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras

from dual_encoder.checkpoints.activations import activation
from dual_encoder.checkpoints.huggingface import defaults, image_weights
from dual_encoder.checkpoints.huggingface.id2label import of_classifier
from dual_encoder.checkpoints.huggingface.preprocessing import sized_pixels
from dual_encoder.checkpoints.huggingface.tower_sizes import sizes, transformer_sizes
from dual_encoder.checkpoints.weights.safetensors_mmap import Tensors
from dual_encoder.checkpoints.weights.weight_table_entries import Entry
from dual_encoder.single_tower_models import ImageEncoder
from dual_encoder.towers.convnext import ConvNeXt
from dual_encoder.towers.rotary_transformer import RotaryTransformer
from dual_encoder.towers.swin import Swin
from dual_encoder.towers.vision_transformer import VisionTransformer

Config = dict[str, Any]

DINO: Config = dict(
    hidden_size=768, num_hidden_layers=12, num_attention_heads=12, mlp_ratio=4, hidden_act="gelu",
    layer_norm_eps=1e-6, patch_size=14, use_swiglu_ffn=False, num_register_tokens=0, qkv_bias=True,
)  # fmt: skip

DINOV3: Config = dict(
    hidden_size=384, intermediate_size=1536, num_hidden_layers=12, num_attention_heads=6,
    hidden_act="gelu", layer_norm_eps=1e-5, rope_theta=100.0, patch_size=16, use_gated_mlp=False,
    num_register_tokens=0, query_bias=True, key_bias=False, value_bias=True, proj_bias=True,
    mlp_bias=True,
)  # fmt: skip

CONVNEXT: Config = dict(
    hidden_sizes=[96, 192, 384, 768], depths=[3, 3, 9, 3], hidden_act="gelu", layer_norm_eps=1e-12,
    patch_size=4,
)  # fmt: skip

SWIN: Config = dict(
    embed_dim=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24], window_size=7, mlp_ratio=4.0,
    hidden_act="gelu", layer_norm_eps=1e-5, patch_size=4, qkv_bias=True,
    use_absolute_embeddings=False,
)  # fmt: skip


def _dinov2(config: Config, size: int, shown: Config, tensors: Tensors) -> keras.layers.Layer:
    registers = config["num_register_tokens"]
    if not config["use_swiglu_ffn"]:
        options = sizes(config) | {"mlp_ratio": config["mlp_ratio"], "registers": registers}
        return VisionTransformer(size, config["patch_size"], patch_bias=True, **options, **shown)
    found = [tensors[name] for name in tensors if name.endswith("mlp.weights_out.weight")]
    if not found:
        raise ValueError(
            "expected use_swiglu_ffn false in config.json, as in the weights; got true"
        )
    return RotaryTransformer(
        size,
        config["patch_size"],
        **sizes(config) | {"activation": "silu", "registers": registers},
        mlp_dim=found[0].shape[1],
        gated=True,
        **shown,
    )


def _dinov3(config: Config, size: int, shown: Config, tensors: Tensors) -> keras.layers.Layer:
    return RotaryTransformer(
        size,
        config["patch_size"],
        **sizes(config),
        mlp_dim=config["intermediate_size"],
        gated=config["use_gated_mlp"],
        angles={"base": config["rope_theta"]},
        layout="halves",
        positions=False,
        registers=config["num_register_tokens"],
        **shown,
    )


def _vit(config: Config, size: int, shown: Config, tensors: Tensors) -> keras.layers.Layer:
    """MAE's encoder, and DeiT, whose second token never leaves its place: a register."""
    registers = int(config["model_type"] == "deit")
    options = transformer_sizes(config) | {"registers": registers}
    return VisionTransformer(size, config["patch_size"], patch_bias=True, **options, **shown)


def _clip_vision(config: Config, size: int, shown: Config, tensors: Tensors) -> keras.layers.Layer:
    if config["model_type"] == "clip_vision_model":
        kind: Config = dict(pooling="token", pre_norm=True)
    else:
        kind = dict(pooling="attention", patch_bias=True, crop_to_patches=True)
    options = transformer_sizes(config) | kind
    return VisionTransformer(size, config["patch_size"], **options, **shown)


def _convnext(config: Config, size: int, shown: Config, tensors: Tensors) -> keras.layers.Layer:
    return ConvNeXt(
        size,
        depths=config["depths"],
        widths=config["hidden_sizes"],
        activation=activation(config["hidden_act"]),
        last_epsilon=config["layer_norm_eps"],
        responses=config["model_type"] == "convnextv2",
        **shown,
    )


def _swin(config: Config, size: int, shown: Config, tensors: Tensors) -> keras.layers.Layer:
    return Swin(
        size,
        config["patch_size"],
        width=config["embed_dim"],
        depths=config["depths"],
        heads=config["num_heads"],
        window=config["window_size"],
        mlp_ratio=config["mlp_ratio"],
        activation=activation(config["hidden_act"]),
        epsilon=config["layer_norm_eps"],
        **shown,
    )


Tower = Callable[[Config, int, Config, Tensors], keras.layers.Layer]

TOWERS: Mapping[str, tuple[Config, Tower]] = {
    "dinov2": (DINO, _dinov2),
    "dinov2_with_registers": (DINO | {"num_register_tokens": 4, "patch_size": 16}, _dinov2),
    "dinov3_vit": (DINOV3, _dinov3),
    "vit_mae": (defaults.VIT, _vit),
    "deit": (defaults.VIT, _vit),
    "convnext": (CONVNEXT, _convnext),
    "convnextv2": (CONVNEXT, _convnext),
    "swin": (SWIN, _swin),
    "clip_vision_model": (defaults.CLIP_VISION, _clip_vision),
    "siglip_vision_model": (defaults.SIGLIP_VISION, _clip_vision),
}

# Whether positions are interpolated with antialiasing for images of another size.
ANTIALIASED = ("dinov2_with_registers",)


def build(config: Config, folder: Path, tensors: Tensors, image_size: int | None) -> ImageEncoder:
    """The image encoder of a configuration, without its weights.

    Raises:
        ValueError: a setting that stands for another model, or a classifier of other features.
    """
    known, make = TOWERS[config["model_type"]]
    config = known | config
    size, shown = sized_pixels(folder, kind=config["model_type"])
    shown["name"] = "image_tower"
    tower = make(config, image_size or size, shown, tensors)
    if "cls_classifier.weight" in tensors:
        raise ValueError(f"{folder}: expected one classifier; got two, of DeiT with a teacher")
    if "visual_projection.weight" in tensors:
        units = tensors["visual_projection.weight"].shape[0]
        return ImageEncoder(tower, head=keras.layers.Dense(units, use_bias=False, name="head"))
    if "classifier.weight" not in tensors:
        return ImageEncoder(tower)
    units, features = tensors["classifier.weight"].shape
    if features != tower.output_dim:
        raise ValueError(
            f"{folder}: expected a classifier of the {tower.output_dim} pooled features; got one "
            f"of {features}"
        )
    head = keras.layers.Dense(units, name="head")
    return ImageEncoder(tower, head=head, **of_classifier(folder, config, units))


def entries(model: ImageEncoder, tensors: Tensors) -> list[Entry]:
    """The table of weight names."""
    table = image_weights.tower(model.image_tower, tensors)
    if model.head is None:
        return table
    return table + image_weights.head(tensors)
