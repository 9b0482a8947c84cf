"""Duet's own text transformer, as CLIP has it."""

from typing import Any

import keras
from keras import ops

from dual_encoder.transformer import attributes, blocks, layer_norm, normal


@keras.saving.register_keras_serializable("duet")
class TextTransformer(keras.layers.Layer):
    """A text tower: causal transformer, features of the end-of-text token, as in CLIP.

    Token ids [b, n], n up to `context_length`, -> features [b, width]. A causal mask lets no token
    see what follows it, so rows may be cut behind the longest text without changing the result.

    Args:
        vocabulary_size: number of token ids.
        context_length: most tokens per text.
        end_id: id of the end-of-text token; every row has one, of which the
            first counts.
        width, depth, heads: of the transformer.
        mlp_ratio: hidden units of a block's mlp, in widths.
        activation: of the mlp.
        dropout: rate inside the blocks.

    Reference: Radford et al. 2021 (arXiv:2103.00020), section 2.4.
    """

    trims_exactly = True

    def __init__(
        self,
        vocabulary_size: int,
        context_length: int,
        *,
        end_id: int,
        width: int,
        depth: int,
        heads: int,
        mlp_ratio: int = 4,
        activation: Any = "gelu",
        dropout: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.vocabulary_size, self.context_length = vocabulary_size, context_length
        self.end_id = end_id
        self.width, self.depth, self.heads, self.mlp_ratio = width, depth, heads, mlp_ratio
        self.activation = keras.activations.get(activation)
        self.dropout_rate = dropout
        self.output_dim = width
        self.blocks = blocks(self)
        self.norm_post = layer_norm(self, "norm_post")

    def build(self, input_shape=None):
        tokens = (self.vocabulary_size, self.width)
        self.token_embedding = self.add_weight(tokens, normal(), name="token_embedding")
        positions = (self.context_length, self.width)
        self.positions = self.add_weight(positions, normal(), name="positions")
        for layer in (*self.blocks, self.norm_post):
            layer.build((None, self.context_length, self.width))

    def call(self, token_ids, training=None):
        n = ops.shape(token_ids)[1]
        if isinstance(n, int) and n > self.context_length:
            raise ValueError(
                f"token_ids: expected at most {self.context_length} tokens per text; got {n}"
            )
        x = ops.take(self.token_embedding, token_ids, axis=0) + self.positions[:n]
        x = ops.cast(x, self.compute_dtype)
        place = ops.arange(n)
        causal = ops.where(place[None, :] > place[:, None], -1e9, 0.0)
        for block in self.blocks:
            x = block(x, attention_bias=causal, training=training)
        end = ops.argmax(ops.cast(ops.equal(token_ids, self.end_id), "int32"), axis=1)
        x = ops.take_along_axis(x, ops.reshape(end, (-1, 1, 1)), axis=1)[:, 0]
        return self.norm_post(x)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.output_dim)

    def get_config(self):
        sizes = "vocabulary_size context_length end_id width depth heads mlp_ratio"
        return {
            **super().get_config(),
            **attributes(self, sizes),
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout_rate,
        }
