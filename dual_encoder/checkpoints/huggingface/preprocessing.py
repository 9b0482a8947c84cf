"""Read image preprocessing from a `transformers` checkpoint: a closed list of keys.

A key that changes what a model sees is honoured or refused by its name; so is an unknown key,
since its effect is unknown.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dual_encoder.checkpoints.catalog_entry import HALF, OPENAI_MEAN, OPENAI_STD
from dual_encoder.checkpoints.huggingface.resize_and_crop import is_number, number, resized
from dual_encoder.checkpoints.json_schemas import read_json
from dual_encoder.checkpoints.weights.weight_files import PROCESSORS
from duet import json_validation

Config = dict[str, Any]

# What the image processors of `transformers` take for keys that are left out.
CLIP: Config = dict(resample=3, do_center_crop=True, image_mean=OPENAI_MEAN, image_std=OPENAI_STD)

VIT: Config = dict(resample=2, image_mean=HALF, image_std=HALF, default_to_square=True)

SIGLIP = VIT | dict(resample=3)

BIT = CLIP | dict(size={"shortest_edge": 224}, crop_size=224)

DEIT = SIGLIP | dict(size=256, crop_size=224, do_center_crop=True)

DINOV3 = VIT | dict(size=224, image_mean=(0.485, 0.456, 0.406), image_std=(0.229, 0.224, 0.225))

CONVNEXT = SIGLIP | dict(size=384, crop_pct=224 / 256)

# By their names, which count before the `model_type`.
PROCESSOR_DEFAULTS: Mapping[str, Config] = {
    "Bit": BIT,
    "CLIP": CLIP,
    "ChineseCLIP": CLIP,
    "ConvNext": CONVNEXT,
    "DINOv3ViT": DINOV3,
    "DeiT": DEIT,
    "Siglip": SIGLIP,
    "ViT": VIT,
}

PROCESSOR = re.compile(r"(\w+?)(?:ImageProcessor(?:Fast|Pil)?|FeatureExtractor)")

DEFAULTS: Mapping[str, Config] = {
    "clip": CLIP,
    "clip_vision_model": CLIP | dict(size={"shortest_edge": 224}, crop_size=224),
    "convnext": CONVNEXT,
    "convnextv2": CONVNEXT,
    "deit": DEIT,
    "dinov2": BIT,
    "dinov2_with_registers": BIT,
    "dinov3_vit": DINOV3,
    "siglip": SIGLIP,
    "siglip_vision_model": SIGLIP | dict(size=224),
    "swin": VIT | dict(size=224),
    "vit": VIT,
    "vit_mae": VIT | dict(size=224),
}

ALWAYS: Config = dict(
    do_resize=True, do_rescale=True, rescale_factor=1 / 255, do_normalize=True, size=None,
    crop_size=None, default_to_square=False,
)  # fmt: skip

FILTERS = {2: "bilinear", 3: "bicubic"}  # Pillow's numbers

# Keys that change no pixel with these values, or with any.
NAMES = {
    "image_processor_type", "feature_extractor_type", "processor_class", "data_format",
    "do_convert_rgb", "image_seq_length", "num_channels",
    "_valid_processor_keys", "_processor_class", "transformers_version",
}  # fmt: skip

WITHOUT_EFFECT = {
    **dict.fromkeys(
        ("do_pad", "do_flip_channel_order", "do_reduce_labels", "do_thumbnail", "do_align_axis"),
        (None, False),
    ),
    **dict.fromkeys(
        ("input_data_format", "return_tensors", "device", "disable_grouping", "pad_size"), (None,)
    ),
    "rescale_offset": (None, False),
    "offset": (None, False),
}


def pixels(folder: Path, image_size: int, *, kind: str) -> dict[str, Any]:
    """What `dual_encoder.ImageTower` takes beside the size: `sized_pixels` of a model of that size.

    Args:
        folder: has preprocessor_config.json, or processor_config.json as `transformers` 5 writes.
        image_size: height and width that the model takes.
        kind: the `model_type` of the configuration.

    Raises:
        FileNotFoundError: neither file.
        ValueError: an unknown key, or a value that cannot be honoured; names both.
    """
    return sized_pixels(folder, image_size, kind=kind)[1]


def sized_pixels(
    folder: Path, image_size: int | None = None, *, kind: str
) -> tuple[int, dict[str, Any]]:
    """The side of images in pixels, and mean, deviation, resizing, filter and margin.

    Without an `image_size` the side is the file's, which need not be the one that the weights were
    trained on. The rest is as in `pixels`.
    """
    name, given = _read(folder)
    where = f"{folder}: {name}"
    usual = _defaults(where, given, kind=kind)
    _refuse_unknown(where, given, known=usual)
    given = {key: value for key, value in given.items() if value is not None}
    config = ALWAYS | usual | given
    if not config["do_resize"]:
        raise ValueError(f"{where}: expected do_resize true; got {given['do_resize']!r}")
    if config["resample"] not in list(FILTERS):
        raise ValueError(f"{where}: expected resample 2 or 3; got {config['resample']!r}")
    size, resize = resized(where, config, image_size)
    statistics = _statistics(where, config)
    return size, {**statistics, **resize, "interpolation": FILTERS[config["resample"]]}


def _read(folder: Path) -> tuple[str, Config]:
    """The name of the file that counts and what it says: of both, as `transformers`, the newer."""
    newer = PROCESSORS[1]
    if (folder / newer).is_file():
        found = read_json(folder, newer).get("image_processor")
        if isinstance(found, dict):
            return newer, found
    return PROCESSORS[0], read_json(folder, PROCESSORS[0])


def _defaults(where: str, given: Config, *, kind: str) -> Config:
    """Of the processor that the file names, else of the model's kind."""
    name = given.get("image_processor_type") or given.get("feature_extractor_type")
    if name is None:
        return DEFAULTS[kind]
    found = PROCESSOR.fullmatch(str(name))
    if found is None or found[1] not in PROCESSOR_DEFAULTS:
        raise ValueError(
            f"{where}: expected an image_processor_type of {', '.join(PROCESSOR_DEFAULTS)}; "
            f"got {json_validation.shown(name)}"
        )
    same = PROCESSOR_DEFAULTS[found[1]]
    return DEFAULTS[kind] if same.items() <= DEFAULTS[kind].items() else same


def _refuse_unknown(where: str, given: Config, *, known: Config) -> None:
    for key, value in given.items():
        if key in NAMES or key in ALWAYS or key in CLIP or key in known:
            continue
        if key not in WITHOUT_EFFECT:
            raise ValueError(f"{where} says {key} = {value!r}, which is unknown")
        if value not in WITHOUT_EFFECT[key]:
            expected = " or ".join(
                "null" if each is None else "false" for each in WITHOUT_EFFECT[key]
            )
            raise ValueError(f"{where}: expected {key} {expected}; got {value!r}")


def _statistics(where: str, config: Config) -> dict[str, tuple[float, ...]]:
    """Of pixels in 0-1: (factor x - mean) / std of pixels x in 0-255 in these terms."""
    factor = 255.0 * (number(where, config, "rescale_factor") if config["do_rescale"] else 1.0)
    if abs(factor - 1) < 1e-6:
        factor = 1.0
    mean: tuple[float, ...] = (0.0,) * 3
    std: tuple[float, ...] = (1.0,) * 3
    if config["do_normalize"]:
        mean, std = _three(where, config, "image_mean"), _three(where, config, "image_std")
    if factor <= 0 or min(std) <= 0:
        raise ValueError(f"{where}: expected rescale_factor and image_std above 0; got {std}")
    if factor == 1:
        return {"mean": mean, "std": std}
    return {
        "mean": tuple(value / factor for value in mean),
        "std": tuple(value / factor for value in std),
    }


def _three(where: str, config: Config, key: str) -> tuple[float, ...]:
    """A number for each channel; one alone is for all."""
    value = config[key]
    values = tuple(value) if isinstance(value, list | tuple) else (value,) * 3
    if len(values) != 3 or not all(is_number(each) for each in values):
        raise ValueError(f"{where}: expected {key} with 3 numbers; got {value!r}")
    return values
