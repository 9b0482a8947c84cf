"""Dual encoders of `transformers` configurations, without their weights."""

from pathlib import Path

from dual_encoder.checkpoints.huggingface import defaults
from dual_encoder.checkpoints.huggingface.defaults import Config
from dual_encoder.checkpoints.huggingface.tower_sizes import (
    part_of,
    transformer_sizes,
    vision_transformer,
)
from dual_encoder.checkpoints.tokenizers.read import longest_text, read_tokenizer
from dual_encoder.checkpoints.weights.safetensors_mmap import Tensors
from dual_encoder.model import DualEncoder
from dual_encoder.projection import siglip_heads
from dual_encoder.tokenizer import Tokenizer
from dual_encoder.towers.bert import Bert
from dual_encoder.towers.text_transformer import TextTransformer


def clip(config: Config, folder: Path, tensors: Tensors, image_size: int | None) -> DualEncoder:
    """CLIP and MetaCLIP 2."""
    vision = part_of(config, "vision_config", defaults.CLIP_VISION)
    text = part_of(config, "text_config", defaults.CLIP_TEXT)
    embed_dim = config.get("projection_dim", 512)
    image_tower = vision_transformer(
        vision, folder, kind="clip", image_size=image_size, pooling="token", pre_norm=True
    )
    length = longest_text(folder, most=text["max_position_embeddings"])
    tokenizer = read_tokenizer(folder, context_length=length)
    end_id = clip_end(text, folder, tokenizer, said=config["model_type"] == "metaclip_2")
    text_tower = TextTransformer(
        text["vocab_size"],
        text["max_position_embeddings"],
        end_id=end_id,
        **transformer_sizes(text),
        name="text_tower",
    )
    return DualEncoder(image_tower, text_tower, embed_dim=embed_dim, tokenizer=tokenizer)


def clip_end(text: Config, folder: Path, tokenizer: Tokenizer, *, said: bool = False) -> int:
    """The id at which CLIP's text tower is read.

    2 is what CLIP's configurations of before 2023 say, and means the highest id in a text: its end.

    Args:
        text: the configuration of the tower.
        folder: named in errors.
        tokenizer: of the checkpoint.
        said: whether the configuration means what it says, as MetaCLIP 2's do.

    Raises:
        ValueError: texts end with another token.
    """
    end_id = text["eos_token_id"]
    if said or end_id == tokenizer.end_id:
        return end_id
    if end_id == 2:
        return tokenizer.end_id
    raise ValueError(
        f"{folder}: expected eos_token_id {tokenizer.end_id} in config.json, with which its "
        f"tokenizer ends every text; got {end_id!r}"
    )


def chinese_clip(
    config: Config, folder: Path, tensors: Tensors, image_size: int | None
) -> DualEncoder:
    """CLIP's image tower, and BERT's features of the first token."""
    vision = part_of(config, "vision_config", defaults.CLIP_VISION)
    text = part_of(config, "text_config", defaults.BERT)
    rows = text["max_position_embeddings"]
    tokenizer = read_tokenizer(folder, context_length=longest_text(folder, most=rows))
    text_tower = Bert(
        text["vocab_size"],
        rows,
        pad_id=tokenizer.pad_id,
        segments=text["type_vocab_size"],
        pooling="first",
        dropout=text["hidden_dropout_prob"],
        **transformer_sizes(text),
        name="text_tower",
    )
    return DualEncoder(
        vision_transformer(
            vision, folder, kind="clip", image_size=image_size, pooling="token", pre_norm=True
        ),
        text_tower,
        embed_dim=config.get("projection_dim", 512),
        tokenizer=tokenizer,
    )


def siglip(config: Config, folder: Path, tensors: Tensors, image_size: int | None) -> DualEncoder:
    """SigLIP and SigLIP 2."""
    vision = part_of(config, "vision_config", defaults.SIGLIP_VISION)
    text = part_of(config, "text_config", defaults.SIGLIP_TEXT)
    image_tower = vision_transformer(
        vision,
        folder,
        kind="siglip",
        image_size=image_size,
        pooling="attention",
        patch_bias=True,
        crop_to_patches=True,
    )
    context = text["max_position_embeddings"]
    length = longest_text(folder, most=context)
    text_tower = TextTransformer(
        text["vocab_size"],
        context,
        end_id=1,
        causal=False,
        pooling="last",
        **transformer_sizes(text),
        name="text_tower",
    )
    embed_dim = text["projection_size"] or text["hidden_size"]
    return DualEncoder(
        image_tower,
        text_tower,
        **siglip_heads(embed_dim),
        tokenizer=read_tokenizer(folder, context_length=length, cleaning="siglip"),
    )
