"""ConvNeXt image tower."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
from keras import ops

from dual_encoder.towers.base import ImageTower
from dual_encoder.towers.transformer import attributes


@keras.saving.register_keras_serializable("duet")
class ConvNeXtBlock(keras.layers.Layer):
    """x + mlp(norm(depthwise(x))): [b, h, w, width] -> the same.

    The paper's per-channel scale is folded into the last layer of the mlp.

    Args:
        width: channels.
        activation: of the mlp, whose hidden layer has 4 x width units.
        epsilon: of the layer norm.
        responses: whether to apply V2's global response normalisation to the hidden layer.

    References: Liu et al. 2022 (arXiv:2201.03545), section 2.6; Woo et al. 2023
    (arXiv:2301.00808), section 3.2.
    """

    def __init__(
        self,
        width: int,
        *,
        activation: Any = "gelu",
        epsilon: float = 1e-6,
        responses: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.width, self.epsilon, self.responses = width, epsilon, responses
        self.activation = keras.activations.get(activation)
        dense = partial(keras.layers.Dense, dtype=self.dtype_policy)
        self.depthwise = keras.layers.DepthwiseConv2D(
            7,
            padding="same",
            data_format="channels_last",
            dtype=self.dtype_policy,
            name="depthwise",
        )
        self.norm = keras.layers.LayerNormalization(
            epsilon=epsilon, dtype=self.dtype_policy, name="norm"
        )
        self.mlp_hidden = dense(4 * width, name="mlp_hidden")
        self.mlp_output = dense(width, name="mlp_output")

    def build(self, input_shape=None):
        places = (None, None, None, self.width)
        for layer in (self.depthwise, self.norm, self.mlp_hidden):
            layer.build(places)
        self.mlp_output.build((None, None, None, 4 * self.width))
        if self.responses:
            for name in ("response_gamma", "response_beta"):
                setattr(self, name, self.add_weight((4 * self.width,), "zeros", name=name))

    def call(self, x, training=None):
        hidden = self.activation(self.mlp_hidden(self.norm(self.depthwise(x))))
        if self.responses:
            # In float32: the sum is more than half precision can hold.
            squares = ops.square(ops.cast(hidden, "float32"))
            size = ops.sqrt(ops.sum(squares, axis=(1, 2), keepdims=True))
            share = size / (ops.mean(size, axis=-1, keepdims=True) + 1e-6)
            gamma, beta, share = (
                ops.cast(each, hidden.dtype)
                for each in (self.response_gamma, self.response_beta, share)
            )
            hidden = gamma * (hidden * share) + beta + hidden
        return x + self.mlp_output(hidden)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            **attributes(self, "width epsilon responses"),
            "activation": keras.activations.serialize(self.activation),
        }


@keras.saving.register_keras_serializable("duet")
class ConvNeXt(ImageTower):
    """An image tower: pixels 0-255 [b, s, s, 3] -> features [b, widths[-1]].

    Args:
        image_size: height and width s in pixels, a multiple of 32.
        depths, widths: blocks and channels of each stage.
        activation, epsilon, responses: of the blocks; see `ConvNeXtBlock`.
        last_epsilon: of the norm after average pooling; None for that of the blocks.
        kwargs: of `ImageTower`.

    Raises:
        ValueError: `image_size` is not a multiple of 32, or depths and widths differ in number.
    """

    def __init__(
        self,
        image_size: int,
        *,
        depths: Sequence[int],
        widths: Sequence[int],
        activation: Any = "gelu",
        epsilon: float = 1e-6,
        last_epsilon: float | None = None,
        responses: bool = False,
        **kwargs: Any,
    ):
        super().__init__(image_size, **kwargs)
        step = 2 ** (len(depths) + 1)
        if len(depths) != len(widths):
            raise ValueError(f"widths: expected {len(depths)}, one a stage; got {len(widths)}")
        if image_size % step:
            raise ValueError(f"image_size: expected a multiple of {step}; got {image_size}")
        self.depths, self.widths = tuple(depths), tuple(widths)
        self.activation = keras.activations.get(activation)
        self.epsilon, self.responses = epsilon, responses
        self.last_epsilon = epsilon if last_epsilon is None else last_epsilon
        self.output_dim = self.widths[-1]
        norm = partial(keras.layers.LayerNormalization, dtype=self.dtype_policy)
        options = {"data_format": "channels_last", "dtype": self.dtype_policy}
        convolution = partial(keras.layers.Conv2D, padding="valid", **options)
        self.stem = convolution(widths[0], 4, 4, name="stem")
        self.stem_norm = norm(epsilon=epsilon, name="stem_norm")
        self.norms = [norm(epsilon=epsilon, name=f"norm_{i}") for i in range(1, len(widths))]
        self.halvings = [
            convolution(width, 2, 2, name=f"halving_{i}") for i, width in enumerate(widths[1:], 1)
        ]
        self.stages = [
            [
                ConvNeXtBlock(
                    width,
                    activation=self.activation,
                    epsilon=epsilon,
                    responses=responses,
                    dtype=self.dtype_policy,
                    name=f"stage_{stage}_block_{i}",
                )
                for i in range(depth)
            ]
            for stage, (depth, width) in enumerate(zip(depths, widths, strict=True))
        ]
        self.last_norm = norm(epsilon=self.last_epsilon, name="last_norm")

    def build(self, input_shape=None):
        places = [(None, None, None, width) for width in self.widths]
        self.stem.build((None, self.image_size, self.image_size, 3))
        self.stem_norm.build(places[0])
        for before, norm, halving in zip(places, self.norms, self.halvings, strict=False):
            norm.build(before)
            halving.build(before)
        for blocks, shape in zip(self.stages, places, strict=True):
            for block in blocks:
                block.build(shape)
        self.last_norm.build((None, self.widths[-1]))

    def call(self, image, training=None):
        x = self.normalize(image)
        *before, last_norm = self.layers_in_order()
        for layer in before:
            x = layer(x)
        return last_norm(ops.mean(x, axis=(1, 2)))

    def layers_in_order(self) -> list[keras.layers.Layer]:
        """Returns all layers from input to output."""
        layers = [self.stem, self.stem_norm, *self.stages[0]]
        for norm, halving, blocks in zip(self.norms, self.halvings, self.stages[1:], strict=True):
            layers += [norm, halving, *blocks]
        return [*layers, self.last_norm]

    def get_config(self):
        return {
            **super().get_config(),
            **attributes(self, "depths widths epsilon last_epsilon responses"),
            "activation": keras.activations.serialize(self.activation),
        }
