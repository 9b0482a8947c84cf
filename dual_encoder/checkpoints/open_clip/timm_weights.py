"""Map variables to the tensor names of timm's models (OpenCLIP's `visual.trunk`)."""

from dataclasses import replace
from typing import Any

import keras

from dual_encoder.checkpoints.weight_entries import (
    BIAS_WITHOUT_KEY,
    DEPTHWISE,
    PATCHES,
    Entry,
    array,
    convolution,
    leading,
    linear,
    norm,
    scaled_linear,
    under,
)
from dual_encoder.towers.convnext import ConvNeXt
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


def trunk(tower: keras.layers.Layer) -> list[Entry]:
    """Of the tower alone, without a prefix on either side."""
    return _convnext(tower) if isinstance(tower, ConvNeXt) else _transformer(tower)


def _transformer(tower: Any) -> list[Entry]:
    table = array("patch_embedding/kernel", "patch_embed.proj.weight", PATCHES)
    if tower.patch_bias:
        table += array("patch_embedding/bias", "patch_embed.proj.bias")
    if tower.has_class_token:
        table += array("class_token", "cls_token", leading(2))
    table += array("positions", "pos_embed", leading(1))
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
