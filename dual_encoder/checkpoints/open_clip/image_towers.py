"""Build image towers and projections from the `vision_cfg` of OpenCLIP configurations."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import keras

from dual_encoder.checkpoints.open_clip.timm_sizes import timm_tower
from dual_encoder.towers.modified_resnet import ModifiedResNet
from dual_encoder.towers.vision_transformer import VisionTransformer

Config = Mapping[str, Any]

KEYS = {
    "image_size", "layers", "width", "patch_size", "head_width", "mlp_ratio", "no_ln_pre",
    "pool_type", "final_ln_after_pool", "attentional_pool", "attn_pooler_heads",
    "attn_pooler_queries", "output_tokens",
}  # fmt: skip

TIMM_KEYS = {
    "image_size", "timm_model_name", "timm_model_pretrained", "timm_pool", "timm_proj",
    "timm_proj_bias", "timm_drop", "timm_drop_path",
}  # fmt: skip

# How each of timm's towers is pooled; "" leaves it as it is.
TIMM_POOLS = {"token": "token", "map": "attention", "avg": None, "": None}


def image_tower(
    vision: Config, embed_dim: int, *, image_size: int | None, activation: Any, **pixels: Any
) -> tuple[keras.layers.Layer, keras.layers.Layer | None]:
    """The tower, and its projection where that is not CLIP's.

    Raises:
        ValueError: a value that stands for another model.
    """
    if vision.get("timm_model_name"):
        return _timm(vision, embed_dim, image_size=image_size, **pixels)
    size, width, layers = image_size or vision["image_size"], vision["width"], vision["layers"]
    if isinstance(layers, list):
        tower = ModifiedResNet(
            size,
            depths=layers,
            width=width,
            heads=width * 32 // vision.get("head_width", 64),
            output_dim=embed_dim,
            **pixels,
            name="image_tower",
        )
        return tower, keras.layers.Identity(name="image_projection")
    return VisionTransformer(
        size,
        vision["patch_size"],
        width=width,
        depth=layers,
        heads=width // vision.get("head_width", 64),
        mlp_ratio=vision.get("mlp_ratio", 4),
        activation=activation,
        pre_norm=not vision.get("no_ln_pre", False),
        **_pooling(vision, embed_dim),
        **pixels,
        name="image_tower",
    ), None


def _pooling(vision: Config, embed_dim: int) -> dict[str, Any]:
    kind = vision.get("pool_type", "tok")
    if vision.get("attentional_pool", False):
        if vision["attentional_pool"] is not True or kind != "tok":
            raise ValueError("expected attentional_pool true and pool_type 'tok'")
        return {
            "pooling": "query",
            "class_token": True,
            "pooled": (embed_dim, vision.get("attn_pooler_heads", 8)),
        }
    if kind == "tok":
        return {"pooling": "token"}
    if kind != "avg" or not vision.get("final_ln_after_pool", False):
        raise ValueError(
            "expected pool_type 'tok', or 'avg' with final_ln_after_pool true; got "
            f"{kind!r} with {vision.get('final_ln_after_pool', False)!r}"
        )
    return {"pooling": "average", "class_token": True}


def _timm(
    vision: Config, embed_dim: int, *, image_size: int | None, **pixels: Any
) -> tuple[keras.layers.Layer, keras.layers.Layer]:
    name, pool = vision["timm_model_name"], vision.get("timm_pool", "avg")
    tower = timm_tower(name, image_size or vision["image_size"], **pixels)
    own = getattr(tower, "pooling", None)
    if pool not in TIMM_POOLS or TIMM_POOLS[pool] != own:
        expected = next(key for key, pooling in TIMM_POOLS.items() if pooling == own)
        raise ValueError(f"expected timm_pool {expected!r} with {name}; got {pool!r}")
    dense = partial(keras.layers.Dense, embed_dim)
    kind, bias = vision.get("timm_proj", "linear"), vision.get("timm_proj_bias", False)
    if kind == "none":
        return tower, keras.layers.Identity(name="image_projection")
    if kind == "linear":
        return tower, dense(use_bias=bias, name="image_projection")
    if kind == "mlp":
        layers = [
            keras.Input((tower.output_dim,)),
            keras.layers.Dense(2 * embed_dim, activation="gelu", name="hidden"),
            dense(use_bias=bias, name="output"),
        ]
        return tower, keras.Sequential(layers, name="image_projection")
    if not kind:
        return tower, dense(name="image_projection")
    raise ValueError(f"expected timm_proj linear, mlp, none or null; got {kind!r}")
