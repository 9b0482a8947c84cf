"""Count floating-point operations per image; a multiply-add counts as two."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from math import prod
from typing import Any

import keras
import numpy as np

from classifiers import CosineHead
from dual_encoder import ZeroShotClassifier
from dual_encoder.towers import attention_pooling, fastvit, transformer
from duet import keras_private_api

Shape = tuple[int, ...]


def counted(model: keras.Model) -> int:
    """Returns FLOPs by the layers' shapes for one image: matmuls and convolutions.

    Knows the relevant layers of Duet, Keras and KerasHub; others count as 0.
    """
    side, total = model.preprocessing["image_size"], 0

    def add(layer: Any, given: Shape, made: Shape) -> None:
        nonlocal total
        count = next((COUNTS[cls] for cls in type(layer).__mro__ if cls in COUNTS), None)
        total += 0 if count is None else count(layer, given, made)

    image = np.zeros((1, side, side, 3), np.float32)
    with _watched(model, lambda *_: None):
        model(image, training=False)  # makes the layers that a first call makes
    with _watched(model, add):
        model(image, training=False)
    return total


@contextmanager
def _watched(model: keras.Model, seen: Callable[[Any, Shape, Shape], None]) -> Iterator[None]:
    """Calls `seen` for each call of the model's layers, with its input and output shapes."""
    layers = [layer for layer in keras_private_api.layers_of(model) if "call" not in vars(layer)]

    def watch(layer: Any) -> None:
        call = layer.call

        @wraps(call)
        def watching(*args: Any, **kwargs: Any) -> Any:
            made = call(*args, **kwargs)
            arrays = (each for each in (*args, *kwargs.values()) if hasattr(each, "shape"))
            given = next(arrays, None)
            if given is not None and hasattr(made, "shape"):
                seen(layer, tuple(given.shape), tuple(made.shape))
            return made

        layer.call = watching

    try:
        for layer in layers:
            watch(layer)
        yield
    finally:
        for layer in layers:
            vars(layer).pop("call", None)


def _einsum_dense(layer: Any, given: Shape, made: Shape) -> int:
    """Each output is a sum over the axes that only input and kernel share."""
    inputs, output = layer.equation.replace("...", "").split("->")
    kernel = inputs.split(",")[1]
    summed = [
        size for axis, size in zip(kernel, layer.kernel.shape, strict=True) if axis not in output
    ]
    return 2 * prod(made) * prod(summed)


def _convolution(layer: Any, given: Shape, made: Shape) -> int:
    *window, channels, _ = layer.kernel.shape  # channels of a group
    return 2 * prod(made) * prod(window) * channels


def _depthwise(layer: Any, given: Shape, made: Shape) -> int:
    return 2 * prod(made) * prod(layer.kernel_size)


def _separable(layer: Any, given: Shape, made: Shape) -> int:
    between = prod(made[:-1]) * given[-1] * layer.depth_multiplier
    return 2 * between * (prod(layer.kernel_size) + made[-1])


def _keras_attention(layer: Any, given: Shape, made: Shape) -> int:
    return 4 * given[0] * given[1] ** 2 * layer.num_heads * layer.key_dim  # of a sequence to itself


def _asking(asking: int, tokens: int, layer: Any, d: int) -> int:
    """`transformer.attention_of_few`: keys go into queries, values come out of mixed tokens."""
    return 4 * asking * d**2 + 4 * asking * layer.heads * tokens * d


def _block(layer: Any, given: Shape, made: Shape) -> int:
    rows, tokens, d = given
    if made[1] == tokens:
        return 4 * prod(made) * tokens
    return rows * (2 * made[1] * d**2 + _asking(made[1], tokens, layer, d))


def _fastvit_block(layer: Any, given: Shape, made: Shape) -> int:
    rows, height, width, d = given
    return 4 * rows * (height * width) ** 2 * d if layer.attends else 0


def _probe_pooling(layer: Any, given: Shape, made: Shape) -> int:
    rows, tokens, d = given
    return rows * (2 * d**2 + _asking(1, tokens, layer, d))


def _mean_query_pooling(layer: Any, given: Shape, made: Shape) -> int:
    rows, height, width, d = given
    return rows * _asking(1, height * width + 1, layer, d)


# FLOPs of a layer itself, without its sublayers.
COUNTS: dict[type, Callable[[Any, Shape, Shape], int]] = {
    keras.layers.Dense: lambda layer, given, made: 2 * prod(made) * given[-1],
    keras.layers.EinsumDense: _einsum_dense,
    keras.layers.Conv2D: _convolution,
    keras.layers.DepthwiseConv2D: _depthwise,
    keras.layers.SeparableConv2D: _separable,
    keras.layers.MultiHeadAttention: _keras_attention,
    transformer.TransformerBlock: _block,
    fastvit.FastViTBlock: _fastvit_block,
    attention_pooling.ProbePooling: _probe_pooling,
    attention_pooling.MeanQueryPooling: _mean_query_pooling,
    CosineHead: lambda layer, given, made: 2 * prod(made) * given[-1],
    ZeroShotClassifier: lambda layer, given, made: 2 * prod(made) * layer.embed_dim,
}
