"""How a checkpoint wants its images before it normalises them: size, shape and filter."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

RESIZES = ("crop", "squash")

INTERPOLATIONS = ("bicubic", "bilinear")


@dataclass(frozen=True)
class Preprocessing:
    """From an image of any size to a square one. The defaults are CLIP's.

    Means and deviations of the pixels are not here: models normalise themselves.

    Args:
        image_size: side of the square in pixels.
        resize: "crop" resizes the shorter side, keeps the aspect (the longer side is rounded
            down) and cuts out the central square; "squash" gives up the aspect and keeps the
            whole image (SigLIP, Google's ViT).
        interpolation: "bicubic" or "bilinear", both antialiased as in Pillow.
        crop_fraction: the image is resized to `image_size / crop_fraction`, rounded down,
            before the central square of `image_size` is cut out.

    Raises:
        ValueError: a value is none of these.
    """

    image_size: int = 224
    resize: str = "crop"
    interpolation: str = "bicubic"
    crop_fraction: float = 1.0

    def __post_init__(self):
        if not isinstance(self.image_size, Integral) or self.image_size < 1:
            raise ValueError(
                f"image_size: expected a whole number of at least 1; got {self.image_size!r}"
            )
        _check_choice("resize", self.resize, RESIZES)
        _check_choice("interpolation", self.interpolation, INTERPOLATIONS)
        if not 0 < self.crop_fraction <= 1:
            raise ValueError(
                f"crop_fraction: expected more than 0, at most 1; got {self.crop_fraction}"
            )

    @property
    def resized_side(self) -> int:
        """What the shorter side is resized to, or both sides if squashed."""
        return int(self.image_size / self.crop_fraction)


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, choices))}; got {value!r}")
