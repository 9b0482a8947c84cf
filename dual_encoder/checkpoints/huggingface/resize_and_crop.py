"""How a `transformers` checkpoint makes squares of images: sizes, crops and margins."""

import math
from typing import Any

Config = dict[str, Any]

# From so many pixels on, ConvNeXt's images are squashed; smaller ones lose a margin.
NO_MARGIN = 384


def resized(where: str, config: Config, image_size: int | None) -> tuple[int, Config]:
    """The side of the squares in pixels, and what `dual_encoder.ImageTower` takes of how.

    Args:
        where: names the file in errors.
        config: of the file, with the values of what it leaves out.
        image_size: that the model takes; None for any.

    Raises:
        ValueError: settings that do not make squares of any image, or of another size.
    """
    make = _resize_of_convnext if "crop_pct" in config else _resize
    return make(where, config, image_size)


def _resize(where: str, config: Config, image_size: int | None) -> tuple[int, Config]:
    """If these settings make such squares of any image."""
    size: Any = config["size"] or image_size
    crops = config.get("do_center_crop")
    if isinstance(size, int):  # old files; those that crop mean the shorter side
        shorter = crops and not config["default_to_square"]
        size = {"shortest_edge": size} if shorter else {"height": size, "width": size}
    sides, keeps_shape = _sides(where, "size", size), "shortest_edge" in size
    if keeps_shape and not crops:
        raise ValueError(
            f"{where}: expected do_center_crop true, or a size of height and width; got {size}"
        )
    side = max(sides)
    if crops:
        crop = config["crop_size"] or image_size or side
        crop = {"height": crop, "width": crop} if isinstance(crop, int) else crop
        cut = _sides(where, "crop_size", crop)
        if cut != {image_size or max(cut)}:
            taken = image_size or "squares"
            raise ValueError(f"{where} cuts out {_shown(crop)} pixels; the model takes {taken}")
        image_size = max(cut)
    expected = image_size or side
    if len(sides) > 1 or side < expected or (side > expected and not crops):
        raise ValueError(
            f"{where} makes images of {_shown(size)} pixels; the model takes {expected}"
        )
    return expected, {"resize": "crop" if keeps_shape else "squash"} | _margin(expected, side)


def _margin(size: int, side: int) -> Config:
    """What is cut out of a resized image, as a share that leads back to its side."""
    fraction = size / side
    while int(size / fraction) < side:
        fraction = math.nextafter(fraction, 0)
    return {"crop_fraction": fraction} if side > size else {}


def _resize_of_convnext(where: str, config: Config, image_size: int | None) -> tuple[int, Config]:
    """ConvNeXt's size is that of the result, and its file says which share of a side that is."""
    size, fraction = config["size"], number(where, config, "crop_pct")
    size = {"shortest_edge": size} if isinstance(size, int) else size
    side = max(_sides(where, "size", size))
    if "shortest_edge" not in size:
        raise ValueError(f"{where}: expected size with shortest_edge; got {size}")
    if side != (image_size or side):
        raise ValueError(f"{where} makes images of {side} pixels; the model takes {image_size}")
    if not 0 < fraction <= 1:
        raise ValueError(f"{where}: expected crop_pct above 0, at most 1; got {fraction}")
    if side >= NO_MARGIN:
        return side, {"resize": "squash"}
    return side, {"resize": "crop"} | ({"crop_fraction": fraction} if fraction < 1 else {})


def _sides(where: str, key: str, size: Any) -> set[int]:
    """The lengths of a size, which has to be one that makes squares."""
    known = isinstance(size, dict) and set(size) in ({"shortest_edge"}, {"height", "width"})
    if not known or not all(isinstance(side, int) for side in size.values()):
        raise ValueError(
            f"{where}: expected {key} with height and width, or with shortest_edge; got {size!r}"
        )
    return set(size.values())


def _shown(size: dict[str, int]) -> str:
    return " x ".join(map(str, size.values()))


def number(where: str, config: Config, key: str) -> float:
    """The number of a key; ValueError where it holds something else."""
    if not is_number(config[key]):
        raise ValueError(f"{where}: expected a number for {key}; got {config[key]!r}")
    return config[key]


def is_number(value: Any) -> bool:
    """Whether it is a number, which true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)
