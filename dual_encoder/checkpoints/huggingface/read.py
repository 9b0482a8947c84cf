"""Read `transformers` checkpoints: `config.json`, `model.safetensors`, tokenizer.

Dual encoders (CLIP, SigLIP), image classifiers (ViT) and text encoders (BERT, RoBERTa, XLM-R). The
configuration gives the architecture; keys it leaves out have the values that `transformers`
documents for them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from dual_encoder.checkpoints.activations import activation
from dual_encoder.checkpoints.huggingface import (
    defaults,
    image_encoders,
    sentence_pooling,
)
from dual_encoder.checkpoints.huggingface import weights as names
from dual_encoder.checkpoints.huggingface.defaults import Config
from dual_encoder.checkpoints.huggingface.id2label import class_names
from dual_encoder.checkpoints.huggingface.preprocessing import pixels
from dual_encoder.checkpoints.json_files import CONFIG, read_json
from dual_encoder.checkpoints.position_embeddings import resized
from dual_encoder.checkpoints.safetensors_mmap import Tensors
from dual_encoder.checkpoints.tokenizers.read import read_tokenizer
from dual_encoder.checkpoints.weight_entries import Entry
from dual_encoder.checkpoints.weight_files import open_tensors
from dual_encoder.checkpoints.weight_mapping import fill, put_off
from dual_encoder.model import DualEncoder
from dual_encoder.single_tower_models import ImageEncoder, TextEncoder
from dual_encoder.towers.bert import Bert
from dual_encoder.towers.text_transformer import TextTransformer
from dual_encoder.towers.vision_transformer import VisionTransformer
from dual_encoder.variable_names import named_variables


@dataclass(frozen=True)
class Family:
    """How checkpoints of one `model_type` are made into a model.

    Attributes:
        build: from configuration, folder, tensors and image size to a model without its weights.
        entries: from the model and the tensors to the table of weight names.
        ignored: patterns of tensors that this model has no use for.
        antialias: whether positions are interpolated so for images of another size.
    """

    build: Callable[..., keras.Model]
    entries: Callable[[keras.Model, Tensors], list[Entry]]
    ignored: tuple[str, ...] = ()
    antialias: bool = False


def read(folder: Path, *, image_size: int | None = None) -> keras.Model:
    """The model of a folder: a `DualEncoder`, an `ImageEncoder` or a `TextEncoder`.

    Raises:
        FileNotFoundError: a file of the layout is missing.
        ValueError: another architecture, or weights that do not match the configuration.
    """
    tensors = open_tensors(folder, "transformers", rename=names.modern)
    with put_off():
        family, model = build(folder, tensors, image_size=image_size)
        fill(
            named_variables(model),
            family.entries(model, tensors),
            tensors,
            source=str(folder),
            ignored=("*.position_ids", *family.ignored),
            changed=resized(model, antialias=family.antialias),
        )
    return model


def build(
    folder: Path, tensors: Tensors, *, image_size: int | None = None
) -> tuple[Family, keras.Model]:
    """The model of a folder's configuration, with the weights that it was initialised with."""
    config = read_json(folder, "config.json", CONFIG)
    if "model_type" not in config and "type_vocab_size" in config:  # BERT's of before 2020
        config["model_type"] = "bert"
    kind = str(config.get("model_type"))
    if kind not in FAMILIES:
        raise ValueError(
            f"{folder}: expected a model_type of {', '.join(FAMILIES)} in config.json; got {kind!r}"
        )
    _refuse_other_models(config, folder)
    if "quantization_config" in config:
        raise ValueError(f"{folder}: expected weights as they are; got quantization_config")
    model = FAMILIES[kind].build(config, folder, tensors, image_size)
    if not model.built:
        model.build()
    return FAMILIES[kind], model


def _refuse_other_models(config: Config, folder: Path) -> None:
    """By settings of the model or of a part that Duet's towers have no place for."""
    for part in (config, *(_part(config, name) for name in ("text_config", "vision_config"))):
        for key, value in defaults.ONLY.items():
            if (found := part.get(key)) not in (None, value):
                raise ValueError(f"{folder}: expected {key} {value} in config.json; got {found}")


def _clip(config: Config, folder: Path, tensors: Tensors, image_size: int | None) -> DualEncoder:
    vision = defaults.CLIP_VISION | _part(config, "vision_config")
    text = defaults.CLIP_TEXT | _part(config, "text_config")
    embed_dim = config.get("projection_dim", 512)
    image_tower = _vision_transformer(
        vision, folder, kind="clip", image_size=image_size, pooling="token", pre_norm=True
    )
    tokenizer = read_tokenizer(folder, context_length=text["max_position_embeddings"])
    end_id = text["eos_token_id"]
    # 2 is what CLIP's configurations of before 2023 say, and means the highest id in a text: its
    # end. MetaCLIP 2 means what it says.
    if config["model_type"] == "clip" and end_id == 2:
        end_id = tokenizer.end_id
    if config["model_type"] == "clip" and end_id != tokenizer.end_id:
        raise ValueError(
            f"{folder}: expected eos_token_id {tokenizer.end_id} in config.json, with which its "
            f"tokenizer ends every text; got {text['eos_token_id']!r}"
        )
    text_tower = TextTransformer(
        text["vocab_size"],
        text["max_position_embeddings"],
        end_id=end_id,
        **_transformer(text),
        name="text_tower",
    )
    return DualEncoder(image_tower, text_tower, embed_dim=embed_dim, tokenizer=tokenizer)


def _chinese_clip(
    config: Config, folder: Path, tensors: Tensors, image_size: int | None
) -> DualEncoder:
    """CLIP's image tower, and BERT's features of the first token."""
    vision = defaults.CLIP_VISION | _part(config, "vision_config")
    text = defaults.BERT | {"vocab_size": 30522} | _part(config, "text_config")
    rows = text["max_position_embeddings"]
    text_tower = Bert(
        text["vocab_size"],
        rows,
        pad_id=text["pad_token_id"],
        segments=text["type_vocab_size"],
        pooling="first",
        dropout=text["hidden_dropout_prob"],
        **_transformer(text),
        name="text_tower",
    )
    return DualEncoder(
        _vision_transformer(
            vision, folder, kind="clip", image_size=image_size, pooling="token", pre_norm=True
        ),
        text_tower,
        embed_dim=config.get("projection_dim", 512),
        tokenizer=read_tokenizer(folder, context_length=rows),
    )


def _clip_text(
    config: Config, folder: Path, tensors: Tensors, image_size: int | None
) -> TextEncoder:
    """CLIP's text tower by itself."""
    text = defaults.CLIP_TEXT | config
    _refuse_size(image_size)
    if "text_projection.weight" in tensors:
        raise ValueError(f"{folder}: expected CLIPTextModel; got one with a projection")
    context, end_id = text["max_position_embeddings"], text["eos_token_id"]
    tower = TextTransformer(
        text["vocab_size"],
        context,
        end_id=text["vocab_size"] - 1 if end_id == 2 else end_id,
        **_transformer(text),
        name="text_tower",
    )
    return TextEncoder(tower, tokenizer=read_tokenizer(folder, context_length=context))


def _siglip(config: Config, folder: Path, tensors: Tensors, image_size: int | None) -> DualEncoder:
    vision = defaults.SIGLIP_VISION | _part(config, "vision_config")
    text = defaults.SIGLIP_TEXT | _part(config, "text_config")
    image_tower = _vision_transformer(
        vision,
        folder,
        kind="siglip",
        image_size=image_size,
        pooling="attention",
        patch_bias=True,
        crop_to_patches=True,
    )
    context = text["max_position_embeddings"]
    text_tower = TextTransformer(
        text["vocab_size"],
        context,
        end_id=1,
        causal=False,
        pooling="last",
        **_transformer(text),
        name="text_tower",
    )
    embed_dim = text["projection_size"] or text["hidden_size"]
    return DualEncoder(
        image_tower,
        text_tower,
        embed_dim=embed_dim,
        image_projection=keras.layers.Identity(name="image_projection"),
        text_projection=keras.layers.Dense(embed_dim, name="text_projection"),
        loss_name="sigmoid",
        tokenizer=read_tokenizer(folder, context_length=context, cleaning="siglip"),
    )


def _vit(config: Config, folder: Path, tensors: Tensors, image_size: int | None) -> ImageEncoder:
    config = defaults.VIT | config
    tower = _vision_transformer(config, folder, kind="vit", image_size=image_size, patch_bias=True)
    if "classifier.weight" in tensors:
        units, activate = tensors["classifier.weight"].shape[0], None
        classes = class_names(folder, config.get("id2label"), units)
    elif names.prefixed(tensors, "vit.", "pooler.dense.weight") in tensors:
        units, activate, classes = config["hidden_size"], "tanh", None
    else:
        return ImageEncoder(tower)
    head = keras.layers.Dense(units, activation=activate, name="head")
    return ImageEncoder(tower, head=head, class_names=classes)


def _bert(config: Config, folder: Path, tensors: Tensors, image_size: int | None) -> TextEncoder:
    roberta = config["model_type"] != "bert"
    config = (defaults.ROBERTA if roberta else defaults.BERT) | config
    _refuse_size(image_size)
    pad_id, rows = config["pad_token_id"], config["max_position_embeddings"]
    if pad_id is None:
        raise ValueError(f"{folder}: expected a pad_token_id in config.json; got null")
    first = pad_id + 1 if roberta else 0
    texts = sentence_pooling.texts(folder, most=rows - first)
    tower = Bert(
        config["vocab_size"],
        texts["context_length"],
        pad_id=pad_id,
        positions=rows,
        first_position=first,
        segments=config["type_vocab_size"],
        pooling=_text_pooling(folder, tensors),
        dropout=config["hidden_dropout_prob"],
        **_transformer(config),
        name="text_tower",
    )
    return TextEncoder(tower, tokenizer=read_tokenizer(folder, **texts))


def _text_pooling(folder: Path, tensors: Tensors) -> str:
    """What sentence-transformers wrote beside the model, else the pooler if there is one."""
    has_pooler = any(name.endswith("pooler.dense.weight") for name in tensors)
    return sentence_pooling.pooling(folder) or ("pooler" if has_pooler else "mean")


def _vision_transformer(
    config: Config, folder: Path, *, kind: str, image_size: int | None, **options: Any
) -> VisionTransformer:
    return VisionTransformer(
        image_size or config["image_size"],
        config["patch_size"],
        **_transformer(config),
        **pixels(folder, config["image_size"], kind=kind),
        **options,
        name="image_tower",
    )


def _transformer(config: Config) -> dict[str, Any]:
    """Sizes that all transformers have, by our names."""
    return {
        "width": config["hidden_size"],
        "depth": config["num_hidden_layers"],
        "heads": config["num_attention_heads"],
        "mlp_ratio": config["intermediate_size"] / config["hidden_size"],
        "activation": activation(config["hidden_act"]),
        "epsilon": config["layer_norm_eps"],
    }


def _part(config: Config, name: str) -> Config:
    """A part of a configuration of two towers; older ones keep it twice and mean the second."""
    return {**(config.get(name) or {}), **(config.get(f"{name}_dict") or {})}


def _refuse_size(image_size: int | None) -> None:
    if image_size is not None:
        raise ValueError(f"image_size: a text encoder takes none; got {image_size}")


FAMILIES: Mapping[str, Family] = {
    "clip": Family(_clip, names.clip),
    "metaclip_2": Family(_clip, names.clip),
    "chinese_clip": Family(_chinese_clip, names.chinese_clip, ("*pooler.dense.*",)),
    "clip_text_model": Family(_clip_text, names.clip_text),
    "siglip": Family(_siglip, names.siglip),
    "vit": Family(_vit, names.vit),
    # The heads of pretraining tasks, and a pooler where the texts are pooled otherwise.
    "bert": Family(_bert, names.bert, ("cls.*", "*pooler.dense.*")),
    "roberta": Family(_bert, names.bert, ("lm_head.*", "*pooler.dense.*")),
    "xlm-roberta": Family(_bert, names.bert, ("lm_head.*", "*pooler.dense.*")),
    **{
        kind: Family(
            image_encoders.build,
            image_encoders.entries,
            ("*mask_token", "decoder.*", "embeddings.register_tokens"),
            antialias=kind in image_encoders.ANTIALIASED,
        )
        for kind in image_encoders.TOWERS
    },
}
