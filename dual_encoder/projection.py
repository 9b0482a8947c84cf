"""Projection heads: from a tower's features to the shared embedding space."""

from functools import partial
from typing import Any

import keras


@keras.saving.register_keras_serializable("duet")
class ProjectionHead(keras.layers.Layer):
    """Linear projection, then residual layers: [b, d] -> [b, units].

    `depth=0` is CLIP's bias-free linear projection. `depth=1` is the captions study's head
    (256 units, dropout 0.1): project, then x + dropout(dense(gelu(x))), then layer norm.

    Args:
        units: size e of the shared space.
        depth: residual layers after the projection.
        dropout: rate inside each residual layer.
    """

    def __init__(self, units: int, *, depth: int = 0, dropout: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.units, self.depth, self.dropout_rate = units, depth, dropout
        dense = partial(keras.layers.Dense, dtype=self.dtype_policy)
        norm = partial(keras.layers.LayerNormalization, epsilon=1e-5, dtype=self.dtype_policy)
        self.projection = dense(units, use_bias=depth > 0, name="projection")
        self.hidden = [dense(units, name=f"hidden_{i}") for i in range(depth)]
        self.norms = [norm(name=f"norm_{i}") for i in range(depth)]
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def build(self, input_shape):
        self.projection.build(input_shape)
        for layer in (*self.hidden, *self.norms):
            layer.build((*input_shape[:-1], self.units))

    def call(self, x, training=None):
        x = self.projection(x)
        for hidden, norm in zip(self.hidden, self.norms, strict=True):
            update = hidden(keras.activations.gelu(x))
            x = norm(x + self.dropout(update, training=training))
        return x

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        options = {"units": self.units, "depth": self.depth, "dropout": self.dropout_rate}
        return {**super().get_config(), **options}


def siglip_heads(embed_dim: int) -> dict[str, Any]:
    """What `DualEncoder` is given for SigLIP's heads: none behind images, a Dense behind texts."""
    return {
        "embed_dim": embed_dim,
        "image_projection": keras.layers.Identity(name="image_projection"),
        "text_projection": keras.layers.Dense(embed_dim, name="text_projection"),
        "loss_name": "sigmoid",
    }


def with_image_matrix(model: Any, matrix: Any) -> Any:
    """Return a dual encoder with the towers of `model`, whose image embeddings are multiplied by
    a matrix [e, e] at their end; `model` stays as it is."""
    side = keras.layers.Dense(model.embed_dim, use_bias=False, dtype="float32", name="matrix")
    both = keras.Sequential([model.image_projection, side], name="image_projection")
    both.build((None, model.image_tower.output_dim))
    side.kernel.assign(matrix)
    found = type(model)(
        model.image_tower,
        model.text_tower,
        embed_dim=model.embed_dim,
        projection_depth=model.projection_depth,
        dropout=model.dropout_rate,
        image_projection=both,
        text_projection=model.text_projection,
        loss_name=model.loss_name,
        temperature=model.temperature,
        tokenizer=model.tokenizer,
        dtype=model.dtype_policy,
    )
    found.build()
    for name in ("log_scale", "logit_bias"):
        if hasattr(model, name):
            getattr(found, name).assign(getattr(model, name))
    return found
