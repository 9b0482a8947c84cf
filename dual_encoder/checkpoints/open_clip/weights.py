"""Map variables to the tensor names of OpenCLIP."""

import keras
import numpy as np

from dual_encoder.checkpoints.huggingface.weights import bert_tower
from dual_encoder.checkpoints.open_clip import timm_weights
from dual_encoder.checkpoints.weights.safetensors_mmap import Tensors
from dual_encoder.checkpoints.weights.weight_table_entries import (
    CONVOLUTION,
    LINEAR,
    PATCHES,
    SCALAR,
    Arrays,
    Entry,
    array,
    batch_norm,
    linear,
    norm,
    one_way,
    under,
)
from dual_encoder.model import DualEncoder
from dual_encoder.projection import ProjectionHead
from dual_encoder.towers.bert import Bert
from dual_encoder.towers.modified_resnet import ModifiedResNet
from dual_encoder.towers.vision_transformer import VisionTransformer

BLOCK = (
    norm("norm_1", "ln_1")
    + array("query_key_value/kernel", "attn.in_proj_weight", LINEAR)
    + array("query_key_value/bias", "attn.in_proj_bias")
    + linear("attention_output", "attn.out_proj")
    + norm("norm_2", "ln_2")
    + linear("mlp_hidden", "mlp.c_fc")
    + linear("mlp_output", "mlp.c_proj")
)

VISION = (
    array("class_token", "class_embedding")
    + array("patch_embedding/kernel", "conv1.weight", PATCHES)
    + array("positions", "positional_embedding")
    + norm("norm_post", "ln_post")
)


def _first_query(arrays: Arrays) -> np.ndarray:
    """CoCa's first query as it meets the keys: normed and projected."""
    queries, gamma, beta, kernel, bias = (np.asarray(each, "float64") for each in arrays)
    query = queries[0] - queries[0].mean()
    query = query / np.sqrt((query**2).mean() + 1e-5) * gamma + beta
    return kernel @ query + bias[: len(query)]


# A projection of its own, or the trunk's classifier.
PROJECTIONS = ("visual.head.proj", "visual.trunk.head", "visual.trunk.head.fc")

QUERY = ("query", "ln_q.weight", "ln_q.bias", "attn.q_proj_weight", "attn.in_proj_bias")

QUERY_POOLING = (
    [Entry("query", QUERY, one_way(_first_query))]
    + norm("norm", "ln_k")
    + [Entry("key_value/kernel", ("attn.k_proj_weight", "attn.v_proj_weight"), LINEAR)]
    + array("key_value/bias", "attn.in_proj_bias", one_way(lambda a: a[0][len(a[0]) // 3 :]))
    + linear("attention_output", "attn.out_proj")
)

TEXT = (
    array("token_embedding", "token_embedding.weight")
    + array("positions", "positional_embedding")
    + norm("norm_post", "ln_final")
)

POOLING = (
    array("positions", "positional_embedding")
    + linear("query", "q_proj")
    + linear("key_value", "k_proj", "v_proj")
    + linear("projection", "c_proj")
)


def entries(model: DualEncoder, tensors: Tensors) -> list[Entry]:
    """Of the whole model; CLIP's projections are matrices [d, e], not linear layers."""
    table = array("log_scale", "logit_scale", SCALAR)
    if model.loss_name == "sigmoid":
        table += array("logit_bias", "logit_bias", SCALAR)
    table += _image(model, tensors)
    if isinstance(model.text_tower, Bert):
        table += under("text_tower", "text.transformer.", bert_tower(model.text_tower))
        return table + _mlp("text_projection", "text.proj.0", "text.proj.2", bias=False)
    prefix = "text." if any(name.startswith("text.") for name in tensors) else ""
    table += under("text_tower", prefix, TEXT)
    if model.text_tower.pooling == "class":
        table += array("text_tower/class_token", f"{prefix}cls_emb")
    for i in range(model.text_tower.depth):
        table += under(f"text_tower/block_{i}", f"{prefix}transformer.resblocks.{i}.", BLOCK)
    if isinstance(model.text_projection, keras.layers.Dense):
        return table + linear("text_projection", f"{prefix}text_projection")
    if isinstance(model.text_projection, keras.layers.Identity):
        return table
    return table + array("text_projection/projection/kernel", f"{prefix}text_projection")


def _image(model: DualEncoder, tensors: Tensors) -> list[Entry]:
    tower, projection = model.image_tower, model.image_projection
    if isinstance(tower, ModifiedResNet):
        return _resnet(tower)
    if isinstance(projection, ProjectionHead):
        return _vit(tower) + array("image_projection/projection/kernel", "visual.proj")
    trunk = "visual.trunk."
    names = {name.removeprefix(trunk) for name in tensors if name.startswith(trunk)}
    table = under("image_tower", trunk, timm_weights.trunk(tower, names))
    if isinstance(projection, keras.Sequential):
        return table + _mlp("image_projection", "visual.head.mlp.fc1", "visual.head.mlp.fc2")
    if isinstance(projection, keras.layers.Dense):
        theirs = next((name for name in PROJECTIONS if f"{name}.weight" in tensors), PROJECTIONS[0])
        return table + linear("image_projection", theirs, bias=projection.use_bias)
    return table


def _mlp(ours: str, hidden: str, output: str, *, bias: bool = True) -> list[Entry]:
    """Of two layers, of which the last has no bias."""
    return linear(f"{ours}/hidden", hidden, bias=bias) + linear(
        f"{ours}/output", output, bias=False
    )


def _vit(tower: VisionTransformer) -> list[Entry]:
    table = under("image_tower", "visual.", VISION)
    if tower.pre_norm:
        table += under("image_tower", "visual.", norm("norm_pre", "ln_pre"))
    for i in range(tower.depth):
        table += under(f"image_tower/block_{i}", f"visual.transformer.resblocks.{i}.", BLOCK)
    if tower.pooling == "query":
        table += under("image_tower/pooling", "visual.attn_pool.", QUERY_POOLING)
    return table


def _resnet(tower: ModifiedResNet) -> list[Entry]:
    table = []
    for i in range(3):
        table += _convolution(f"stem_{i}", f"conv{i + 1}", f"bn{i + 1}")
    for stage, depth in enumerate(tower.depths):
        for i in range(depth):
            parts = []
            for part in range(3):
                parts += _convolution(f"stage_{part}", f"conv{part + 1}", f"bn{part + 1}")
            if i == 0:  # the channels grow there
                parts += _convolution("shortcut", "downsample.0", "downsample.1")
            table += under(f"stage_{stage}_block_{i}", f"layer{stage + 1}.{i}.", parts)
    table += under("pooling", "attnpool.", POOLING)
    return under("image_tower", "visual.", table)


def _convolution(ours: str, convolution: str, normalisation: str) -> list[Entry]:
    kernel = array(f"{ours}/conv/kernel", f"{convolution}.weight", CONVOLUTION)
    return kernel + batch_norm(f"{ours}/norm", normalisation)
