"""Map variables to the tensor names of timm's models (OpenCLIP's `visual.trunk`)."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np

from dual_encoder.checkpoints.open_clip import folded_convolutions as folded
from dual_encoder.checkpoints.weights.weight_table_entries import (
    BIAS_WITHOUT_KEY,
    DEPTHWISE,
    PATCHES,
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
from dual_encoder.towers.fastvit import FastViT
from dual_encoder.towers.rotary_transformer import RotaryTransformer

BLOCK = (
    norm("norm_1", "norm1")
    + linear("query_key_value", "attn.qkv")
    + linear("attention_output", "attn.proj")
    + norm("norm_2", "norm2")
    + linear("mlp_hidden", "mlp.fc1")
    + linear("mlp_output", "mlp.fc2")
)

# EVA's blocks have no bias of keys; EVA-01 and EVA-02-E keep the three matrices in one.
EVA_BIAS = Entry("query_key_value/bias", ("attn.q_bias", "attn.v_bias"), BIAS_WITHOUT_KEY)

EVA_BLOCK = [
    *(entry for entry in BLOCK if entry.variable != EVA_BIAS.variable),
    EVA_BIAS,
]

EVA_02_BLOCK = [
    *norm("norm_1", "norm1"),
    *linear("query_key_value", *(f"attn.{part}_proj" for part in "qkv"), bias=False),
    replace(EVA_BIAS, tensors=("attn.q_proj.bias", "attn.v_proj.bias")),
    *norm("attention_norm", "attn.norm"),
    *linear("attention_output", "attn.proj"),
    *norm("norm_2", "norm2"),
    *linear("mlp_gate", "mlp.fc1_g"),
    *linear("mlp_hidden", "mlp.fc1_x"),
    *norm("mlp_norm", "mlp.norm"),
    *linear("mlp_output", "mlp.fc2"),
]

MAP_POOLING = (
    array("probe", "latent", leading(2))
    + linear("query_key_value", "q", "kv")
    + linear("attention_output", "proj")
    + norm("norm", "norm")
    + linear("mlp_hidden", "mlp.fc1")
    + linear("mlp_output", "mlp.fc2")
)


# Places alone have positions there; the class token's is 0.
PLACES = one_way(lambda arrays: np.concatenate([np.zeros_like(arrays[0][0, :1]), arrays[0][0]]))


NO_BIAS = one_way(lambda arrays: np.zeros(len(arrays[0])))


def trunk(tower: keras.layers.Layer, tensors: folded.Names) -> list[Entry]:
    """Of the tower alone, without a prefix on either side; `tensors` are the names in the file."""
    if isinstance(tower, FastViT):
        return _fastvit(tower, tensors)
    return _convnext(tower) if isinstance(tower, ConvNeXt) else _transformer(tower)


def _transformer(tower: Any) -> list[Entry]:
    nested = getattr(tower, "stem", "patch") == "nested"
    table = _nested_patches() if nested else _patches(tower)
    if tower.has_class_token:
        table += array("class_token", "cls_token", leading(2))
    table += array("positions", "pos_embed", PLACES if nested else leading(1))
    if tower.pre_norm:
        table += norm("norm_pre", "norm_pre")
    block = BLOCK
    if isinstance(tower, RotaryTransformer) and tower.pooling == "token":
        block = EVA_02_BLOCK if tower.inner_norms else EVA_BLOCK
    for i in range(tower.depth):
        table += under(f"block_{i}", f"blocks.{i}.", block)
    table += norm("norm_post", "norm")
    if tower.pooling == "attention":
        table += under("pooling", "attn_pool.", MAP_POOLING)
    return table


def _patches(tower: Any) -> list[Entry]:
    table = array("patch_embedding/kernel", "patch_embed.proj.weight", PATCHES)
    if tower.patch_bias:
        table += array("patch_embedding/bias", "patch_embed.proj.bias")
    return table


def _nested_patches() -> list[Entry]:
    stem, layout = "patch_embed.backbone", folded.dense
    table = folded.entries("nested/patches_0", folded.normed(f"{stem}.0"), layout)
    table += folded.entries("nested/patches_1", folded.normed(f"{stem}.1"), layout)
    return table + folded.entries("patch_embedding", folded.plain(f"{stem}.2.conv"), layout)


def _fastvit(tower: FastViT, tensors: folded.Names) -> list[Entry]:
    table = []
    for i, layout in enumerate((folded.full, folded.depthwise(), folded.full)):
        table += _block(f"stem_{i}", f"stem.{i}", tensors, layout)
    for stage, depth in enumerate(tower.depths):
        theirs = f"stages.{stage}"
        if stage:
            halving = f"{theirs}.downsample.proj"
            wider = folded.depthwise(tower.widths[stage] // tower.widths[stage - 1])
            table += _block(f"halving_{stage}", f"{halving}.0", tensors, wider)
            table += _block(f"halved_{stage}", f"{halving}.1", tensors, folded.full)
            if stage >= len(tower.depths) - tower.squeezed:
                table += _squeeze(f"halving_{stage}", f"{halving}.0")
        if tower.attends[stage]:
            encoding = folded.positions(f"{theirs}.pos_emb", tensors)
            table += folded.entries(f"positions_{stage}", encoding, folded.depthwise())
        for i in range(depth):
            block = f"{theirs}.blocks.{i}"
            parts = _attending(tower, block) if tower.attends[stage] else _mixing(block, tensors)
            table += under(f"stage_{stage}_block_{i}", "", parts)
    table += _block("last", "final_conv", tensors, folded.depthwise(2))
    return table + _squeeze("last", "final_conv")


def _block(ours: str, theirs: str, tensors: folded.Names, layout: Any) -> list[Entry]:
    return folded.entries(f"{ours}/convolution", folded.branched(theirs, tensors), layout)


def _squeeze(ours: str, theirs: str) -> list[Entry]:
    table = folded.entries(f"{ours}/squeeze", folded.plain(f"{theirs}.se.fc1"), folded.dense)
    return table + folded.entries(f"{ours}/excite", folded.plain(f"{theirs}.se.fc2"), folded.dense)


def _mixing(block: str, tensors: folded.Names) -> list[Entry]:
    mixer = folded.mixer(f"{block}.token_mixer", tensors)
    table = folded.entries("mixer", mixer, folded.depthwise())
    return table + _mlp(block, f"{block}.layer_scale.gamma")


def _attending(tower: FastViT, block: str) -> list[Entry]:
    query_key_value, mixer = f"{block}.token_mixer.qkv", f"{block}.token_mixer"
    if tower.layer_norm:
        table = norm("norm", f"{block}.norm")
        table += linear("query_key_value", query_key_value, bias=False)
        table += array("query_key_value/bias", f"{query_key_value}.weight", NO_BIAS)
    else:
        table = folded.normed_linear("query_key_value", query_key_value, f"{block}.norm")
    table += scaled_linear("attention_output", f"{mixer}.proj", f"{block}.layer_scale_1.gamma")
    return table + _mlp(block, f"{block}.layer_scale_2.gamma")


def _mlp(block: str, scale: str) -> list[Entry]:
    hidden, output = folded.plain(f"{block}.mlp.fc1"), folded.scaled(f"{block}.mlp.fc2", scale)
    table = folded.entries("depthwise", folded.normed(f"{block}.mlp.conv"), folded.depthwise())
    table += folded.entries("mlp_hidden", hidden, folded.dense)
    return table + folded.entries("mlp_output", output, folded.dense)


def _convnext(tower: ConvNeXt) -> list[Entry]:
    table = convolution("stem", "stem.0") + norm("stem_norm", "stem.1")
    block = (
        convolution("depthwise", "conv_dw", DEPTHWISE)
        + norm("norm", "norm")
        + linear("mlp_hidden", "mlp.fc1")
        + scaled_linear("mlp_output", "mlp.fc2", "gamma")
    )
    for stage, depth in enumerate(tower.depths):
        if stage:
            table += norm(f"norm_{stage}", f"stages.{stage}.downsample.0")
            table += convolution(f"halving_{stage}", f"stages.{stage}.downsample.1")
        for i in range(depth):
            table += under(f"stage_{stage}_block_{i}", f"stages.{stage}.blocks.{i}.", block)
    return table + norm("last_norm", "head.norm")
