"""LoRA: train low-rank updates of matrices, and merge them in the end."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras

from classifiers import trainable
from classifiers.image_classifier import ImageClassifier
from duet import keras_private_api

MATRICES = ("query_key_value", "attention_output", "mlp_hidden", "mlp_output")


def add_lora(model: ImageClassifier, *, rank: int, alpha: float | None = None) -> None:
    """Train only the head and low-rank updates of all matrices in the tower's blocks.

    LoRA, Hu et al. 2022 (arXiv:2106.09685), with Keras' `Dense.enable_lora`.

    Args:
        rank: r of the update `alpha / r · A B`.
        alpha: its scale; default `rank`.

    Raises:
        ValueError: the tower has no such matrices, being convolutional.
    """
    matrices = _matrices(model.image_tower, MATRICES)
    if not matrices:
        raise ValueError("LoRA: expected a tower of transformer blocks; this one has none")
    trainable.freeze(model, [v for stage in trainable.stages(model)[:-1] for v in stage])
    _enable_lora(matrices, rank=rank, alpha=alpha)


def add_lora_to_both(model: ImageClassifier, *, rank: int, alpha: float = 1.0) -> None:
    """Train only low-rank updates of the attention's queries, keys and values, in both towers.

    CLIP-LoRA, Zanella and Ben Ayed 2024 (arXiv:2405.18541), without its dropout; the three share
    the first of the two matrices, as they share a kernel here. A convolutional tower
    stays as it is.

    Args:
        model: its head is a `ClassTextHead`.
        rank, alpha: as in `add_lora`; the paper has 2 and 1.

    Raises:
        ValueError: neither tower has such matrices.
    """
    matrices = _matrices(model, MATRICES[:1])
    if not matrices:
        raise ValueError("LoRA: expected a tower of transformer blocks; neither tower has any")
    trainable.freeze(model, model.trainable_variables)
    _enable_lora(matrices, rank=rank, alpha=alpha)


def _matrices(part: keras.layers.Layer, names: Sequence[str]) -> list[keras.layers.Dense]:
    layers = keras_private_api.layers_of(part)
    return [each for each in layers if isinstance(each, keras.layers.Dense) and each.name in names]


def _enable_lora(matrices: Iterable[keras.layers.Dense], *, rank: int, alpha: float | None) -> None:
    for layer in matrices:
        layer.trainable = True
        layer.enable_lora(rank, lora_alpha=alpha)
        layer.bias.trainable = False


def without_lora(model: Any) -> Any:
    """Returns the classifier or dual encoder with the updates merged into the matrices."""
    plain = type(model).from_config(model.get_config())
    plain.build()
    kept = [variable for variable in model.variables if "lora" not in variable.name]
    for variable, source in zip(plain.variables, kept, strict=True):
        variable.assign(source)
    pairs = zip(keras_private_api.layers_of(plain), keras_private_api.layers_of(model), strict=True)
    for layer, source in pairs:
        if getattr(source, "lora_enabled", False):
            layer.kernel.assign(source.kernel)
    return plain
