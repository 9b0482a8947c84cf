"""What image encoders of `transformers` are shown: a closed list of the settings they publish.

Theirs are not always made for the size that the weights were trained on, and some cut a margin off.
"""

from pathlib import Path
from typing import Any

from dual_encoder.checkpoints.json_files import read_json

FILE = "preprocessor_config.json"

FILTERS = {2: "bilinear", 3: "bicubic"}  # Pillow's numbers

# Keys that say nothing about pixels.
NAMES = {
    "image_processor_type", "feature_extractor_type", "processor_class", "data_format",
    "do_convert_rgb", "_valid_processor_keys", "default_to_square", "input_data_format",
    "return_tensors", "device", "disable_grouping", "do_pad", "pad_size", "image_seq_length",
}  # fmt: skip

# With the only values that are honoured.
FIXED = {"do_resize": True, "do_rescale": True, "do_normalize": True, "rescale_factor": 1 / 255}

KEYS = {"size", "crop_size", "do_center_crop", "resample", "image_mean", "image_std", "crop_pct"}

# What `transformers` takes where `resample` is left out, by `model_type`: 2 if not here.
RESAMPLE = {"dinov2": 3, "dinov2_with_registers": 3, "deit": 3}

# From so many pixels on, ConvNeXt's images are only squashed.
NO_MARGIN = 384


def pixels(folder: Path, *, kind: str) -> tuple[int, dict[str, Any]]:
    """The size of images in pixels, and the rest of what `dual_encoder.ImageTower` takes.

    Raises:
        FileNotFoundError: no preprocessor_config.json.
        ValueError: a setting that is unknown or cannot be honoured.
    """
    config = {key: value for key, value in read_json(folder, FILE).items() if value is not None}
    for key, value in config.items():
        if key in FIXED and value != FIXED[key] and abs(value - FIXED[key]) > 1e-6:
            raise ValueError(f"{folder}: expected {key} {FIXED[key]} in {FILE}; got {value!r}")
        if key not in (NAMES | KEYS | set(FIXED)):
            raise ValueError(f"{folder}: {FILE} says {key} = {value!r}, which is unknown")
    for key in ("image_mean", "image_std", "size"):
        if key not in config:
            raise ValueError(f"{folder}: expected {key} in {FILE}")
    resample = config.get("resample", RESAMPLE.get(kind, 2))
    if resample not in FILTERS:
        raise ValueError(f"{folder}: expected resample 2 or 3 in {FILE}; got {resample!r}")
    size, resize, fraction = _sides(folder, config, kind=kind)
    return size, {
        "mean": tuple(config["image_mean"]),
        "std": tuple(config["image_std"]),
        "resize": resize,
        "interpolation": FILTERS[resample],
        "crop_fraction": fraction,
    }


def _sides(folder: Path, config: dict[str, Any], *, kind: str) -> tuple[int, str, float]:
    """Size of the result, how images are resized, and the share of a side that is cut out."""
    size = config["size"]
    size = {"height": size, "width": size} if isinstance(size, int) else size
    resize = "crop" if "shortest_edge" in size else "squash"
    side = _square(folder, "size", size)
    if kind.startswith("convnext"):
        if resize == "squash" or side >= NO_MARGIN:
            return side, "squash", 1.0
        return side, "crop", config.get("crop_pct", 224 / 256)
    if not config.get("do_center_crop", "crop_size" in config):
        if resize == "crop":
            raise ValueError(f"{folder}: expected do_center_crop true in {FILE} with {size}")
        return side, resize, 1.0
    crop = config.get("crop_size", side)
    crop = _square(folder, "crop_size", {"height": crop} if isinstance(crop, int) else crop)
    if crop > side:
        raise ValueError(f"{folder}: expected a crop_size up to {side} in {FILE}; got {crop}")
    return crop, resize, crop / side


def _square(folder: Path, key: str, size: Any) -> int:
    sides = set(size.values()) if isinstance(size, dict) else set()
    if len(sides) != 1 or not all(isinstance(side, int) for side in sides):
        raise ValueError(f"{folder}: expected {key} of squares in {FILE}; got {size!r}")
    return sides.pop()
