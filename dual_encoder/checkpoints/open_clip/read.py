"""Read OpenCLIP checkpoints.

`open_clip_config.json`, `open_clip_model.safetensors` and a tokenizer. Image towers: ViT, CLIP's
residual networks, and those of timm that `timm_towers` knows. Text towers: OpenCLIP's own, and
RoBERTa or XLM-R with a projection of two layers.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dual_encoder.checkpoints.json_schemas import OPEN_CLIP, read_json
from dual_encoder.checkpoints.open_clip import image_towers, text_towers
from dual_encoder.checkpoints.open_clip import weights as open_clip_weights
from dual_encoder.checkpoints.weights.position_embeddings import resized
from dual_encoder.checkpoints.weights.weight_files import open_tensors
from dual_encoder.checkpoints.weights.weight_mapping import fill, put_off
from dual_encoder.model import DualEncoder
from dual_encoder.towers.transformer import quick_gelu
from dual_encoder.variable_names import named_variables

Config = Mapping[str, Any]

CONFIG = "open_clip_config.json"

# Keys that change nothing at inference, with the values that are understood. What else a
# configuration may say would give another model, so it is refused.
# Of 2022, by the names that they have today.
OLD_TEXT_KEYS = {"proj": "hf_proj_type", "pooler_type": "hf_pooler_type"}

MODEL_KEYS = {
    "embed_dim", "vision_cfg", "text_cfg", "quick_gelu", "init_logit_scale", "init_logit_bias",
    "nonscalar_logit_scale", "cast_dtype", "output_dict", "custom_text", "multimodal_cfg",
}  # fmt: skip

PIXEL_KEYS = {"mean", "std", "interpolation", "resize_mode", "size"}

PIXEL_DEFAULTS = {"mode": "RGB", "fill_color": 0}

DEFAULTS = {
    "multimodal_cfg": None, "custom_text": False, "patch_dropout": 0.0, "ls_init_value": None,
    "timm_model_name": None, "act_kwargs": None, "norm_kwargs": None, "pos_embed_type": "learnable",
}  # fmt: skip

IGNORED: tuple[str, ...] = (
    "*.position_ids", "*.num_batches_tracked", "attn_mask", "text.attn_mask", "input_resolution",
    "context_length", "vocab_size", "text_decoder.*",
)  # fmt: skip


def read(folder: Path, *, image_size: int | None = None) -> DualEncoder:
    """The dual encoder of a folder.

    Raises:
        FileNotFoundError: a file of the layout is missing.
        ValueError: another architecture, or weights that do not match the configuration.
    """
    tensors = open_tensors(folder, "open_clip")
    with put_off():
        model = build(folder, image_size=image_size)
        entries = open_clip_weights.entries(model, tensors)
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
    model = unbuilt(folder, image_size=image_size)
    model.build()
    return model


def unbuilt(folder: Path, *, image_size: int | None = None) -> DualEncoder:
    """The same without weights.

    Raises:
        ValueError: the configuration, which it names, is of another architecture.
    """
    document = read_json(folder, CONFIG, OPEN_CLIP)
    config, pixels = document["model_cfg"], document.get("preprocess_cfg", {})
    vision, text = config["vision_cfg"], config["text_cfg"]
    _refuse_unknown(folder, "model_cfg", config, MODEL_KEYS)
    named = "hf_model_name" in text
    if named:
        text = {OLD_TEXT_KEYS.get(key, key): value for key, value in text.items()}
    keys = image_towers.TIMM_KEYS if vision.get("timm_model_name") else image_towers.KEYS
    _refuse_unknown(folder, "vision_cfg", vision, keys)
    _refuse_unknown(folder, "text_cfg", text, text_towers.HF_KEYS if named else text_towers.KEYS)
    _refuse_unknown(folder, "preprocess_cfg", pixels, PIXEL_KEYS, others=PIXEL_DEFAULTS)
    activation = quick_gelu if config.get("quick_gelu") else "gelu"
    embed_dim = config["embed_dim"]
    options = {"activation": activation, **_preprocessing(folder, pixels)}
    try:
        image, image_projection = image_towers.image_tower(
            vision, embed_dim, image_size=image_size, **options
        )
        make_text = text_towers.hf_text if named else text_towers.clip_text
        tower, text_projection, tokenizer = make_text(folder, text, embed_dim, activation)
    except ValueError as error:
        about = "" if str(error).startswith(str(folder)) else f"{folder}: {CONFIG}: "
        raise ValueError(f"{about}{error}") from None
    return DualEncoder(
        image,
        tower,
        embed_dim=embed_dim,
        image_projection=image_projection,
        text_projection=text_projection,
        loss_name="contrastive" if config.get("init_logit_bias") is None else "sigmoid",
        tokenizer=tokenizer,
    )


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
