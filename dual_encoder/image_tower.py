"""What every image tower has: a picture size, how pictures reach it, and pixel statistics."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

RESIZE = ("crop", "squash")
INTERPOLATION = ("bicubic", "bilinear")


class ImageTower(keras.layers.Layer):
    """Base of image towers: pixels 0-255 [b, s, s, 3] -> features [b, d].

    A subclass sets `output_dim`, d, and calls `normalize` first.

    Args:
        image_size: height and width s in pixels.
        mean, std: per channel, of pixels in 0-1.
        resize: how pictures become squares: `"crop"` (shorter side to s, centre cut out) or
            `"squash"` (both sides to s).
        interpolation: `"bicubic"` or `"bilinear"`, antialiased, as Pillow's.

    Raises:
        ValueError: an unknown `resize` or `interpolation`.
    """

    output_dim: int

    def __init__(
        self,
        image_size: int,
        *,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
        resize: str = "crop",
        interpolation: str = "bicubic",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        for name, value, choices in (
            ("resize", resize, RESIZE),
            ("interpolation", interpolation, INTERPOLATION),
        ):
            if value not in choices:
                raise ValueError(f"{name}: expected one of {', '.join(choices)}; got {value!r}")
        self.image_size, self.mean, self.std = image_size, tuple(mean), tuple(std)
        self.resize, self.interpolation = resize, interpolation

    @property
    def preprocessing(self) -> dict[str, Any]:
        """What `tfrecords.load` and `tfrecords.read_picture` have to know about pictures."""
        names = ("image_size", "resize", "interpolation")
        return {name: getattr(self, name) for name in names}

    def normalize(self, image):
        """Pixels 0-255 to mean 0 and deviation 1, as the statistics have it, in float32 first."""
        mean, std = np.array(self.mean, "float32") * 255, np.array(self.std, "float32") * 255
        return ops.cast((ops.cast(image, "float32") - mean) / std, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.output_dim)

    def get_config(self):
        names = ("image_size", "mean", "std", "resize", "interpolation")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
