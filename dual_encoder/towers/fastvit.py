"""FastViT image tower, MobileCLIP's."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from dual_encoder.towers.base import ImageTower
from dual_encoder.towers.transformer import attention, attributes

HEAD_WIDTH = 32  # channels of an attention head


def _small() -> keras.initializers.Initializer:
    """Returns that of what is added to a block's input, which the papers scale by 1e-5 at first."""
    return keras.initializers.RandomNormal(stddev=1e-3)


def _unit_kernel(shape: Sequence[int], dtype: Any = None) -> Any:
    """Returns the kernel [k, k, c, 1] of a depthwise convolution that changes nothing."""
    kernel = np.zeros(shape, "float32")
    kernel[shape[0] // 2, shape[1] // 2] = 1
    return ops.convert_to_tensor(kernel, dtype)


class _Convolution(keras.layers.Layer):
    """A convolution with symmetric zero padding, squeeze and excitation, GELU.

    [b, h, w, c] -> [b, ceil(h / stride), ceil(w / stride), channels].

    Args:
        channels: of the result; with `depthwise` a multiple of c.
        size: height and width of the kernel, odd.
        stride: of the convolution.
        depthwise: whether each channel of the result sees one of the input.
        squeezed: units of the squeeze and excitation (Hu et al. 2018, arXiv:1709.01507); 0 for
            none.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        *,
        stride: int = 1,
        depthwise: bool = False,
        squeezed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.channels, self.size, self.stride = channels, size, stride
        self.depthwise, self.squeezed = depthwise, squeezed
        dense = partial(keras.layers.Dense, dtype=self.dtype_policy)
        self.squeeze = dense(squeezed, activation="relu", name="squeeze") if squeezed else None
        self.excite = dense(channels, activation="sigmoid", name="excite") if squeezed else None

    def build(self, input_shape):
        options = dict(strides=self.stride, data_format="channels_last", name="convolution")
        options |= {"dtype": self.dtype_policy}
        if self.depthwise:
            multiplier = self.channels // input_shape[-1]
            he = keras.initializers.RandomNormal(stddev=2**0.5 / self.size)
            options |= {"depth_multiplier": multiplier, "depthwise_initializer": he}
            make = keras.layers.DepthwiseConv2D
        else:
            make = partial(keras.layers.Conv2D, self.channels)
        self.convolution = make(self.size, **options)
        self.convolution.build((None, None, None, input_shape[-1]))
        if self.squeezed:
            self.squeeze.build((None, self.channels))
            self.excite.build((None, self.squeezed))

    def call(self, x, training=None):
        margin = self.size // 2  # "same" pads only right and bottom if the stride is 2
        x = ops.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0))) if margin else x
        x = self.convolution(x)
        if self.squeezed:
            share = self.excite(self.squeeze(ops.mean(x, axis=(1, 2))))
            x = x * share[:, None, None]
        return ops.gelu(x, approximate=False)

    def compute_output_shape(self, input_shape):
        b, *sides, _ = input_shape
        return (b, *(-(-side // self.stride) for side in sides), self.channels)


@keras.saving.register_keras_serializable("duet")
class FastViTBlock(keras.layers.Layer):
    """Mixes places, then x + mlp(7 x 7 depthwise convolution of x): [b, h, w, width] -> the same.

    Places are mixed by a 3 x 3 depthwise convolution, which contains the sum with its input, or by
    x + attention(norm(x)). Scales per channel and batch norms are part of the layers beside them.

    Args:
        width: channels.
        mlp_dim: units of the hidden layer of the mlp.
        attends: whether attention mixes places.
        layer_norm: whether the norm before attention is a layer norm; a batch norm is part of the
            projection to queries, keys and values.
    """

    def __init__(
        self,
        width: int,
        mlp_dim: int,
        *,
        attends: bool = False,
        layer_norm: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.width, self.mlp_dim = width, mlp_dim
        self.attends, self.layer_norm = attends, layer_norm
        dense = partial(keras.layers.Dense, dtype=self.dtype_policy)
        depthwise = partial(
            keras.layers.DepthwiseConv2D,
            padding="same",
            data_format="channels_last",
            dtype=self.dtype_policy,
        )
        self.norm = self.mixer = self.query_key_value = self.attention_output = None
        if not attends:
            self.mixer = depthwise(3, depthwise_initializer=_unit_kernel, name="mixer")
        else:
            self.query_key_value = dense(3 * width, name="query_key_value")
            self.attention_output = dense(
                width, kernel_initializer=_small(), name="attention_output"
            )
            if layer_norm:
                self.norm = keras.layers.LayerNormalization(
                    epsilon=1e-5, dtype=self.dtype_policy, name="norm"
                )
        self.depthwise = depthwise(7, name="depthwise")
        self.mlp_hidden = dense(mlp_dim, activation="gelu", name="mlp_hidden")
        self.mlp_output = dense(width, kernel_initializer=_small(), name="mlp_output")

    def build(self, input_shape=None):
        places = (None, None, None, self.width)
        mixing = (self.mixer, self.norm, self.query_key_value, self.attention_output)
        for layer in filter(None, (*mixing, self.depthwise, self.mlp_hidden)):
            layer.build(places)
        self.mlp_output.build((None, None, None, self.mlp_dim))

    def call(self, x, training=None):
        x = x + self._attend(x) if self.attends else self.mixer(x)
        return x + self.mlp_output(self.mlp_hidden(self.depthwise(x)))

    def _attend(self, x):
        height, width = x.shape[1:3]
        x = ops.reshape(x, (-1, height * width, self.width))
        together = self.query_key_value(x if self.norm is None else self.norm(x))
        query, key, value = ops.split(together, 3, axis=-1)
        mixed = attention(query, key, value, heads=self.width // HEAD_WIDTH)
        return ops.reshape(self.attention_output(mixed), (-1, height, width, self.width))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        names = "width mlp_dim attends layer_norm"
        return {**super().get_config(), **attributes(self, names)}


@keras.saving.register_keras_serializable("duet")
class FastViT(ImageTower):
    """An image tower: pixels 0-255 [b, s, s, 3] -> features [b, 2 * widths[-1]].

    This is the form of inference: parallel branches, batch norms with their moving statistics and
    scales per channel are one convolution or dense layer each. All of it can be trained; batch
    norms stay as the checkpoint's.

    Args:
        image_size: height and width s in pixels.
        depths, widths: blocks and channels of each stage; channels of stages that attend are a
            multiple of 32.
        mlp_ratio: hidden units of a block's mlp, as a multiple of the channels.
        attending: how many of the last stages mix places by attention, after a 7 x 7 convolution
            that encodes positions.
        squeezed: how many of the last stages begin with squeeze and excitation.
        layer_norm: of the blocks that attend; see `FastViTBlock`.
        kwargs: of `ImageTower`.

    Raises:
        ValueError: depths and widths differ in number, or heads do not divide a stage's channels.

    References: Vasu et al. 2023 (arXiv:2303.14189), figure 2, FastViT; Vasu et al. 2023
    (arXiv:2311.17049), MobileCLIP; Faghri et al. 2025 (arXiv:2508.20691), MobileCLIP2.
    """

    def __init__(
        self,
        image_size: int,
        *,
        depths: Sequence[int],
        widths: Sequence[int],
        mlp_ratio: float,
        attending: int = 1,
        squeezed: int = 0,
        layer_norm: bool = False,
        **kwargs: Any,
    ):
        super().__init__(image_size, **kwargs)
        if len(depths) != len(widths):
            raise ValueError(f"widths: expected {len(depths)}, one a stage; got {len(widths)}")
        self.depths, self.widths, self.mlp_ratio = tuple(depths), tuple(widths), mlp_ratio
        self.attending, self.squeezed, self.layer_norm = attending, squeezed, layer_norm
        self.output_dim = 2 * widths[-1]
        self.attends = [i >= len(widths) - attending for i in range(len(widths))]
        for width, attends in zip(widths, self.attends, strict=True):
            if attends and width % HEAD_WIDTH:
                raise ValueError(f"widths: expected multiples of {HEAD_WIDTH}; got {width}")
        make = partial(_Convolution, dtype=self.dtype_policy)
        self.stem = [
            make(widths[0], 3, stride=2, name="stem_0"),
            make(widths[0], 3, stride=2, depthwise=True, name="stem_1"),
            make(widths[0], 1, name="stem_2"),
        ]
        self.stages = [self._stage(stage) for stage in range(len(widths))]
        dim = self.output_dim
        self.last = make(dim, 3, depthwise=True, squeezed=round(dim / 16), name="last")

    def _stage(self, stage: int) -> list[keras.layers.Layer]:
        """Returns the layers of a stage: halving, positions and blocks."""
        width, options = self.widths[stage], {"dtype": self.dtype_policy}
        layers: list[keras.layers.Layer] = []
        if stage:
            squeezed = stage >= len(self.widths) - self.squeezed
            units = max(8, (width // 4 + 4) // 8 * 8) if squeezed else 0
            halving = partial(_Convolution, width, 7, stride=2, depthwise=True, squeezed=units)
            layers.append(halving(name=f"halving_{stage}", **options))
            layers.append(_Convolution(width, 1, name=f"halved_{stage}", **options))
        if self.attends[stage]:
            layers.append(
                keras.layers.DepthwiseConv2D(
                    7,
                    padding="same",
                    data_format="channels_last",
                    depthwise_initializer=_unit_kernel,
                    name=f"positions_{stage}",
                    **options,
                )
            )
        layer_norm = self.layer_norm and self.attends[stage]
        return layers + [
            FastViTBlock(
                width,
                int(width * self.mlp_ratio),
                attends=self.attends[stage],
                layer_norm=layer_norm,
                name=f"stage_{stage}_block_{i}",
                **options,
            )
            for i in range(self.depths[stage])
        ]

    def _layers_in_turn(self) -> list[keras.layers.Layer]:
        return [*self.stem, *(layer for stage in self.stages for layer in stage), self.last]

    def build(self, input_shape=None):
        shape = (None, self.image_size, self.image_size, 3)
        for layer in self._layers_in_turn():
            layer.build(shape)
            shape = layer.compute_output_shape(shape)

    def call(self, image, training=None):
        x = self.normalize(image)
        for layer in self._layers_in_turn():
            x = layer(x)
        return ops.mean(x, axis=(1, 2))

    def get_config(self):
        names = "depths widths mlp_ratio attending squeezed layer_norm"
        return {**super().get_config(), **attributes(self, names)}
