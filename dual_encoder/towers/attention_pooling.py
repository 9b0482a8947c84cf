"""Attention pooling: many tokens to one vector with a single query."""

from functools import partial
from typing import Any

import keras
from keras import ops

from dual_encoder.towers.transformer import (
    attention,
    attention_to,
    attributes,
    normal,
    query_of,
)


@keras.saving.register_keras_serializable("duet")
class ProbePooling(keras.layers.Layer):
    """Pools tokens by attention of a learned query, then an mlp: [b, n, d] -> [b, d].

    The multi-head attention pooling of SigLIP: with a = attention(probe, x, x), the result is
    a + mlp(norm(a)).

    Args:
        width: d.
        heads: attention heads.
        mlp_dim: units of the hidden layer.
        activation: of the hidden layer.
        epsilon: of the layer norm.

    Reference: Zhai et al. 2022 (arXiv:2106.04560), section 3.1 and Zhai et al. 2023
    (arXiv:2303.15343).
    """

    def __init__(
        self,
        width: int,
        heads: int,
        mlp_dim: int,
        *,
        activation: Any = "gelu",
        epsilon: float = 1e-6,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.width, self.heads, self.mlp_dim, self.epsilon = width, heads, mlp_dim, epsilon
        self.activation = keras.activations.get(activation)
        dense = partial(keras.layers.Dense, dtype=self.dtype_policy)
        self.query_key_value = dense(3 * width, name="query_key_value")
        self.attention_output = dense(width, name="attention_output")
        self.norm = keras.layers.LayerNormalization(
            epsilon=epsilon, dtype=self.dtype_policy, name="norm"
        )
        self.mlp_hidden = dense(mlp_dim, activation=self.activation, name="mlp_hidden")
        self.mlp_output = dense(width, name="mlp_output")

    def build(self, input_shape=None):
        self.probe = self.add_weight((self.width,), normal(), name="probe")
        tokens = (None, None, self.width)
        for layer in (self.query_key_value, self.attention_output):
            layer.build(tokens)
        for layer in (self.norm, self.mlp_hidden):
            layer.build(tokens)
        self.mlp_output.build((None, None, self.mlp_dim))

    def call(self, x):
        probe = ops.broadcast_to(self.probe, (ops.shape(x)[0], 1, self.width))
        query = query_of(ops.cast(probe, x.dtype), self.query_key_value)
        asked = attention_to(query, x, self.query_key_value, heads=self.heads)
        pooled = self.attention_output(asked)
        return (pooled + self.mlp_output(self.mlp_hidden(self.norm(pooled))))[:, 0]

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.width)

    def get_config(self):
        return {
            **super().get_config(),
            **attributes(self, "width heads mlp_dim epsilon"),
            "activation": keras.activations.serialize(self.activation),
        }


@keras.saving.register_keras_serializable("duet")
class QueryPooling(keras.layers.Layer):
    """Pools normalised tokens by attention of a learned query: [b, n, d] -> [b, units].

    The attention pooling of CoCa's contrastive branch: only the first query, which the decoder does
    not use. Norm and projection of the constant query are folded into its weights.

    Args:
        units: size of the query and of the result.
        heads: attention heads; must divide the units.
        epsilon: of the layer norm of the tokens.

    Reference: Yu et al. 2022 (arXiv:2205.01917), section 3.2.
    """

    def __init__(self, units: int, heads: int, *, epsilon: float = 1e-5, **kwargs: Any):
        super().__init__(**kwargs)
        self.units, self.heads, self.epsilon = units, heads, epsilon
        dense = partial(keras.layers.Dense, dtype=self.dtype_policy)
        self.norm = keras.layers.LayerNormalization(
            epsilon=epsilon, dtype=self.dtype_policy, name="norm"
        )
        self.key_value = dense(2 * units, name="key_value")
        self.attention_output = dense(units, name="attention_output")

    def build(self, input_shape):
        self.query = self.add_weight((self.units,), normal(), name="query")
        self.norm.build(input_shape)
        self.key_value.build(input_shape)
        self.attention_output.build((None, None, self.units))

    def call(self, x):
        query = ops.broadcast_to(self.query, (ops.shape(x)[0], 1, self.units))
        key, value = ops.split(self.key_value(self.norm(x)), 2, axis=-1)
        pooled = attention(ops.cast(query, x.dtype), key, value, heads=self.heads)
        return self.attention_output(pooled[:, 0])

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.units)

    def get_config(self):
        return {**super().get_config(), **attributes(self, "units heads epsilon")}


@keras.saving.register_keras_serializable("duet")
class MeanQueryPooling(keras.layers.Layer):
    """Pools feature maps by attention of their mean: [b, g, g, d] -> [b, units].

    The attention pooling of CLIP's ResNets: tokens are the mean and the g x g positions, each with
    a position embedding; the attention output of the mean is projected.

    Args:
        units: size of the result.
        heads: attention heads; must divide d.

    Reference: Radford et al. 2021 (arXiv:2103.00020), section 2.4.
    """

    def __init__(self, units: int, heads: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.units, self.heads = units, heads

    def build(self, input_shape):
        _, height, width, d = input_shape
        self.positions = self.add_weight((height * width + 1, d), normal(), name="positions")
        dense = partial(keras.layers.Dense, dtype=self.dtype_policy)
        self.query = dense(d, name="query")
        self.key_value = dense(2 * d, name="key_value")
        self.projection = dense(self.units, name="projection")
        for layer in (self.query, self.key_value, self.projection):
            layer.build((None, None, d))

    def call(self, x):
        _, height, width, d = x.shape
        x = ops.reshape(x, (-1, height * width, d))
        x = ops.concatenate([ops.mean(x, axis=1, keepdims=True), x], axis=1)
        x = x + ops.cast(self.positions, x.dtype)
        pooled = attention_to(self.query(x[:, :1]), x, self.key_value, heads=self.heads)
        return self.projection(pooled[:, 0])

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.units)

    def get_config(self):
        return {**super().get_config(), **attributes(self, "units heads")}
