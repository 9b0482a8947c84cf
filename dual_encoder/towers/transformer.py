"""The transformer block of Duet's towers, and attention."""

from functools import partial
from typing import Any

import keras
from keras import ops

from dual_encoder.towers.layer_stack import kept

# Added to the scores of what is not to be seen: finite in half precision too, in which a row of
# padding alone would be NaN.
MASKED = -3e4


@keras.saving.register_keras_serializable("duet")
def quick_gelu(x):
    """Returns x · sigmoid(1.702 x), the activation of OpenAI's CLIP."""
    return x * ops.sigmoid(1.702 * x)


@keras.saving.register_keras_serializable("duet")
def gelu_tanh(x):
    """Returns the tanh approximation of GELU, as in Google's BERT and SigLIP."""
    return keras.activations.gelu(x, approximate=True)


def attention(query: Any, key: Any, value: Any, *, heads: int, bias: Any = None) -> Any:
    """Returns multi-head scaled dot-product attention: [b, m, d], 2 x [b, n, d] -> [b, m, d].

    `bias` is added to the scores: [m, n] or [b, 1, m, n], 0 or large negative.

    Reference: Vaswani et al. 2017 (arXiv:1706.03762), section 3.2.
    """
    d = query.shape[-1]

    def split(x):  # [b, heads, n, d / heads]
        return ops.transpose(ops.reshape(x, (-1, ops.shape(x)[1], heads, d // heads)), (0, 2, 1, 3))

    query, key, value = split(query), split(key), split(value)
    scores = ops.matmul(query * (d // heads) ** -0.5, ops.transpose(key, (0, 1, 3, 2)))
    if bias is not None:
        scores = scores + ops.cast(bias, scores.dtype)
    mixed = ops.matmul(ops.softmax(scores, axis=-1), value)
    return ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), (-1, ops.shape(mixed)[2], d))


def attention_of_few(
    query: Any, x: Any, key_value: tuple[Any, Any], *, heads: int, bias: Any = None
) -> Any:
    """Returns `attention` of a few queries without computing keys and values: -> [b, m, d].

    Uses (x K) q = x (K q) for the scores and p (x V) = (p x) V for the output. For m = 1 this needs
    a fiftieth of the arithmetic; it saves up to about m = d / heads.

    Args:
        query: [b, m, d].
        x: tokens, [b, n, d].
        key_value: kernel, [d, 2 d], and bias, [2 d], of the projection to keys and values. The
            keys' bias adds a constant to all scores of a query, which softmax cancels.
        heads: as for `attention`.
        bias: as for `attention`, with four axes.

    Reference: DeepSeek-AI 2024 (arXiv:2405.04434), section 2.1.2, absorbs projections too.
    """
    d = x.shape[-1]
    kernel, shift = key_value
    keys, values = ops.split(ops.reshape(kernel, (d, 2 * heads, d // heads)), 2, axis=1)
    query = ops.reshape(query * (d // heads) ** -0.5, (-1, ops.shape(query)[1], heads, d // heads))
    scores = ops.einsum("bhmd,bnd->bhmn", ops.einsum("bmhe,dhe->bhmd", query, keys), x)
    if bias is not None:
        scores = scores + ops.cast(bias, scores.dtype)
    mixed = ops.einsum("bhmn,bnd->bhmd", ops.softmax(scores, axis=-1), x)
    mixed = ops.einsum("bhmd,dhe->bmhe", mixed, values)
    return ops.reshape(mixed, (-1, ops.shape(mixed)[1], d)) + shift[d:]


def attention_to(
    query: Any, x: Any, dense: keras.layers.Dense, *, heads: int, bias: Any = None
) -> Any:
    """Attention of few queries [b, m, d] to tokens x [b, n, d], whose keys and values are the last
    2d outputs of a dense layer.

    Of one that is quantized only its call knows the scale: `attention_of_few` has no matrix then.
    """
    last = 2 * x.shape[-1]
    if quantization_of(dense) is not None:
        key, value = ops.split(dense(x)[..., -last:], 2, axis=-1)
        return attention(query, key, value, heads=heads, bias=bias)
    key_value = dense.kernel[:, -last:], dense.bias[-last:]
    return attention_of_few(query, x, key_value, heads=heads, bias=bias)


def query_of(x: Any, dense: keras.layers.Dense) -> Any:
    """The first d outputs of a dense layer for x [..., d]; see `attention_to`."""
    d = x.shape[-1]
    if quantization_of(dense) is not None:
        return dense(x)[..., :d]
    return ops.matmul(x, dense.kernel[:, :d]) + dense.bias[:d]


def quantization_of(layer: keras.layers.Layer) -> str | None:
    """Returns a layer's quantization mode, such as `"int8"`; None if not quantized."""
    if isinstance(layer, keras.Model):
        return None
    return getattr(layer.dtype_policy, "quantization_mode", None)


@keras.saving.register_keras_serializable("duet")
class TransformerBlock(keras.layers.Layer):
    """x + attention(norm(x)), then x + mlp(norm(x)); [b, n, d] -> [b, n, d].

    With `norm_first=False`, as in BERT: norm(x + attention(x)), then norm(x + mlp(x)).

    Args:
        width: d, of the tokens.
        heads: attention heads; must divide the width.
        mlp_dim: units of the hidden layer of the mlp.
        activation: of the hidden layer, a Keras activation.
        dropout: rate after attention and after the mlp.
        epsilon: of both layer norms.
        norm_first: whether norms come before attention and mlp, or after the sums.

    Raises:
        ValueError: `heads` does not divide `width`.

    Reference: Dosovitskiy et al. 2021 (arXiv:2010.11929), figure 1 and equations 2-3; Devlin et
    al. 2019 (arXiv:1810.04805), section 3.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        mlp_dim: int,
        *,
        activation: Any = "gelu",
        dropout: float = 0.0,
        epsilon: float = 1e-5,
        norm_first: bool = True,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if width % heads:
            raise ValueError(f"heads: expected a divisor of the width {width}; got {heads}")
        self.width, self.heads, self.mlp_dim = width, heads, mlp_dim
        self.activation = keras.activations.get(activation)
        self.dropout_rate, self.epsilon, self.norm_first = dropout, epsilon, norm_first
        dense = partial(keras.layers.Dense, dtype=self.dtype_policy)
        norm = partial(keras.layers.LayerNormalization, epsilon=epsilon, dtype=self.dtype_policy)
        self.norm_1 = norm(name="norm_1")
        self.query_key_value = dense(3 * width, name="query_key_value")
        self.attention_output = dense(width, name="attention_output")
        self.norm_2 = norm(name="norm_2")
        self.mlp_hidden = dense(mlp_dim, name="mlp_hidden")
        self.mlp_output = dense(width, name="mlp_output")
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def build(self, input_shape=None):
        tokens = (None, self.width)
        for layer in (self.norm_1, self.query_key_value, self.attention_output):
            layer.build(tokens)
        for layer in (self.norm_2, self.mlp_hidden):
            layer.build(tokens)
        self.mlp_output.build((None, self.mlp_dim))

    def call(self, x, attention_bias=None, training=None, wanted=None):
        """`attention_bias` is added to the scores: [n, n] or [b, 1, 1 or n, n].

        With `wanted`, some of the tokens [b, m, d], only these are queries: returns [b, m, d]; the
        bias broadcasts to [b, 1, m, n].
        """
        tokens, asking = ops.shape(x)[1], ops.shape(x if wanted is None else wanted)[1]

        def attend(y, x):
            if wanted is None:
                mixed = self._attend(x, tokens=tokens, bias=attention_bias)
            else:
                mixed = self._ask(y, x, asking=asking, tokens=tokens, bias=attention_bias)
            mixed = kept(ops.reshape(mixed, (-1, self.width)))
            return self.dropout(self.attention_output(mixed), training=training)

        # The gradient needs several arrays of this size, cheaper to recompute than to store.
        activate = keras.remat(self.activation) if training else self.activation

        def mlp(x):
            hidden = activate(kept(self.mlp_hidden(x)))
            return self.dropout(self.mlp_output(hidden), training=training)

        x = ops.reshape(x, (-1, self.width))  # as [b · n, d] every product is a plain matmul
        y = x if wanted is None else ops.reshape(wanted, (-1, self.width))
        if self.norm_first:
            normed = self.norm_1(x)
            y = kept(y + attend(normed if wanted is None else self.norm_1(y), normed))
            y = y + mlp(self.norm_2(y))
        else:
            y = self.norm_1(kept(y + attend(y, x)))
            y = self.norm_2(kept(y + mlp(y)))
        return ops.reshape(y, (-1, asking, self.width))

    def _attend(self, x, *, tokens, bias):
        """Self-attention of tokens in rows [b · n, d], within each image or text."""
        together = ops.reshape(kept(self.query_key_value(x)), (-1, tokens, 3 * self.width))
        query, key, value = ops.split(together, 3, axis=-1)
        return attention(query, key, value, heads=self.heads, bias=bias)

    def _ask(self, y, x, *, asking, tokens, bias):
        """Attention with queries y to tokens x, both in rows."""
        d, project = self.width, self.query_key_value
        query = ops.reshape(query_of(y, project), (-1, asking, d))
        x = ops.reshape(x, (-1, tokens, d))
        return attention_to(query, x, project, heads=self.heads, bias=bias)

    def get_config(self):
        return {
            **super().get_config(),
            **attributes(self, "width heads mlp_dim epsilon norm_first"),
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout_rate,
        }


def blocks(tower: keras.layers.Layer, *, norm_first: bool = True) -> list[TransformerBlock]:
    """Returns the blocks of a tower, by its attributes `depth`, `width`, `heads` and so on."""
    return [
        TransformerBlock(
            tower.width,
            tower.heads,
            round(tower.mlp_ratio * tower.width),
            activation=tower.activation,
            dropout=tower.dropout_rate,
            epsilon=tower.epsilon,
            norm_first=norm_first,
            dtype=tower.dtype_policy,
            name=f"block_{i}",
        )
        for i in range(tower.depth)
    ]


def layer_norm(tower: keras.layers.Layer, name: str) -> keras.layers.Layer:
    """Returns a layer norm of a tower, with the epsilon of its blocks."""
    return keras.layers.LayerNormalization(
        epsilon=tower.epsilon, dtype=tower.dtype_policy, name=name
    )


def normal() -> keras.initializers.Initializer:
    """Returns the initializer of tokens and positions: standard deviation 0.02 (ViT, BERT)."""
    return keras.initializers.RandomNormal(stddev=0.02)


def attributes(layer: keras.layers.Layer, names: str) -> dict[str, Any]:
    """Returns attributes of a layer by name, for its configuration."""
    return {name: getattr(layer, name) for name in names.split()}
