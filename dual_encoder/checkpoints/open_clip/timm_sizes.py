"""Sizes of the timm image towers that OpenCLIP configurations refer to by name.

The names are those of timm; sizes are those of its models (timm 1.0.31) and of the papers.
"""

import re
from collections.abc import Mapping
from typing import Any

import keras

from dual_encoder.towers.convnext import ConvNeXt
from dual_encoder.towers.fastvit import FastViT
from dual_encoder.towers.rotary_transformer import RotaryTransformer
from dual_encoder.towers.transformer import gelu_tanh
from dual_encoder.towers.vision_transformer import VisionTransformer

Sizes = dict[str, Any]


def _vit(width: int, depth: int, heads: int, patch_size: int, **more: Any) -> Sizes:
    return dict(width=width, depth=depth, heads=heads, patch_size=patch_size) | more


def _eva(width: int, depth: int, heads: int, patch_size: int, mlp_dim: int, **more: Any) -> Sizes:
    return _vit(width, depth, heads, patch_size, mlp_dim=mlp_dim) | more


# SigLIP's by their sizes; the patch is part of the name.
SIGLIP: Mapping[str, Sizes] = {
    "base": dict(width=768, depth=12, heads=12),
    "large": dict(width=1024, depth=24, heads=16),
    "so400m": dict(width=1152, depth=27, heads=16, mlp_ratio=3.7362),
    "giantopt": dict(width=1536, depth=40, heads=16),
}

# Those of them that approximate GELU by tanh; the others compute it exactly.
TANH = re.compile("vit_(base_patch32|so400m_patch16|giantopt_patch16|large_patch16_siglip_512)")

EVA_02: Sizes = dict(activation="silu", gated=True, inner_norms=True, angles={"reference": 16})


def _pe(width: int, depth: int, heads: int, patch_size: int, trained: int) -> Sizes:
    """PE-Core, trained on so many places in a row, which it counts from 1 along x and then y."""
    made: Sizes = dict(pre_norm=True, patch_bias=False, pooling="attention", epsilon=1e-5)
    angles = {"reference": trained, "offset": 1.0, "order": "xy"}
    return _eva(width, depth, heads, patch_size, 4 * width, angles=angles, **made)


ROTARY: Mapping[str, Sizes] = {
    "eva_giant_patch14": _eva(1408, 40, 16, 14, 6144),
    "eva02_base_patch16_clip": _eva(768, 12, 12, 16, 2048, **EVA_02),
    "eva02_large_patch14_clip": _eva(1024, 24, 16, 14, 2730, **EVA_02),
    "eva02_enormous_patch14_clip": _eva(1792, 64, 16, 14, 15360, norm_first=False),
    "vit_pe_core_tiny_patch16": _pe(192, 12, 3, 16, 24),
    "vit_pe_core_small_patch16": _pe(384, 12, 6, 16, 24),
    "vit_pe_core_base_patch16": _pe(768, 12, 12, 16, 14),
    "vit_pe_core_large_patch14": _pe(1024, 24, 16, 14, 24),
    "vit_pe_core_gigantic_patch14": _pe(1536, 50, 16, 14, 32)
    | dict(mlp_dim=8960, class_token=False, angles={"reference": 32, "order": "xy"}),
}

PLAIN: Mapping[str, Sizes] = {
    "vit_large_patch14_clip": _vit(1024, 24, 16, 14, pre_norm=True, epsilon=1e-5),
    "vit_base_mci": _vit(768, 12, 12, 16, stem="nested", epsilon=1e-6),
}

CONVNEXT: Mapping[str, Sizes] = {
    "convnext_base": dict(depths=(3, 3, 27, 3), widths=(128, 256, 512, 1024)),
    "convnext_large": dict(depths=(3, 3, 27, 3), widths=(192, 384, 768, 1536)),
    "convnext_xxlarge": dict(depths=(3, 4, 30, 3), widths=(384, 768, 1536, 3072), epsilon=1e-5),
}

MCI: Sizes = dict(mlp_ratio=3, attending=1, squeezed=2)

MCI_2: Sizes = dict(mlp_ratio=4, attending=2, layer_norm=True)

FASTVIT: Mapping[str, Sizes] = {
    "fastvit_mci0": dict(depths=(2, 6, 10, 2), widths=(64, 128, 256, 512), **MCI),
    "fastvit_mci1": dict(depths=(4, 12, 20, 4), widths=(64, 128, 256, 512), **MCI),
    "fastvit_mci2": dict(depths=(4, 12, 24, 4), widths=(80, 160, 320, 640), **MCI),
    "fastvit_mci3": dict(depths=(2, 12, 24, 4, 2), widths=(96, 192, 384, 768, 1536), **MCI_2),
    "fastvit_mci4": dict(depths=(2, 12, 24, 4, 4), widths=(128, 256, 512, 1024, 2048), **MCI_2),
}

TOWERS: tuple[tuple[Mapping[str, Sizes], Any], ...] = (
    (PLAIN, VisionTransformer),
    (CONVNEXT, ConvNeXt),
    (FASTVIT, FastViT),
    (ROTARY, RotaryTransformer),
)

NAMES = (
    *(f"vit_{size}_patch*_siglip_*" for size in SIGLIP), *PLAIN, *ROTARY, *CONVNEXT, *FASTVIT
)  # fmt: skip


def timm_tower(name: str, image_size: int, **pixels: Any) -> keras.layers.Layer:
    """The image tower of that name, not built.

    Raises:
        ValueError: an unknown name.
    """
    family = re.sub(r"_\d+$", "", name)
    siglip = re.fullmatch(r"vit_([a-z0-9]+)_patch(\d+)_siglip", family)
    options = {**pixels, "name": "image_tower"}
    if siglip and siglip[1] in SIGLIP:
        sizes = SIGLIP[siglip[1]] | {"patch_size": int(siglip[2])}
        activation = gelu_tanh if TANH.match(name) else "gelu"
        made: Sizes = dict(
            activation=activation,
            patch_bias=True,
            pooling="attention",
            epsilon=1e-6,
            crop_to_patches=True,
        )
        return VisionTransformer(image_size, **made | sizes | options)
    for table, make in TOWERS:
        if family in table:
            return make(image_size, **table[family] | options)
    raise ValueError(f"expected timm_model_name {', '.join(NAMES)}; got {name!r}")
