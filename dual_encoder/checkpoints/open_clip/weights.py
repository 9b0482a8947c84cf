"""Weight names of OpenCLIP: tables from our variables to its tensors."""

from dual_encoder.checkpoints.huggingface.weights import bert_tower
from dual_encoder.checkpoints.weight_mapping import (
    CONVOLUTION,
    LINEAR,
    PATCHES,
    Entry,
    array,
    batch_norm,
    linear,
    norm,
    under,
)
from dual_encoder.model import DualEncoder
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
    + norm("norm_pre", "ln_pre")
    + norm("norm_post", "ln_post")
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


def entries(model: DualEncoder) -> list[Entry]:
    """Of the whole model; the projections are matrices [d, e], not linear layers."""
    table = array("log_scale", "logit_scale")
    if isinstance(model.image_tower, ModifiedResNet):
        table += _resnet(model.image_tower)
    else:
        table += _vit(model.image_tower) + array(
            "image_projection/projection/kernel", "visual.proj"
        )
    if isinstance(model.text_tower, Bert):
        table += under("text_tower", "text.transformer.", bert_tower(model.text_tower))
        for layer, theirs in (("hidden", "text.proj.0"), ("output", "text.proj.2")):
            table += linear(f"text_projection/{layer}", theirs, bias=False)
        return table
    table += under("text_tower", "", TEXT)
    for i in range(model.text_tower.depth):
        table += under(f"text_tower/block_{i}", f"transformer.resblocks.{i}.", BLOCK)
    return table + array("text_projection/projection/kernel", "text_projection")


def _vit(tower: VisionTransformer) -> list[Entry]:
    table = under("image_tower", "visual.", VISION)
    for i in range(tower.depth):
        table += under(f"image_tower/block_{i}", f"visual.transformer.resblocks.{i}.", BLOCK)
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
