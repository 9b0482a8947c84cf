"""Map variables to the tensor names of `transformers`."""

from collections.abc import Mapping
from typing import Any

import keras

from dual_encoder.checkpoints.weights.weight_table_entries import (
    LINEAR,
    NUMBER,
    PATCHES,
    SCALAR,
    Entry,
    array,
    leading,
    linear,
    norm,
    under,
)

CLIP_BLOCK = (
    norm("norm_1", "layer_norm1")
    + linear("query_key_value", *(f"self_attn.{part}_proj" for part in "qkv"))
    + linear("attention_output", "self_attn.out_proj")
    + norm("norm_2", "layer_norm2")
    + linear("mlp_hidden", "mlp.fc1")
    + linear("mlp_output", "mlp.fc2")
)

CLIP_VISION = (
    array("class_token", "embeddings.class_embedding")
    + array("patch_embedding/kernel", "embeddings.patch_embedding.weight", PATCHES)
    + array("positions", "embeddings.position_embedding.weight")
    + norm("norm_pre", "pre_layrnorm")  # their spelling
    + norm("norm_post", "post_layernorm")
)

CLIP_TEXT = (
    array("token_embedding", "embeddings.token_embedding.weight")
    + array("positions", "embeddings.position_embedding.weight")
    + norm("norm_post", "final_layer_norm")
)

SIGLIP_POOLING = (
    array("probe", "probe", leading(2))
    + array("query_key_value/kernel", "attention.in_proj_weight", LINEAR)
    + array("query_key_value/bias", "attention.in_proj_bias")
    + linear("attention_output", "attention.out_proj")
    + norm("norm", "layernorm")
    + linear("mlp_hidden", "mlp.fc1")
    + linear("mlp_output", "mlp.fc2")
)

SIGLIP_VISION = (
    array("patch_embedding/kernel", "embeddings.patch_embedding.weight", PATCHES)
    + array("patch_embedding/bias", "embeddings.patch_embedding.bias")
    + array("positions", "embeddings.position_embedding.weight")
    + norm("norm_post", "post_layernorm")
    + under("pooling", "head.", SIGLIP_POOLING)
)

VIT = (
    array("class_token", "embeddings.cls_token", leading(2))
    + array("patch_embedding/kernel", "embeddings.patch_embeddings.projection.weight", PATCHES)
    + array("patch_embedding/bias", "embeddings.patch_embeddings.projection.bias")
    + array("positions", "embeddings.position_embeddings", leading(1))
    + norm("norm_post", "layernorm")
)

VIT_BLOCK = (
    norm("norm_1", "layernorm_before")
    + linear("query_key_value", *(f"attention.attention.{n}" for n in ("query", "key", "value")))
    + linear("attention_output", "attention.output.dense")
    + norm("norm_2", "layernorm_after")
    + linear("mlp_hidden", "intermediate.dense")
    + linear("mlp_output", "output.dense")
)

BERT = (
    array("token_embedding", "embeddings.word_embeddings.weight")
    + array("position_embedding", "embeddings.position_embeddings.weight")
    + array("segment_embedding", "embeddings.token_type_embeddings.weight")
    + norm("norm", "embeddings.LayerNorm")
)

BERT_BLOCK = (
    linear("query_key_value", *(f"attention.self.{name}" for name in ("query", "key", "value")))
    + linear("attention_output", "attention.output.dense")
    + norm("norm_1", "attention.output.LayerNorm")
    + linear("mlp_hidden", "intermediate.dense")
    + linear("mlp_output", "output.dense")
    + norm("norm_2", "output.LayerNorm")
)


def clip(model: keras.Model, tensors: Mapping[str, Any] | None = None) -> list[Entry]:
    """Of `CLIPModel`."""
    return (
        array("log_scale", "logit_scale", NUMBER)
        + under("image_tower", "vision_model.", CLIP_VISION)
        + _blocks(model.image_tower, "image_tower", "vision_model.encoder.layers", CLIP_BLOCK)
        + linear("image_projection/projection", "visual_projection", bias=False)
        + under("text_tower", "text_model.", CLIP_TEXT)
        + _blocks(model.text_tower, "text_tower", "text_model.encoder.layers", CLIP_BLOCK)
        + linear("text_projection/projection", "text_projection", bias=False)
    )


def chinese_clip(model: keras.Model, tensors: Mapping[str, Any] | None = None) -> list[Entry]:
    """Of `ChineseCLIPModel`."""
    return (
        array("log_scale", "logit_scale", NUMBER)
        + under("image_tower", "vision_model.", CLIP_VISION)
        + _blocks(model.image_tower, "image_tower", "vision_model.encoder.layers", CLIP_BLOCK)
        + linear("image_projection/projection", "visual_projection", bias=False)
        + under("text_tower", "text_model.", bert_tower(model.text_tower))
        + linear("text_projection/projection", "text_projection", bias=False)
    )


def clip_text(model: keras.Model, tensors: Mapping[str, Any]) -> list[Entry]:
    """Of `CLIPTextModel`."""
    prefix = prefixed(tensors, "text_model.", "")
    table = under("text_tower", prefix, CLIP_TEXT)
    return table + _blocks(model.text_tower, "text_tower", f"{prefix}encoder.layers", CLIP_BLOCK)


def siglip(model: keras.Model, tensors: Mapping[str, Any] | None = None) -> list[Entry]:
    """Of `SiglipModel`."""
    return (
        array("log_scale", "logit_scale", SCALAR)
        + array("logit_bias", "logit_bias", SCALAR)
        + under("image_tower", "vision_model.", SIGLIP_VISION)
        + _blocks(model.image_tower, "image_tower", "vision_model.encoder.layers", CLIP_BLOCK)
        + under("text_tower", "text_model.", CLIP_TEXT)
        + _blocks(model.text_tower, "text_tower", "text_model.encoder.layers", CLIP_BLOCK)
        + linear("text_projection", "text_model.head")
    )


def vit(model: keras.Model, tensors: Mapping[str, Any]) -> list[Entry]:
    """Of `ViTForImageClassification`, or of `ViTModel` with or without its pooler."""
    prefix = prefixed(tensors, "vit.", "")
    entries = under("image_tower", prefix, VIT)
    entries += _blocks(model.image_tower, "image_tower", f"{prefix}encoder.layer", VIT_BLOCK)
    if model.head is not None:
        is_pooler = "classifier.weight" not in tensors
        entries += linear("head", f"{prefix}pooler.dense" if is_pooler else "classifier")
    return entries


def bert(model: keras.Model, tensors: Mapping[str, Any]) -> list[Entry]:
    """Of `BertModel`, `RobertaModel`, `XLMRobertaModel`, by themselves or under a task's head."""
    prefix = prefixed(tensors, "bert.", "") or prefixed(tensors, "roberta.", "")
    return under("text_tower", prefix, bert_tower(model.text_tower))


def bert_tower(tower: keras.layers.Layer) -> list[Entry]:
    """Of the tower alone; OpenCLIP has it inside its own models."""
    entries = [*BERT, *(_blocks(tower, "", "encoder.layer", BERT_BLOCK))]
    return entries + (linear("pooler", "pooler.dense") if tower.pooler is not None else [])


def prefixed(tensors: Mapping[str, Any], prefix: str, name: str) -> str:
    """The name as the checkpoint has it: models under a task's head begin with their own."""
    return prefix + name if any(key.startswith(prefix) for key in tensors) else name


def modern(name: str) -> str:
    """A tensor's name of today; files of 2018 call a norm's weights gamma and beta."""
    for old, new in (("gamma", "weight"), ("beta", "bias")):
        if name.endswith(f".LayerNorm.{old}"):
            return name.removesuffix(old) + new
    return name


def _blocks(tower: keras.layers.Layer, ours: str, theirs: str, block: list[Entry]) -> list[Entry]:
    ours = f"{ours}/" if ours else ""
    return [
        entry
        for i in range(tower.depth)
        for entry in under(f"{ours}block_{i}", f"{theirs}.{i}.", block)
    ]
