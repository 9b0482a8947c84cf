"""EfficientNet-Lite0 in Keras, with the weights of a file of PyTorch.

Tan and Le 2019 (arXiv:1905.11946), without squeeze-and-excitation and with ReLU6. Weights go by the
names of the PyTorch implementation.
"""

from collections.abc import Mapping

import keras
import numpy as np
from keras import layers

SIZE = 224
MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3
# Repeats, kernel, stride, expansion and width of each stage.
STAGES = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320),
)  # fmt: skip
OF_NORMS = ("weight", "bias", "running_mean", "running_var")


class Builder:
    """Layers that remember which weights are theirs."""

    def __init__(self, weights: Mapping[str, np.ndarray]):
        self.weights = weights
        self.given: list[tuple[keras.layers.Layer, list[np.ndarray]]] = []

    def norm(self, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        values = [self.weights[f"{name}.{part}"] for part in OF_NORMS]
        return self._keep(layers.BatchNormalization(epsilon=1e-3), values)(x)

    def dense(
        self, x: keras.KerasTensor, name: str, width: int, *, kernel: int = 1, stride: int = 1
    ) -> keras.KerasTensor:
        layer = layers.Conv2D(width, kernel, stride, padding="same", use_bias=False)
        return self._keep(layer, [self.weights[f"{name}.weight"].transpose(2, 3, 1, 0)])(x)

    def depthwise(
        self, x: keras.KerasTensor, name: str, *, kernel: int, stride: int
    ) -> keras.KerasTensor:
        layer = layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False)
        return self._keep(layer, [self.weights[f"{name}.weight"].transpose(2, 3, 0, 1)])(x)

    def classifier(self, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        kernel, bias = self.weights[f"{name}.weight"].T, self.weights[f"{name}.bias"]
        return self._keep(layers.Dense(len(bias)), [kernel, bias])(x)

    def fill(self) -> None:
        for layer, values in self.given:
            layer.set_weights(values)

    def _keep(self, layer: keras.layers.Layer, values: list[np.ndarray]) -> keras.layers.Layer:
        self.given.append((layer, values))
        return layer


def efficientnet_lite0(weights: Mapping[str, np.ndarray]) -> keras.Model:
    """Normalised pixels [b, 224, 224, 3] -> logits [b, 1000]."""
    make, pixels = Builder(weights), keras.Input((SIZE, SIZE, 3))
    x = make.dense(pixels, "_conv_stem", 32, kernel=3, stride=2)
    x = layers.ReLU(6.0)(make.norm(x, "_bn0"))
    number, before = 0, 32
    for repeats, kernel, stride, expansion, width in STAGES:
        for repeat in range(repeats):
            name, y = f"_blocks.{number}", x
            if expansion != 1:
                y = make.dense(y, f"{name}._expand_conv", before * expansion)
                y = layers.ReLU(6.0)(make.norm(y, f"{name}._bn0"))
            each = 1 if repeat else stride
            y = make.depthwise(y, f"{name}._depthwise_conv", kernel=kernel, stride=each)
            y = layers.ReLU(6.0)(make.norm(y, f"{name}._bn1"))
            y = make.norm(make.dense(y, f"{name}._project_conv", width), f"{name}._bn2")
            x = layers.Add()([x, y]) if repeat else y
            number, before = number + 1, width
    x = layers.ReLU(6.0)(make.norm(make.dense(x, "_conv_head", 1280), "_bn1"))
    logits = make.classifier(layers.GlobalAveragePooling2D()(x), "_fc")
    make.fill()
    return keras.Model(pixels, logits)
