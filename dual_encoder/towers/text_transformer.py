"""Duet's text transformer, as in CLIP."""

from typing import Any

import keras
import numpy as np
from keras import ops

from dual_encoder.towers.base import TextTower
from dual_encoder.towers.layer_stack import in_turn
from dual_encoder.towers.transformer import MASKED, attributes, blocks, layer_norm, normal

POOLINGS = ("end", "last", "class")

PACKED = 256  # tokens per row in `encode_alike`: longer rows waste attention on masked tokens


@keras.saving.register_keras_serializable("duet")
class TextTransformer(TextTower):
    """A text tower: pre-norm transformer and the features of one token, as in CLIP and SigLIP.

    Token ids [b, n], n up to `context_length`, -> features [b, width]. With CLIP's causal mask no
    token attends to later ones, so padding after the longest text can be cut without any effect.
    SigLIP has no mask and uses the last token, even if padding: its rows always have
    `context_length` tokens.

    Args:
        vocabulary_size: number of token ids.
        context_length: maximum number of tokens per text.
        end_id: id of the end-of-text token; the first one in a row is used.
        width, depth, heads: of the transformer.
        mlp_ratio: hidden units of a block's mlp, as a multiple of the width.
        activation: of the mlp.
        causal: whether tokens attend only to earlier ones.
        pooling: `"end"` (the end-of-text token, as CLIP), `"last"` (as SigLIP) or `"class"` (a
            learned token after all others, as CoCa).
        pad_id: id of the padding, masked for the class token except for the first padding token,
            as in the published CoCa models.
        epsilon: of the layer norms.
        dropout: rate inside the blocks.

    Raises:
        ValueError: an unknown `pooling`.

    References: Radford et al. 2021 (arXiv:2103.00020), section 2.4; Zhai et al. 2023
    (arXiv:2303.15343).
    """

    def __init__(
        self,
        vocabulary_size: int,
        context_length: int,
        *,
        end_id: int,
        width: int,
        depth: int,
        heads: int,
        mlp_ratio: float = 4,
        activation: Any = "gelu",
        causal: bool = True,
        pooling: str = "end",
        pad_id: int = 0,
        epsilon: float = 1e-5,
        dropout: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if pooling not in POOLINGS:
            raise ValueError(f"pooling: expected one of {', '.join(POOLINGS)}; got {pooling!r}")
        self.vocabulary_size, self.context_length = vocabulary_size, context_length
        self.end_id = end_id
        self.width, self.depth, self.heads, self.mlp_ratio = width, depth, heads, mlp_ratio
        self.activation = keras.activations.get(activation)
        self.causal, self.pooling, self.pad_id = causal, pooling, pad_id
        self.epsilon, self.dropout_rate = epsilon, dropout
        self.output_dim = width
        self.blocks = blocks(self)
        self.norm_post = layer_norm(self, "norm_post")

    def build(self, input_shape=None):
        tokens = (self.vocabulary_size, self.width)
        self.token_embedding = self.add_weight(tokens, normal(), name="token_embedding")
        positions = (self.context_length + (self.pooling == "class"), self.width)
        if self.pooling == "class":
            self.class_token = self.add_weight((self.width,), normal(), name="class_token")
        self.positions = self.add_weight(positions, normal(), name="positions")
        for layer in (*self.blocks, self.norm_post):
            layer.build((None, self.context_length, self.width))

    @property
    def trims_exactly(self) -> bool:
        """Whether padding behind the longest text can be cut without any effect."""
        return self.causal and self.pooling == "end"

    def encode(self, embeddings, token_ids, training=None):
        """Maps embeddings [b, n, width] to features [b, width]; `token_ids` [b, n] mark the end."""
        n = ops.shape(embeddings)[1]
        x = ops.cast(ops.add(embeddings, self.positions[:n]), self.compute_dtype)
        if self.pooling == "class":
            token = ops.cast(self.class_token + self.positions[-1], x.dtype)
            token = ops.broadcast_to(token, (ops.shape(x)[0], 1, self.width))
            x, n = ops.concatenate([x, token], axis=1), n + 1
        place = ops.arange(n, dtype="int32")
        mask = ops.where(place[None, :] > place[:, None], MASKED, 0.0) if self.causal else None
        if self.pooling == "class":
            mask = (0.0 if mask is None else mask) + self._of_text(token_ids)
        x = in_turn(self.blocks[:-1], x, mask, training=training)
        if self.pooling == "last":
            wanted, mask = x[:, -1:], None  # the last token attends to all
        elif self.pooling == "class":
            wanted, mask = x[:, -1:], mask[:, :, -1:]
        else:
            is_end = ops.cast(ops.equal(token_ids, self.end_id), "int32")
            end = ops.argmax(is_end, axis=1)[:, None]
            wanted = ops.take_along_axis(x, end[:, :, None], axis=1)
            mask = None if mask is None else ops.take(mask, end, axis=0)[:, None]
        for block in self.blocks[-1:]:  # computes only the wanted token
            wanted = block(x, attention_bias=mask, wanted=wanted, training=training)
        return self.norm_post(wanted[:, 0])

    def _of_text(self, token_ids):
        """Returns a mask [b, 1, 1, n + 1] of the first token and those that follow a text token."""
        first = ops.ones_like(token_ids[:, :1], dtype="bool")
        seen = ops.concatenate([first, ops.not_equal(token_ids, self.pad_id)], axis=1)
        return ops.where(seen, 0.0, MASKED)[:, None, None]

    def encode_alike(self, shared, rest, token_ids, training=None):
        """See `TextTower`; with a causal mask, several texts share one row.

        A row [shared, rest of text 1, rest of text 2, ...] is one text of up to `PACKED` tokens
        with a mask that separates the rests, each at its original positions.
        """
        if not self.trims_exactly:
            return super().encode_alike(shared, rest, token_ids, training=training)
        g, (p, width) = ops.shape(shared)[0], shared.shape[1:]
        c, m = rest.shape[1:3]
        rows = -(-c // max(1, (PACKED - p) // m))
        size = -(-c // rows)  # texts per row; the last row is padded with the last text
        order = np.minimum(np.arange(rows * size), c - 1)
        rest = ops.broadcast_to(rest, (g, c, m, width))
        rest = ops.reshape(ops.take(rest, order, axis=1), (-1, size * m, width))
        x = ops.concatenate([ops.repeat(shared, rows, axis=0), rest], axis=1)
        place = np.concatenate([np.arange(p), np.tile(np.arange(p, p + m), size)])
        x = ops.cast(ops.add(x, ops.take(self.positions, place, axis=0)), self.compute_dtype)
        text = np.concatenate([np.full(p, -1), np.repeat(np.arange(size), m)])
        seen = (place[None] <= place[:, None]) & ((text[None] == text[:, None]) | (text[None] < 0))
        mask = np.where(seen, 0.0, MASKED).astype("float32")
        for block in self.blocks:
            x = block(x, attention_bias=mask, training=training)
        x = ops.reshape(x[:, p:], (-1, rows * size, m, width))[:, :c]
        end = np.argmax(np.asarray(token_ids) == self.end_id, axis=1) - p
        x = ops.take(ops.reshape(x, (-1, c * m, width)), np.arange(c) * m + end, axis=1)
        return self.norm_post(x)

    def get_config(self):
        sizes = "vocabulary_size context_length end_id width depth heads mlp_ratio"
        return {
            **super().get_config(),
            **attributes(self, f"{sizes} causal pooling pad_id epsilon"),
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout_rate,
        }
