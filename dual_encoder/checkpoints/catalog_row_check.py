"""Compare a loaded model with its row in the table of checkpoints."""

import math
from typing import Any

import keras

from dual_encoder.checkpoints.catalog_entry import Checkpoint
from dual_encoder.model import DualEncoder
from dual_encoder.single_tower_models import ImageEncoder, TextEncoder
from duet import keras_private_api

SIZE_DEPENDENT = ("image_size", "parameters")

OF_IMAGES = ("image_size", "mean", "std", "resize", "interpolation", "patch_size")

OF_TEXTS = ("context_length", "pooling")


def contradictions(model: keras.Model, row: Checkpoint, *, ignore_size: bool = False) -> list[str]:
    """One sentence for each fact of the row that the model does not bear out.

    With `ignore_size` for a model that was loaded for images of another size.
    """
    facts = describe(model)
    if ignore_size:
        facts = {name: value for name, value in facts.items() if name not in SIZE_DEPENDENT}
    return [
        f"{name}: the table has {getattr(row, name)!r}, the checkpoint {value!r}"
        for name, value in facts.items()
        if getattr(row, name) != value
    ]


def describe(model: keras.Model) -> dict[str, Any]:
    """The facts of a `Checkpoint` that the model itself shows."""
    layers = keras_private_api.layers_of(model)
    # Frozen ones count; moving statistics are no parameters.
    weights = [w for layer in layers for w in keras_private_api.own_trainable_variables(layer)]
    facts: dict[str, Any] = {"parameters": sum(math.prod(weight.shape) for weight in weights)}
    facts["kind"] = next(kind for kind, cls in CLASSES.items() if isinstance(model, cls))
    image: Any = getattr(model, "image_tower", None)
    text: Any = getattr(model, "text_tower", None)
    tower = text if image is None else image
    facts["embed_dim"] = getattr(model, "embed_dim", tower.output_dim)
    for part, names in ((image, OF_IMAGES), (text, OF_TEXTS)):
        # A tower of one's own may have no more than its size.
        facts |= {name: getattr(part, name) for name in names if hasattr(part, name)}
    activations = (getattr(part, "activation", None) for part in (image, text))
    activation = next((found for found in activations if found is not None), None)
    if activation is not None:
        facts["activation"] = getattr(activation, "__name__", str(activation))
    return facts


CLASSES = {
    "dual-encoder": DualEncoder,
    "image-encoder": ImageEncoder,
    "text-encoder": TextEncoder,
}
