"""Checkpoints as OpenCLIP publishes them.

`open_clip_config.json`, `open_clip_model.safetensors` and a tokenizer. Image towers: ViT and CLIP's
residual networks. Text towers: CLIP's, and RoBERTa or XLM-R with a projection of two layers.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import keras

from dual_encoder.checkpoints.json_files import read_json
from dual_encoder.checkpoints.open_clip import weights as open_clip_weights
from dual_encoder.checkpoints.position_embeddings import resized
from dual_encoder.checkpoints.tokenizers.read import read_tokenizer
from dual_encoder.checkpoints.weight_files import open_tensors
from dual_encoder.checkpoints.weight_mapping import fill
from dual_encoder.model import DualEncoder
from dual_encoder.towers.bert import Bert
from dual_encoder.towers.modified_resnet import ModifiedResNet
from dual_encoder.towers.text_transformer import TextTransformer
from dual_encoder.towers.transformer import quick_gelu
from dual_encoder.towers.vision_transformer import VisionTransformer
from dual_encoder.variable_names import named_variables

Config = Mapping[str, Any]

CONFIG = "open_clip_config.json"

# Keys that change nothing at inference, and values of others that are understood. What else a
# configuration may say would give another model, so it is refused.
VISION_KEYS = {"image_size", "layers", "width", "patch_size", "head_width", "mlp_ratio"}

TEXT_KEYS = {
    "context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio", "hf_tokenizer_name",
}  # fmt: skip

# Of 2022, by the names that they have today.
OLD_TEXT_KEYS = {"proj": "hf_proj_type", "pooler_type": "hf_pooler_type"}

PIXEL_KEYS = {"mean", "std", "interpolation", "resize_mode", "size"}

PIXEL_DEFAULTS = {"mode": "RGB", "fill_color": 0}

HF_TEXT_KEYS = {
    "context_length", "hf_model_name", "hf_tokenizer_name", "hf_pooler_type", "hf_proj_type",
    "tokenizer_kwargs", "hf_model_pretrained",
}  # fmt: skip

DEFAULTS = {
    "multimodal_cfg": None, "custom_text": False, "patch_dropout": 0.0, "attentional_pool": False,
    "pool_type": "tok", "final_ln_after_pool": False, "no_ln_pre": False, "ls_init_value": None,
    "timm_model_name": None, "act_kwargs": None, "norm_kwargs": None, "pos_embed_type": "learnable",
    "embed_cls": False, "no_causal_mask": False, "proj_type": "linear", "proj_bias": False,
    "eos_id": 2, "pad_id": 0, "output_tokens": False,
}  # fmt: skip

# Published sizes of the text models that OpenCLIP names instead of describing.
HF_TEXT: Mapping[str, Config] = {
    "roberta-base": dict(vocabulary_size=50_265, width=768, depth=12, heads=12, segments=1),
    "xlm-roberta-base": dict(vocabulary_size=250_002, width=768, depth=12, heads=12, segments=1),
    "xlm-roberta-large": dict(vocabulary_size=250_002, width=1024, depth=24, heads=16, segments=1),
}

ROBERTA_POSITIONS, ROBERTA_PAD = 514, 1

IGNORED = (
    "*.position_ids", "*.num_batches_tracked", "attn_mask", "text.attn_mask", "input_resolution",
    "context_length", "vocab_size",
)  # fmt: skip


def read(folder: Path, *, image_size: int | None = None) -> DualEncoder:
    """The dual encoder of a folder.

    Raises:
        FileNotFoundError: a file of the layout is missing.
        ValueError: another architecture, or weights that do not match the configuration.
    """
    tensors = open_tensors(folder, "open_clip")
    with keras.StatelessScope():  # its end is when the variables get their first values
        model = build(folder, image_size=image_size)
        entries = open_clip_weights.entries(model)
        changed = resized(model, antialias=True)
        fill(
            named_variables(model),
            entries,
            tensors,
            source=str(folder),
            ignored=IGNORED,
            changed=changed,
        )
    return model


def build(folder: Path, *, image_size: int | None = None) -> DualEncoder:
    """The model of a folder's configuration, with the weights that it was initialised with."""
    document = read_json(folder, CONFIG)
    config, pixels = document["model_cfg"], document.get("preprocess_cfg", {})
    vision, text = config["vision_cfg"], config["text_cfg"]
    custom_text = "hf_model_name" in text
    if custom_text:
        text = {OLD_TEXT_KEYS.get(key, key): value for key, value in text.items()}
    _refuse_unknown(folder, "vision_cfg", vision, VISION_KEYS)
    _refuse_unknown(folder, "text_cfg", text, HF_TEXT_KEYS if custom_text else TEXT_KEYS)
    _refuse_unknown(folder, "preprocess_cfg", pixels, PIXEL_KEYS, others=PIXEL_DEFAULTS)
    activation = quick_gelu if config.get("quick_gelu") else "gelu"
    embed_dim = config["embed_dim"]

    options = {"activation": activation, **_preprocessing(folder, pixels)}
    image = _image_tower(vision, embed_dim, image_size=image_size, **options)
    make_text = _hf_text if custom_text else _clip_text
    tower, projection, tokenizer = make_text(folder, text, embed_dim, activation)
    is_resnet = isinstance(image, ModifiedResNet)
    model = DualEncoder(
        image,
        tower,
        embed_dim=embed_dim,
        image_projection=keras.layers.Identity(name="image_projection") if is_resnet else None,
        text_projection=projection,
        tokenizer=tokenizer,
    )
    model.build()
    return model


def _image_tower(
    vision: Config, embed_dim: int, *, image_size: int | None, activation: Any, **pixels: Any
) -> keras.layers.Layer:
    size, width, layers = image_size or vision["image_size"], vision["width"], vision["layers"]
    if isinstance(layers, list):
        return ModifiedResNet(
            size,
            depths=layers,
            width=width,
            heads=width * 32 // vision.get("head_width", 64),
            output_dim=embed_dim,
            **pixels,
            name="image_tower",
        )
    return VisionTransformer(
        size,
        vision["patch_size"],
        width=width,
        depth=layers,
        heads=width // vision.get("head_width", 64),
        mlp_ratio=vision.get("mlp_ratio", 4),
        activation=activation,
        pre_norm=True,
        **pixels,
        name="image_tower",
    )


def _clip_text(folder: Path, text: Config, embed_dim: int, activation: Any) -> tuple:
    context, vocabulary = text.get("context_length", 77), text.get("vocab_size", 49_408)
    # A tokenizer with a name is that of `transformers`, here in the same repository.
    cleaning = "whitespace" if "hf_tokenizer_name" in text else "openai"
    tokenizer = read_tokenizer(folder, context_length=context, cleaning=cleaning)
    tower = TextTransformer(
        vocabulary,
        context,
        end_id=tokenizer.end_id,
        width=text["width"],
        depth=text["layers"],
        heads=text["heads"],
        mlp_ratio=text.get("mlp_ratio", 4),
        activation=activation,
        name="text_tower",
    )
    return tower, None, tokenizer


def _hf_text(folder: Path, text: Config, embed_dim: int, activation: Any) -> tuple:
    name = text["hf_model_name"].rpartition("/")[2]
    if name not in HF_TEXT:
        raise ValueError(
            f"{folder}: expected hf_model_name {', '.join(HF_TEXT)} in {CONFIG}; got {name!r}"
        )
    for key, expected in (("hf_pooler_type", "mean_pooler"), ("hf_proj_type", "mlp")):
        if text.get(key, expected) != expected:
            raise ValueError(
                f"{folder}: expected {key} {expected!r} in {CONFIG}; got {text[key]!r}"
            )
    context = text.get("context_length", 77)
    tower = Bert(
        context_length=context,
        pad_id=ROBERTA_PAD,
        positions=ROBERTA_POSITIONS,
        first_position=ROBERTA_PAD + 1,
        pooling="mean",
        epsilon=1e-5,
        **HF_TEXT[name],
        name="text_tower",
    )
    dense = partial(keras.layers.Dense, use_bias=False)
    projection = keras.Sequential(
        [
            keras.Input((tower.width,)),
            dense((tower.width + embed_dim) // 2, activation="gelu", name="hidden"),
            dense(embed_dim, name="output"),
        ],
        name="text_projection",
    )
    return tower, projection, read_tokenizer(folder, context_length=context, cleaning="whitespace")


def _preprocessing(folder: Path, config: Config) -> dict[str, Any]:
    resize = {"shortest": "crop", "squash": "squash"}
    mode = config.get("resize_mode", "shortest")
    if mode not in resize:
        raise ValueError(
            f"{folder}: expected resize_mode {', '.join(resize)} in {CONFIG}; got {mode!r}"
        )
    for key in ("mean", "std"):
        if key not in config:
            raise ValueError(f"{folder}: expected preprocess_cfg with {key!r} in {CONFIG}")
    return {
        "mean": config["mean"],
        "std": config["std"],
        "resize": resize[mode],
        "interpolation": config.get("interpolation", "bicubic"),
    }


def _refuse_unknown(
    folder: Path, part: str, config: Config, known: set[str], *, others: Config = DEFAULTS
) -> None:
    for key, value in config.items():
        if key not in known and (key not in others or value != others[key]):
            raise ValueError(f"{folder}: {CONFIG} says {part}.{key} = {value!r}, which is unknown")
