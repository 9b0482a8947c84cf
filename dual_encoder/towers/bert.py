"""The bidirectional text transformer of BERT, RoBERTa and XLM-R."""

from typing import Any

import keras
from keras import ops

from dual_encoder.towers.base import TextTower
from dual_encoder.towers.layer_stack import in_turn
from dual_encoder.towers.transformer import MASKED, attributes, blocks, layer_norm, normal

POOLINGS = ("mean", "first", "pooler")


@keras.saving.register_keras_serializable("duet")
class Bert(TextTower):
    """A text tower: token ids [b, n], n up to `context_length`, -> features [b, width].

    Padding is masked, so rows may be cut after the longest text.

    Args:
        vocabulary_size: number of token ids.
        context_length: maximum number of tokens per text.
        pad_id: id of the padding, which comes after the text.
        width, depth, heads: of the transformer.
        mlp_ratio: hidden units of a block's mlp, as a multiple of the width.
        activation: of the mlp.
        pooling: `"mean"` (of the text's tokens), `"first"` (the first token's features) or
            `"pooler"` (the same, then a dense layer with tanh, as in BERT's training).
        positions: rows of the position table; by default, as many as needed.
        first_position: row of the first token: 0 in BERT, `pad_id + 1` in RoBERTa.
        segments: rows of the segment table, of which only the first is used; 0 for no table.
        epsilon: of the layer norms.
        dropout: rate of the embeddings and inside the blocks.

    Raises:
        ValueError: an unknown `pooling`, or fewer `positions` than the context needs.

    References: Devlin et al. 2019 (arXiv:1810.04805), section 3; Liu et al. 2019
    (arXiv:1907.11692); Conneau et al. 2020 (arXiv:1911.02116).
    """

    trims_exactly = True

    def __init__(
        self,
        vocabulary_size: int,
        context_length: int,
        *,
        pad_id: int,
        width: int,
        depth: int,
        heads: int,
        mlp_ratio: float = 4,
        activation: Any = "gelu",
        pooling: str = "pooler",
        positions: int | None = None,
        first_position: int = 0,
        segments: int = 2,
        epsilon: float = 1e-12,
        dropout: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if pooling not in POOLINGS:
            raise ValueError(f"pooling: expected one of {', '.join(POOLINGS)}; got {pooling!r}")
        needed = context_length + first_position
        if positions is not None and positions < needed:
            raise ValueError(
                f"context_length: expected at most the {positions - first_position} positions "
                f"of the tower; got {context_length}"
            )
        self.vocabulary_size, self.context_length = vocabulary_size, context_length
        self.pad_id, self.width, self.depth, self.heads = pad_id, width, depth, heads
        self.mlp_ratio, self.activation = mlp_ratio, keras.activations.get(activation)
        self.pooling, self.segments = pooling, segments
        self.positions, self.first_position = positions or needed, first_position
        self.epsilon, self.dropout_rate = epsilon, dropout
        self.output_dim = width
        self.norm = layer_norm(self, "norm")
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)
        self.blocks = blocks(self, norm_first=False)
        self.pooler = None
        if pooling == "pooler":
            self.pooler = keras.layers.Dense(
                width, activation="tanh", dtype=self.dtype_policy, name="pooler"
            )

    def build(self, input_shape=None):
        for name, rows in (
            ("token_embedding", self.vocabulary_size),
            ("position_embedding", self.positions),
            ("segment_embedding", self.segments),
        ):
            if rows:
                setattr(self, name, self.add_weight((rows, self.width), normal(), name=name))
        for layer in (self.norm, *self.blocks):
            layer.build((None, None, self.width))
        if self.pooler is not None:
            self.pooler.build((None, self.width))

    def encode(self, embeddings, token_ids, training=None):
        """Maps embeddings [b, n, width] to features [b, width]; `token_ids` [b, n] mark padding."""
        n = ops.shape(embeddings)[1]
        first = self.first_position
        x = ops.add(embeddings, self.position_embedding[first : first + n])
        x = ops.add(x, self.segment_embedding[0]) if self.segments else x
        x = self.dropout(self.norm(ops.cast(x, self.compute_dtype)), training=training)
        is_text = ops.not_equal(token_ids, self.pad_id)
        mask = ops.where(is_text, 0.0, MASKED)[:, None, None, :]
        x = in_turn(self.blocks, x, mask, training=training)
        if self.pooling == "mean":
            weight = ops.cast(is_text, "float32")[:, :, None]
            return ops.sum(ops.cast(x, "float32") * weight, axis=1) / ops.maximum(
                ops.sum(weight, axis=1), 1.0
            )
        return x[:, 0] if self.pooler is None else self.pooler(x[:, 0])

    def get_config(self):
        sizes = "vocabulary_size context_length pad_id width depth heads mlp_ratio"
        more = "pooling positions first_position segments epsilon"
        return {
            **super().get_config(),
            **attributes(self, f"{sizes} {more}"),
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout_rate,
        }
