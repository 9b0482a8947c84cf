"""Map variables to those of KerasHub's backbones."""

import re
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from dual_encoder.checkpoints.weights.weight_table_entries import (
    Codec,
    Entry,
    array,
    leading,
    under,
)

# Heads are an axis of their own there: kernels [d, heads, d / heads], fused here to [d, 3 d].
KERNELS = Codec(
    lambda arrays: np.concatenate([a.reshape(a.shape[0], -1) for a in arrays], axis=1),
    lambda value, count: np.split(value, count, axis=1),
)

BIASES = Codec(
    lambda arrays: np.concatenate([a.reshape(-1) for a in arrays]),
    lambda value, count: np.split(value, count),
)

OUTPUT = Codec(lambda a: a[0].reshape(-1, a[0].shape[-1]), lambda value, _: [value])

PATCHES = Codec(lambda a: a[0].reshape(-1, a[0].shape[-1]), lambda value, _: [value])

PARTS = ("query", "key", "value")


def weights(backbone: keras.Model) -> dict[str, np.ndarray]:
    """The variables of a backbone by path; those of CLIP's two towers under a name of their own."""
    found = {}
    for part in ("vision_encoder", "text_encoder"):
        tower: Any = getattr(backbone, part, None)
        for weight in tower.weights if tower is not None else ():
            found[f"{part}/{_plain(weight.path, tower)}"] = weight
    inside = {id(weight) for weight in found.values()}
    found |= {_plain(w.path, backbone): w for w in backbone.weights if id(w) not in inside}
    return {name: keras.ops.convert_to_numpy(weight) for name, weight in found.items()}


def _plain(path: str, model: keras.Model) -> str:
    """A path without the model's name, which begins those of some layers, and without a number that
    Keras gave a variable which has no name."""
    return re.sub(r"/variable(_\d+)?$", "/variable", path.removeprefix(f"{model.name}_"))


def clip(model: keras.Model) -> list[Entry]:
    """Of `CLIPBackbone`."""
    layers = block("attention", "layer_norm_1", "layer_norm_2", "dense_1", "dense_2")
    vision = (
        array("class_token", "embedding/class_embedding")
        + array("patch_embedding/kernel", "embedding/patch_embedding/kernel", PATCHES)
        + array("positions", "embedding/position_embedding/embeddings")
        + norm("norm_pre", "pre_layer_norm")
        + norm("norm_post", "layer_norm")
        + blocks(model.image_tower, "encoder_block_{}", layers)
    )
    text = (
        array("token_embedding", "embedding/token_embedding/embeddings")
        + array("positions", "embedding/position_embedding/embeddings")
        + norm("norm_post", "layer_norm")
        + blocks(model.text_tower, "encoder_block_{}", layers)
    )
    return (
        array("log_scale", "clip_head/logit_scale")
        + under("image_tower", "vision_encoder/", vision)
        + under("text_tower", "text_encoder/", text)
        + array("image_projection/projection/kernel", "vision_projection/kernel")
        + array("text_projection/projection/kernel", "text_projection/kernel")
    )


def vit(model: keras.Model) -> list[Entry]:
    """Of `ViTBackbone`."""
    patches = "vit_patching_and_embedding"
    layers = block("mha", "ln_1", "ln_2", "mlp/dense_1", "mlp/dense_2")
    tower = (
        array("class_token", f"{patches}/class_token", leading(2))
        + array("patch_embedding/kernel", f"{patches}/patch_embedding/kernel", PATCHES)
        + array("patch_embedding/bias", f"{patches}/patch_embedding/bias")
        + array("positions", f"{patches}/position_embedding/embeddings")
        + norm("norm_post", "vit_encoder/ln")
        + blocks(model.image_tower, "vit_encoder/transformer_block_{}", layers, first=1)
    )
    return under("image_tower", "", tower)


def bert(model: keras.Model) -> list[Entry]:
    """Of `BertBackbone`, `RobertaBackbone`, `XLMRobertaBackbone`."""
    tower = model.text_tower
    inside = "" if tower.segments else "embeddings/"
    layers = block(
        "self_attention_layer",
        "self_attention_layer_norm",
        "feedforward_layer_norm",
        "feedforward_intermediate_dense",
        "feedforward_output_dense",
    )
    table = (
        array("token_embedding", f"{inside}token_embedding/embeddings")
        + array("position_embedding", f"{inside}position_embedding/embeddings")
        + norm("norm", "embeddings_layer_norm")
        + blocks(tower, "transformer_layer_{}", layers)
    )
    if tower.segments:
        table += array("segment_embedding", "segment_embedding/embeddings")
    if tower.pooler is not None:
        table += dense("pooler", "pooled_dense")
    return under("text_tower", "", table)


def siglip(model: keras.Model) -> list[Entry]:
    """Of `SigLIPBackbone`."""
    layers = block("self_attn", "layer_norm1", "layer_norm2", "mlp/fc1", "mlp/fc2")
    pooling = [
        entry
        for entry in block("attention", "norm", "layernorm", "mlp/fc1", "mlp/fc2")
        if not entry.variable.startswith("norm_1")
    ]
    pooling = [replace(e, variable=e.variable.replace("norm_2", "norm")) for e in pooling]
    vision = (
        array("patch_embedding/kernel", "embedding/patch_embedding/kernel", PATCHES)
        + array("patch_embedding/bias", "embedding/patch_embedding/bias")
        + array("positions", "embedding/position_embedding/embeddings")
        + norm("norm_post", "post_layer_norm")
        + blocks(model.image_tower, "encoder_block_{}", layers)
        + array("pooling/probe", "head/variable", leading(2))
        + under("pooling", "head/", pooling)
    )
    text = (
        array("token_embedding", "embedding/token_embedding/embeddings")
        + array("positions", "embedding/position_embedding/embeddings")
        + norm("norm_post", "post_layer_norm")
        + blocks(model.text_tower, "encoder_block_{}", layers)
    )
    return (
        array("log_scale", "siglip_head/logit_scale")
        + array("logit_bias", "siglip_head/logit_bias")
        + under("image_tower", "vision_encoder/", vision)
        + under("text_tower", "text_encoder/", text)
        + dense("text_projection", "text_encoder/head")
    )


def block(attention: str, norm_1: str, norm_2: str, hidden: str, output: str) -> list[Entry]:
    kernels = tuple(f"{attention}/{part}/kernel" for part in PARTS)
    biases = tuple(f"{attention}/{part}/bias" for part in PARTS)
    return [
        Entry("query_key_value/kernel", kernels, KERNELS),
        Entry("query_key_value/bias", biases, BIASES),
        *array("attention_output/kernel", f"{attention}/attention_output/kernel", OUTPUT),
        *array("attention_output/bias", f"{attention}/attention_output/bias"),
        *norm("norm_1", norm_1),
        *norm("norm_2", norm_2),
        *dense("mlp_hidden", hidden),
        *dense("mlp_output", output),
    ]


def blocks(tower: keras.layers.Layer, theirs: str, layers: list[Entry], first: int = 0) -> list:
    return [
        entry
        for i in range(tower.depth)
        for entry in under(f"block_{i}", f"{theirs.format(i + first)}/", layers)
    ]


def norm(ours: str, theirs: str) -> list[Entry]:
    return array(f"{ours}/gamma", f"{theirs}/gamma") + array(f"{ours}/beta", f"{theirs}/beta")


def dense(ours: str, theirs: str) -> list[Entry]:
    return array(f"{ours}/kernel", f"{theirs}/kernel") + array(f"{ours}/bias", f"{theirs}/bias")
