"""CLIP's residual networks RN50 and RN101, which no Keras library provides."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
from keras import ops

from dual_encoder.towers.attention_pooling import MeanQueryPooling
from dual_encoder.towers.base import ImageTower
from dual_encoder.towers.transformer import attributes


@keras.saving.register_keras_serializable("duet")
class Bottleneck(keras.layers.Layer):
    """1 x 1, 3 x 3, average over `stride`, 1 x 1, added to the input: [b, h, w, c] ->
    [b, h / stride, w / stride, 4 * width].

    Args:
        width: channels of the 3 x 3 convolution.
        stride: of the average pooling in both branches.
    """

    def __init__(self, width: int, *, stride: int = 1, **kwargs: Any):
        super().__init__(**kwargs)
        self.width, self.stride = width, stride
        self.stages = [
            _ConvolutionNorm(channels, size, dtype=self.dtype_policy, name=f"stage_{i}")
            for i, (channels, size) in enumerate(((width, 1), (width, 3), (4 * width, 1)))
        ]
        self.shortcut = None

    def build(self, input_shape):
        b, height, width, channels = input_shape
        if self.stride > 1 or channels != 4 * self.width:
            self.shortcut = _ConvolutionNorm(
                4 * self.width, 1, dtype=self.dtype_policy, name="shortcut"
            )
            self.shortcut.build(input_shape)
        for stage in self.stages:
            stage.build((b, height, width, channels))
            channels = stage.channels

    def call(self, x, training=None):
        first, second, third = self.stages
        y = ops.relu(first(x, training=training))
        y = ops.relu(second(y, training=training))
        y = third(_average(y, self.stride), training=training)
        if self.shortcut is not None:
            x = self.shortcut(_average(x, self.stride), training=training)
        return ops.relu(x + y)

    def compute_output_shape(self, input_shape):
        b, height, width, _ = input_shape
        return (b, height // self.stride, width // self.stride, 4 * self.width)

    def get_config(self):
        return {**super().get_config(), **attributes(self, "width stride")}


@keras.saving.register_keras_serializable("duet")
class ModifiedResNet(ImageTower):
    """An image tower: CLIP's residual network, pixels 0-255 [b, s, s, 3] -> [b, output_dim].

    It differs from He et al.'s in three ways: a stem of three convolutions and an average pooling,
    average pooling before every strided step, and attention pooling at the end, whose projection
    maps to the shared embedding space.

    Args:
        image_size: height and width s in pixels, a multiple of 32.
        depths: residual blocks of each of the four stages.
        width: channels of the stem.
        heads: of the attention pooling.
        output_dim: size of the result.
        kwargs: of `ImageTower`.

    Raises:
        ValueError: `image_size` is not a multiple of 32.

    Reference: Radford et al. 2021 (arXiv:2103.00020), section 2.4 and table 19.
    """

    def __init__(
        self,
        image_size: int,
        *,
        depths: Sequence[int],
        width: int,
        heads: int,
        output_dim: int,
        **kwargs: Any,
    ):
        super().__init__(image_size, **kwargs)
        if image_size % 32:
            raise ValueError(f"image_size: expected a multiple of 32; got {image_size}")
        self.depths, self.width, self.heads = tuple(depths), width, heads
        self.output_dim = output_dim
        make = partial(_ConvolutionNorm, dtype=self.dtype_policy)
        self.stem = [
            make(channels, 3, stride=2 if i == 0 else 1, name=f"stem_{i}")
            for i, channels in enumerate((width // 2, width // 2, width))
        ]
        self.blocks = [
            Bottleneck(
                width * 2**stage,
                stride=2 if stage > 0 and i == 0 else 1,
                dtype=self.dtype_policy,
                name=f"stage_{stage}_block_{i}",
            )
            for stage, depth in enumerate(self.depths)
            for i in range(depth)
        ]
        self.pooling = MeanQueryPooling(output_dim, heads, dtype=self.dtype_policy, name="pooling")

    def build(self, input_shape=None):
        shape = (None, self.image_size, self.image_size, 3)
        for layer in self.stem:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        shape = (None, shape[1] // 2, shape[2] // 2, shape[3])
        for block in self.blocks:
            block.build(shape)
            shape = block.compute_output_shape(shape)
        self.pooling.build(shape)

    def call(self, image, training=None):
        x = self.normalize(image)
        for layer in self.stem:
            x = ops.relu(layer(x, training=training))
        x = _average(x, 2)
        for block in self.blocks:
            x = block(x, training=training)
        return self.pooling(x)

    def get_config(self):
        return {**super().get_config(), **attributes(self, "depths width heads output_dim")}


class _ConvolutionNorm(keras.layers.Layer):
    """A convolution without bias, with symmetric zero padding, and a batch norm."""

    def __init__(self, channels: int, size: int, *, stride: int = 1, **kwargs: Any):
        super().__init__(**kwargs)
        self.channels, self.size, self.stride = channels, size, stride
        self.convolution = keras.layers.Conv2D(
            channels,
            size,
            stride,
            data_format="channels_last",
            use_bias=False,
            dtype=self.dtype_policy,
            name="conv",
        )
        self.norm = keras.layers.BatchNormalization(
            momentum=0.9, epsilon=1e-5, dtype=self.dtype_policy, name="norm"
        )

    def build(self, input_shape):
        b, height, width, channels = input_shape
        margins = 2 * (self.size // 2)
        self.convolution.build((b, height + margins, width + margins, channels))
        self.norm.build((None, None, None, self.channels))

    def call(self, x, training=None):
        # Symmetric padding; "same" pads only right and bottom if the stride is 2.
        margin = self.size // 2
        x = ops.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0))) if margin else x
        return self.norm(self.convolution(x), training=training)

    def compute_output_shape(self, input_shape):
        b, height, width, _ = input_shape
        return (b, height // self.stride, width // self.stride, self.channels)


def _average(x: Any, stride: int) -> Any:
    return ops.average_pool(x, stride, stride, data_format="channels_last") if stride > 1 else x
