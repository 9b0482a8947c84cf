"""Image preprocessing that a checkpoint expects: size, crop and filter."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

RESIZES = ("crop", "squash")

INTERPOLATIONS = ("bicubic", "bilinear")


@dataclass(frozen=True)
class Preprocessing:
    """How to convert an image of any size to a square. The defaults are CLIP's.

    Mean and standard deviation are not included: models normalise pixels themselves.

    Args:
        image_size: side of the square in pixels.
        resize: "crop" resizes the shorter side, keeping the aspect ratio (the longer side is
            rounded down), and crops the central square; "squash" keeps the whole image but not
            its aspect ratio (SigLIP, Google's ViT).
        interpolation: "bicubic" or "bilinear", both antialiased as in Pillow.
        crop_fraction: the image is resized to `image_size / crop_fraction`, rounded down,
            before the central square of `image_size` is cropped.

    Raises:
        ValueError: a value is invalid.
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
        """Pixels the shorter side is resized to, or both sides if squashed."""
        return int(self.image_size / self.crop_fraction)


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, choices))}; got {value!r}")
