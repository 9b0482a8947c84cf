"""Use any image backbone of KerasHub as an image tower, by preset name or folder."""

import importlib.util
from pathlib import Path
from typing import Any

from dual_encoder.checkpoints import CHECKPOINTS
from dual_encoder.checkpoints.json_schemas import KERAS_HUB, read_json
from dual_encoder.checkpoints.keras_hub.image_encoders import statistics
from dual_encoder.checkpoints.keras_hub.read import FAMILIES, is_preset
from dual_encoder.towers.base import INTERPOLATION
from dual_encoder.towers.keras_applications_table import APPLICATIONS
from dual_encoder.towers.wrapped_models import KerasImageTower, channels_last
from duet import exception_summary

SHIFT = ("scale", "offset")


def is_hub_preset(name: str | Path) -> bool:
    """Whether `hub_image_tower` takes it: a preset of KerasHub that `load` has no reader for."""
    path = Path(name)
    if path.is_dir() and is_preset(path):
        kind = read_json(path, "config.json", KERAS_HUB)["class_name"]
        return kind.endswith("Backbone") and kind not in FAMILIES
    known = name in CHECKPOINTS or name in APPLICATIONS or "-" in str(name) or "/" in str(name)
    if known or path.exists() or importlib.util.find_spec("keras_hub") is None:
        return False
    if "_" not in str(name):  # as all names of presets have it; spares the import of others
        return False
    import keras_hub

    return name in keras_hub.models.Backbone.presets


def hub_image_tower(name: str | Path, *, image_size: int | None = None) -> KerasImageTower:
    """The backbone of a preset with its weights, and with the pixels that its own converter makes.

    Args:
        name: of a preset, such as `"resnet_18_imagenet"`, or a folder.
        image_size: pixels; without it those of the converter or the backbone.

    Raises:
        ValueError: the preset cannot be read or fetched, or is none of images.
    """
    import keras_hub

    try:
        converter = _converter(name)
        size = image_size or _size(converter)
        options = {"image_shape": (size, size, 3)} if size else {}
        with channels_last():
            backbone = keras_hub.models.Backbone.from_preset(str(name), **options)
    except Exception as error:  # of Keras, h5py, the Kaggle hub, HTTP: nothing in common
        reason = exception_summary.first_line(error)
        raise ValueError(f"{name}: not a readable image preset of KerasHub ({reason})") from error
    return KerasImageTower(backbone, **_statistics(converter), name="image_tower")


def _converter(name: str | Path) -> Any:
    """The preset's converter of images, or None where it has none."""
    import keras_hub

    try:
        return keras_hub.layers.ImageConverter.from_preset(str(name))
    except ValueError:  # no converter in the preset
        return None


def _size(converter: Any) -> int | None:
    size = getattr(converter, "image_size", None)
    return size if size is None or isinstance(size, int) else size[0]


def _statistics(converter: Any) -> dict[str, Any]:
    """What the converter does to pixels, as arguments of an image tower."""
    found: dict[str, Any] = {**statistics(*(getattr(converter, n, None) for n in SHIFT))}
    if converter is None:
        return found
    resize = "crop" if converter.crop_to_aspect_ratio else "squash"
    chosen = converter.interpolation if converter.interpolation in INTERPOLATION else "bilinear"
    return {**found, "resize": resize, "interpolation": chosen}
