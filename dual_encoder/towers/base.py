"""Base classes of image and text towers."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import keras
import numpy as np
from keras import ops

from dual_encoder import image_inputs

RESIZE = ("crop", "squash")

INTERPOLATION = ("bicubic", "bilinear")


class ImageTower(keras.layers.Layer):
    """Base of image towers: pixels 0-255 [b, s, s, 3] -> features [b, d].

    A subclass sets `output_dim`, d, and calls `normalize` first.

    Args:
        image_size: height and width s in pixels.
        mean, std: per channel, of pixels in 0-1.
        resize: how images become squares: `"crop"` (shorter side to s, centre crop) or
            `"squash"` (both sides to s).
        interpolation: `"bicubic"` or `"bilinear"`, antialiased, as in Pillow.
        crop_fraction: the share of each side of the resized image that is kept; see
            `tfrecords.Preprocessing`.

    Raises:
        ValueError: an impossible size, `mean` or `std`; an unknown `resize` or `interpolation`, or
            another `crop_fraction` than above 0 and at most 1; when called, images of another size.
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
        crop_fraction: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if not isinstance(image_size, Integral) or image_size < 1:
            raise ValueError(
                f"image_size: expected a whole number of at least 1; got {image_size!r}"
            )
        for name, numbers in (("mean", mean), ("std", std)):
            least = 0 if name == "std" else -np.inf
            if np.shape(numbers) != (3,) or not np.all(np.asarray(numbers) > least):
                expected = "three numbers" + (" above 0" if name == "std" else "")
                raise ValueError(f"{name}: expected {expected}, of the channels; got {numbers!r}")
        for name, value, choices in (
            ("resize", resize, RESIZE),
            ("interpolation", interpolation, INTERPOLATION),
        ):
            if value not in choices:
                raise ValueError(f"{name}: expected one of {', '.join(choices)}; got {value!r}")
        if not (isinstance(crop_fraction, int | float) and 0 < crop_fraction <= 1):
            raise ValueError(
                f"crop_fraction: expected a number above 0, at most 1; got {crop_fraction!r}"
            )
        self.image_size: int = int(image_size)
        self.mean, self.std = tuple(mean), tuple(std)
        self.resize, self.interpolation = resize, interpolation
        self.crop_fraction: float = crop_fraction
        self.input_spec = keras.layers.InputSpec(shape=(None, image_size, image_size, 3))

    def __call__(self, image, *args, **kwargs):
        check_size(image, self.image_size)
        return super().__call__(image, *args, **kwargs)

    @property
    def preprocessing(self) -> dict[str, Any]:
        """Image preprocessing, as arguments of `tfrecords.load` and `tfrecords.read_image`."""
        names = ("image_size", "resize", "interpolation")
        found = {name: getattr(self, name) for name in names}
        return found | ({"crop_fraction": self.crop_fraction} if self.crop_fraction < 1 else {})

    def normalize(self, image):
        """Normalises pixels 0-255 with mean and standard deviation, in float32."""
        mean, std = np.array(self.mean, "float32") * 255, np.array(self.std, "float32") * 255
        return ops.cast((ops.cast(image, "float32") - mean) / std, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.output_dim)

    def get_config(self):
        names = ("image_size", "mean", "std", "resize", "interpolation", "crop_fraction")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class TakesImages:
    """Mixin for models with an `image_tower`, which accept its images."""

    image_tower: ImageTower

    @property
    def image_size(self) -> int:
        """Height and width in pixels."""
        return self.image_tower.image_size

    @property
    def preprocessing(self) -> dict[str, Any]:
        """Image preprocessing, as arguments of `tfrecords.load`."""
        # The size is all that a tower of one's own has to say.
        return {"image_size": self.image_size, **getattr(self.image_tower, "preprocessing", {})}

    def as_pixels(self, images: Any) -> Any:
        """Converts paths, PIL images and arrays to pixels [b, s, s, 3]; keeps batches as is."""
        return image_inputs.as_pixels(images, **self.preprocessing)


def check_size(images: Any, size: int) -> None:
    """Raises a one-line ValueError unless images are [b, size, size, 3]."""
    if getattr(getattr(images, "shape", None), "rank", 0) is None:
        raise ValueError(
            f"images: expected pixels [b, {size}, {size}, 3], the model's image_size; got a tensor "
            "of unknown shape: give from_generator an output_signature, or use tf.ensure_shape"
        )
    shape = tuple(getattr(images, "shape", ()))
    pairs = zip(shape[1:], (size, size, 3), strict=False)
    if len(shape) != 4 or any(n not in (None, wanted) for n, wanted in pairs):
        raise ValueError(
            f"images: expected pixels [b, {size}, {size}, 3], the model's image_size; got "
            f"{list(shape)}; read or resize them at {size} x {size}"
        )


def image_in(inputs: Any) -> Any:
    """Returns the images of a model of images alone; ValueError for other inputs."""
    if isinstance(inputs, dict) and "image" in inputs:
        return inputs["image"]
    if isinstance(inputs, dict | list | tuple):
        keys = f"keys {sorted(inputs)}" if isinstance(inputs, dict) else None
        raise ValueError(
            'inputs: expected one array of images, or a dict with "image"; got '
            f"{keys or f'a {type(inputs).__name__} of {len(inputs)}'}"
        )
    return inputs


class TextTower(keras.layers.Layer):
    """Base of text towers: token ids [b, n], n up to `context_length`, -> features [b, d].

    A subclass defines `token_embedding` [ids, width] and `encode`. Prompt learning replaces the
    embeddings between the two.

    Attributes:
        context_length: maximum number of tokens per text.
        output_dim: d.
        trims_exactly: whether padding behind the longest text can be cut without any effect.
    """

    context_length: int
    output_dim: int
    token_embedding: keras.Variable

    def call(self, token_ids, training=None):
        n = token_ids.shape[1]
        if n is not None and n > self.context_length:
            raise ValueError(
                f"token_ids: expected at most {self.context_length} tokens per text; got {n}"
            )
        if keras.backend.standardize_dtype(token_ids.dtype) not in ("int32", "int64"):
            token_ids = ops.cast(token_ids, "int32")  # as `keras.layers.Embedding` does
        return self.encode(self.embed(token_ids), token_ids, training=training)

    def embed(self, token_ids):
        """Maps token ids [b, n] to embeddings [b, n, width], without positions."""
        return ops.take(self.token_embedding, token_ids, axis=0)

    def encode(self, embeddings, token_ids, training=None):
        """Maps embeddings [b, n, width] to features [b, d]; `token_ids` [b, n] mark padding."""
        raise NotImplementedError

    def encode_alike(self, shared, rest, token_ids, training=None):
        """Returns the features [g, c, d] of texts with a common beginning, equal to `encode`'s.

        A causal tower computes the common beginning only once.

        Args:
            shared: embeddings [g, p, width] of the first tokens of all c texts, g times.
            rest: embeddings [g, c, m, width], or [1, c, m, width], of the others.
            token_ids: array [c, p + m].
        """
        g, (p, width) = ops.shape(shared)[0], shared.shape[1:]
        c, m = rest.shape[1:3]
        shared = ops.broadcast_to(shared[:, None], (g, c, p, width))
        rest = ops.broadcast_to(rest, (g, c, m, width))
        embeddings = ops.reshape(ops.concatenate([shared, rest], axis=2), (-1, p + m, width))
        ids = ops.broadcast_to(ops.convert_to_tensor(token_ids)[None], (g, c, p + m))
        features = self.encode(embeddings, ops.reshape(ids, (-1, p + m)), training=training)
        return ops.reshape(features, (-1, c, self.output_dim))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.output_dim)
