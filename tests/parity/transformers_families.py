"""Families of `transformers` that no row of the table has, at their real width, against ours.

    python tests/parity/transformers_families.py            # two blocks each, one per stage
    python tests/parity/transformers_families.py NAME ...

Random weights in float32, texts of 8 tokens of a small vocabulary. Sizes are those of the published
configurations that are named. Needs the extra `parity`.
"""

import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["DUET_CACHE"] = ""  # every model is read once

import numpy as np
import torch
from safetensors.numpy import load_file
from tiny import CLIP, LENGTH, TINY, VOCABULARY, Tiny, encoder, transformers_model, write

import dual_encoder

TOLERANCE = 1e-5  # relative to the largest feature


def _sizes(width: int, heads: int, mlp: int, **more: Any) -> dict[str, Any]:
    sizes = dict(hidden_size=width, num_attention_heads=heads, intermediate_size=mlp)
    return sizes | dict(num_hidden_layers=2) | more


def _vision(width: int, heads: int, mlp: int, patch: int, size: int, **more: Any) -> dict:
    return _sizes(width, heads, mlp, patch_size=patch, image_size=size, **more)


def _image(model: str, config: str, *, size: int = 224, **sizes: Any) -> Tiny:
    return encoder(model, f"{config}Config", size=size, **sizes)


def _dual(name: str, vision: dict, text: dict, *, like: str, **more: Any) -> Tiny:
    """Two towers of these sizes; what it is shown and what ends a text is as in a tiny one."""
    text = text | dict(vocab_size=VOCABULARY, max_position_embeddings=LENGTH)
    make = transformers_model(
        f"{name}Model", f"{name}Config", vision_config=vision, text_config=text, **more
    )
    tiny = replace(TINY[like], make=make, size=vision["image_size"])
    return replace(tiny, outputs={key: tiny.outputs[key] for key in ("image", "text")})


STAGES = dict(depths=[1, 1, 2, 1], hidden_sizes=[128, 256, 512, 1024])
WINDOWS = dict(depths=[1, 1, 2, 1], num_heads=[4, 8, 16, 32], embed_dim=128, window_size=7)
B_16 = _vision(768, 12, 3072, 16, 224)
SO400M = _vision(1152, 16, 4304, 14, 384)
GELU = dict(hidden_act="gelu")
H_14 = _vision(1280, 16, 5120, 14, 224, **GELU)

FAMILIES: dict[str, Tiny] = {
    "dinov2-base": _image("Dinov2Model", "Dinov2", **B_16 | dict(patch_size=14)),
    "dinov2-giant": _image(
        "Dinov2Model", "Dinov2", **_vision(1536, 24, 6144, 14, 224), use_swiglu_ffn=True
    ),
    "dinov2-with-registers-large": _image(
        "Dinov2WithRegistersModel", "Dinov2WithRegisters", **_vision(1024, 16, 4096, 14, 224)
    ),
    "dinov3-vitb16": _image("DINOv3ViTModel", "DINOv3ViT", **B_16, num_register_tokens=4),
    "dinov3-vith16plus": _image(
        "DINOv3ViTModel", "DINOv3ViT", **_vision(1280, 20, 5120, 16, 224),
        num_register_tokens=4, use_gated_mlp=True, hidden_act="silu",
    ),
    "vit-mae-base": _image("ViTMAEModel", "ViTMAE", **B_16, mask_ratio=0.0),
    "deit-base": _image("DeiTForImageClassification", "DeiT", **B_16),
    "convnext-base": _image("ConvNextForImageClassification", "ConvNext", **STAGES),
    "convnextv2-base": _image("ConvNextV2Model", "ConvNextV2", **STAGES),
    "swin-base": _image("SwinForImageClassification", "Swin", **WINDOWS),
    "clip-vit-large-patch14, images": _image(
        "CLIPVisionModelWithProjection", "CLIPVision",
        **_vision(1024, 16, 4096, 14, 224), projection_dim=768,
    ),
    "siglip-so400m-patch14-384": _dual(
        "Siglip", SO400M, _sizes(1152, 16, 4304, projection_size=1152), like="siglip"
    ),
    "siglip2-base-patch16-224": _dual(
        "Siglip", B_16, _sizes(768, 12, 3072, projection_size=768), like="siglip"
    ),
    "metaclip-2-worldwide-huge": replace(
        _dual(
            "MetaClip2", H_14, _sizes(1024, 16, 4096, eos_token_id=2, **GELU),
            like="metaclip2", projection_dim=1024,
        ),
        outputs={key: CLIP[key] for key in ("image", "text")},
    ),
    "chinese-clip-vit-base-patch16": _dual(
        "ChineseCLIP", B_16, _sizes(768, 12, 3072), like="chinese_clip", projection_dim=512
    ),
}  # fmt: skip


def compare(tiny: Tiny) -> tuple[int, dict[str, float]]:
    """Parameters, and the largest relative difference of each kind of features."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "model"
        write(replace(tiny, dtype=torch.float32), folder)
        wanted = load_file(folder / "expected.safetensors")
        ours = dual_encoder.load(folder)
    is_dual = isinstance(ours, dual_encoder.DualEncoder)
    found = {"image": (ours.encode_image if is_dual else ours)(wanted["image_pixels"])}
    if "text" in wanted:
        found["text"] = ours.encode_text(wanted["token_ids"])
    differences = {
        key: float(np.abs(np.array(mine) - wanted[key]).max() / np.abs(wanted[key]).max())
        for key, mine in found.items()
    }
    return ours.count_params(), differences


def main(names: list[str]) -> int:
    """Prints the table; 1 if a model differs."""
    wrong = 0
    for name in names or FAMILIES:
        count, differences = compare(FAMILIES[name])
        differs = max(differences.values()) > TOLERANCE
        wrong += differs
        cells = " ".join(f"{key} {difference:.1e}" for key, difference in differences.items())
        print(f"{name:<32} {count:>13,} {cells:<28} {'DIFFERS' if differs else 'ok'}", flush=True)
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
