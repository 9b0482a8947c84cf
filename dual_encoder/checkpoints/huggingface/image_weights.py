"""Map variables to the tensor names of image encoders of `transformers`."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np

from dual_encoder.checkpoints.huggingface import weights as names
from dual_encoder.checkpoints.weights.safetensors_mmap import Tensors
from dual_encoder.checkpoints.weights.weight_table_entries import (
    BIAS_WITHOUT_KEY,
    DEPTHWISE,
    FLAT,
    LINEAR,
    PATCHES,
    Arrays,
    Entry,
    array,
    convolution,
    leading,
    linear,
    norm,
    one_way,
    scaled_linear,
    under,
)
from dual_encoder.towers.convnext import ConvNeXt
from dual_encoder.towers.rotary_transformer import RotaryTransformer
from dual_encoder.towers.swin import Swin

# Of models under a task's head.
PREFIXES = (
    "dinov2.", "dinov2_with_registers.", "vit.", "deit.", "convnext.", "convnextv2.", "swin.",
    "vision_model.",
)  # fmt: skip

PATCH = "embeddings.patch_embeddings"

DINO_ATTENTION = (
    norm("norm_1", "norm1")
    + linear("query_key_value", *(f"attention.attention.{n}" for n in ("query", "key", "value")))
    + scaled_linear("attention_output", "attention.output.dense", "layer_scale1.lambda1")
    + norm("norm_2", "norm2")
)

DINO_MLP = linear("mlp_hidden", "mlp.fc1") + scaled_linear(
    "mlp_output", "mlp.fc2", "layer_scale2.lambda1"
)


def _half(which: int, *, axis: bool) -> Any:
    """The gate, or what it opens, of a layer that has both."""

    def read(arrays: Arrays) -> np.ndarray:
        half = np.split(arrays[0], 2)[which]
        return half.T if axis else half

    return one_way(read)


SWIGLU_MLP = [
    entry
    for layer, which in (("mlp_gate", 0), ("mlp_hidden", 1))
    for entry in (
        Entry(f"{layer}/kernel", ("mlp.weights_in.weight",), _half(which, axis=True)),
        Entry(f"{layer}/bias", ("mlp.weights_in.bias",), _half(which, axis=False)),
    )
] + scaled_linear("mlp_output", "mlp.weights_out", "layer_scale2.lambda1")

DINOV3_BLOCK = [
    *norm("norm_1", "norm1"),
    Entry("query_key_value/kernel", tuple(f"attention.{n}_proj.weight" for n in "qkv"), LINEAR),
    Entry(
        "query_key_value/bias", tuple(f"attention.{n}_proj.bias" for n in "qv"), BIAS_WITHOUT_KEY
    ),
    *scaled_linear("attention_output", "attention.o_proj", "layer_scale1.lambda1"),
    *norm("norm_2", "norm2"),
    *linear("mlp_hidden", "mlp.up_proj"),
    *scaled_linear("mlp_output", "mlp.down_proj", "layer_scale2.lambda1"),
]

SWIN_BLOCK = (
    norm("norm_1", "layernorm_before")
    + linear("query_key_value", *(f"attention.self.{n}" for n in ("query", "key", "value")))
    + array("relative_positions", "attention.self.relative_position_bias_table")
    + linear("attention_output", "attention.output.dense")
    + norm("norm_2", "layernorm_after")
    + linear("mlp_hidden", "intermediate.dense")
    + linear("mlp_output", "output.dense")
)


def tower(image_tower: keras.layers.Layer, tensors: Tensors) -> list[Entry]:
    """Of the image tower."""
    prefix = next((p for p in PREFIXES if any(name.startswith(p) for name in tensors)), "")
    bare = {name.removeprefix(prefix) for name in tensors}
    if isinstance(image_tower, ConvNeXt):
        table = _convnext(image_tower)
    elif isinstance(image_tower, Swin):
        table = _swin(image_tower)
    elif isinstance(image_tower, RotaryTransformer) and not image_tower.has_positions:
        table = _dinov3(image_tower)
    elif "pre_layrnorm.weight" in bare or "head.probe" in bare:
        table = _clip(image_tower)
    else:
        table = _vit(image_tower, bare)
    return under("image_tower", prefix, table)


def head(tensors: Tensors) -> list[Entry]:
    """Of the classifier, or of CLIP's projection."""
    if "visual_projection.weight" in tensors:
        return linear("head", "visual_projection", bias=False)
    return linear("head", "classifier")


def _clip(image_tower: Any) -> list[Entry]:
    table = names.CLIP_VISION if image_tower.pooling == "token" else names.SIGLIP_VISION
    return table + _blocks(image_tower, "encoder.layers", names.CLIP_BLOCK)


def _vit(image_tower: Any, tensors: set[str]) -> list[Entry]:
    """Of DINOv2, MAE and DeiT."""
    table = list(names.VIT)
    if "embeddings.register_tokens" in tensors:
        table += array("register_tokens", "embeddings.register_tokens", leading(1))
    if "embeddings.distillation_token" in tensors:
        table = _with_second_token(table)
    if "encoder.layer.0.mlp.weights_in.weight" in tensors:
        block = DINO_ATTENTION + SWIGLU_MLP
    elif "encoder.layer.0.norm1.weight" in tensors:
        block = DINO_ATTENTION + DINO_MLP
    else:
        block = names.VIT_BLOCK
    return table + _blocks(image_tower, "encoder.layer", block)


def _with_second_token(table: list[Entry]) -> list[Entry]:
    """DeiT's second token with its place is a register, which has none."""
    places = "embeddings.position_embeddings"
    codec = one_way(lambda arrays: np.delete(arrays[0][0], 1, axis=0))
    table = [replace(e, codec=codec) if e.variable == "positions" else e for e in table]
    second = one_way(lambda arrays: arrays[0][0].astype("float32") + arrays[1][0, 1:2])
    return [*table, Entry("register_tokens", ("embeddings.distillation_token", places), second)]


def _dinov3(image_tower: RotaryTransformer) -> list[Entry]:
    table = array("class_token", "embeddings.cls_token", leading(2))
    table += array("patch_embedding/kernel", f"{PATCH}.weight", PATCHES)
    table += array("patch_embedding/bias", f"{PATCH}.bias") + norm("norm_post", "norm")
    if image_tower.registers:
        table += array("register_tokens", "embeddings.register_tokens", leading(1))
    block = list(DINOV3_BLOCK)
    if image_tower.gated:
        block += linear("mlp_gate", "mlp.gate_proj")
    return table + _blocks(image_tower, "layer", block)


def _convnext(image_tower: ConvNeXt) -> list[Entry]:
    table = convolution("stem", PATCH) + norm("stem_norm", "embeddings.layernorm")
    block = convolution("depthwise", "dwconv", DEPTHWISE) + norm("norm", "layernorm")
    block += linear("mlp_hidden", "pwconv1")
    if image_tower.responses:
        block += linear("mlp_output", "pwconv2")
        block += array("response_gamma", "grn.weight", FLAT)
        block += array("response_beta", "grn.bias", FLAT)
    else:
        block += scaled_linear("mlp_output", "pwconv2", "layer_scale_parameter")
    for stage, depth in enumerate(image_tower.depths):
        theirs = f"encoder.stages.{stage}"
        if stage:
            table += norm(f"norm_{stage}", f"{theirs}.downsampling_layer.0")
            table += convolution(f"halving_{stage}", f"{theirs}.downsampling_layer.1")
        for i in range(depth):
            table += under(f"stage_{stage}_block_{i}", f"{theirs}.layers.{i}.", block)
    return table + norm("last_norm", "layernorm")


def _swin(image_tower: Swin) -> list[Entry]:
    table = array("patch_embedding/kernel", f"{PATCH}.projection.weight", PATCHES)
    table += array("patch_embedding/bias", f"{PATCH}.projection.bias")
    table += norm("patch_norm", "embeddings.norm") + norm("last_norm", "layernorm")
    for stage, depth in enumerate(image_tower.depths):
        if stage:
            theirs = f"encoder.layers.{stage - 1}.downsample"
            table += norm(f"norm_{stage}", f"{theirs}.norm")
            table += linear(f"merging_{stage}", f"{theirs}.reduction", bias=False)
        for i in range(depth):
            theirs = f"encoder.layers.{stage}.blocks.{i}."
            table += under(f"stage_{stage}_block_{i}", theirs, SWIN_BLOCK)
    return table


def _blocks(image_tower: Any, theirs: str, block: list[Entry]) -> list[Entry]:
    return [
        entry
        for i in range(image_tower.depth)
        for entry in under(f"block_{i}", f"{theirs}.{i}.", block)
    ]
