"""Pre-norm transformers, as ViT and CLIP have them: one block, an image and a text encoder."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable("duet")
def quick_gelu(x):
    """x · sigmoid(1.702 x), the activation of OpenAI's CLIP."""
    return x * ops.sigmoid(1.702 * x)


@keras.saving.register_keras_serializable("duet")
class TransformerBlock(keras.layers.Layer):
    """x + attention(norm(x)), then x + mlp(norm(x)); [b, n, d] -> [b, n, d].

    Args:
        width: d, of the tokens.
        heads: attention heads; must divide the width.
        mlp_dim: units of the hidden layer of the mlp.
        activation: of the hidden layer, a Keras activation.
        dropout: rate after attention and after the mlp.
        epsilon: of both layer norms.

    Raises:
        ValueError: `heads` does not divide `width`.

    Reference: Dosovitskiy et al. 2021 (arXiv:2010.11929), figure 1 and equations 2-3.
    """

    def __init__(
        self, width, heads, mlp_dim, *, activation="gelu", dropout=0.0, epsilon=1e-5, **kwargs
    ):
        super().__init__(**kwargs)
        if width % heads:
            raise ValueError(f"heads: expected a divisor of the width {width}; got {heads}")
        self.width, self.heads, self.mlp_dim = width, heads, mlp_dim
        self.activation = keras.activations.get(activation)
        self.dropout_rate, self.epsilon = dropout, epsilon
        dense, norm = keras.layers.Dense, keras.layers.LayerNormalization
        self.norm_1 = norm(epsilon=epsilon, name="norm_1")
        self.query_key_value = dense(3 * width, name="query_key_value")
        self.attention_output = dense(width, name="attention_output")
        self.norm_2 = norm(epsilon=epsilon, name="norm_2")
        self.mlp_hidden = dense(mlp_dim, activation=self.activation, name="mlp_hidden")
        self.mlp_output = dense(width, name="mlp_output")
        self.dropout = keras.layers.Dropout(dropout)

    def build(self, input_shape=None):
        tokens = (None, None, self.width)
        for layer in (self.norm_1, self.query_key_value, self.attention_output):
            layer.build(tokens)
        for layer in (self.norm_2, self.mlp_hidden):
            layer.build(tokens)
        self.mlp_output.build((None, None, self.mlp_dim))

    def call(self, x, attention_bias=None, training=None):
        """`attention_bias` is added to the scores: [n, n] or [b, 1, n, n], 0 or very negative."""
        x = x + self.dropout(self._attend(self.norm_1(x), attention_bias), training=training)
        return x + self.dropout(self.mlp_output(self.mlp_hidden(self.norm_2(x))), training=training)

    def _attend(self, x, bias):
        _, n, d = ops.shape(x)
        split = ops.reshape(self.query_key_value(x), (-1, n, 3, self.heads, d // self.heads))
        query, key, value = ops.unstack(ops.transpose(split, (2, 0, 3, 1, 4)), axis=0)  # [b,h,n,k]
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) * (d // self.heads) ** -0.5
        if bias is not None:
            scores = scores + ops.cast(bias, scores.dtype)
        mixed = ops.matmul(ops.softmax(scores, axis=-1), value)
        return self.attention_output(ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), (-1, n, d)))

    def get_config(self):
        return {
            **super().get_config(),
            **_attributes(self, "width heads mlp_dim"),
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout_rate,
            "epsilon": self.epsilon,
        }


@keras.saving.register_keras_serializable("duet")
class VisionTransformer(keras.layers.Layer):
    """An image tower: patches, class token or average, pre-norm blocks.

    Pixels 0-255 [b, s, s, 3] -> features [b, width]. `stem="convolutions"` replaces the patch
    projection by stride-2 convolutions down to the same grid (Xiao et al. 2021, arXiv:2106.14881),
    which learns much faster on few pictures.

    Args:
        image_size: height and width s in pixels; must be divisible by `patch_size`.
        patch_size: pixels per side of a patch.
        width, depth, heads: of the transformer.
        mlp_ratio: hidden units of a block's mlp, in widths.
        activation: of the mlp.
        stem: `"patch"` or `"convolutions"`.
        pooling: `"token"` (class token, as ViT and CLIP) or `"average"`.
        pre_norm: a layer norm before the first block, as CLIP has.
        dropout: rate inside the blocks.
        mean, std: per channel, of pixels in 0-1.

    Raises:
        ValueError: `image_size` is not divisible by `patch_size`, or an unknown `stem`/`pooling`.
    """

    def __init__(
        self,
        image_size,
        patch_size,
        *,
        width,
        depth,
        heads,
        mlp_ratio=4,
        activation="gelu",
        stem="patch",
        pooling="token",
        pre_norm=False,
        dropout=0.0,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        **kwargs,
    ):
        super().__init__(**kwargs)
        if image_size % patch_size:
            raise ValueError(
                f"image_size: expected a multiple of the patch size {patch_size}; got {image_size}"
            )
        _check_choice("stem", stem, ("patch", "convolutions"))
        _check_choice("pooling", pooling, ("token", "average"))
        self.image_size, self.patch_size = image_size, patch_size
        self.width, self.depth, self.heads, self.mlp_ratio = width, depth, heads, mlp_ratio
        self.activation = keras.activations.get(activation)
        self.stem, self.pooling, self.pre_norm = stem, pooling, pre_norm
        self.dropout_rate, self.mean, self.std = dropout, tuple(mean), tuple(std)
        self.output_dim = width
        self.grid = image_size // patch_size
        if stem == "convolutions":
            self.convolutions = self._convolutions()
        self.patch_embedding = keras.layers.Dense(
            width, use_bias=stem == "convolutions", name="patch_embedding"
        )
        self.norm_pre = _norm("norm_pre") if pre_norm else None
        self.blocks = _blocks(self)
        self.norm_post = _norm("norm_post")

    def _convolutions(self):
        steps = int(np.log2(self.patch_size))
        if 2**steps != self.patch_size:
            raise ValueError(
                f'patch_size: stem="convolutions" expects a power of two; got {self.patch_size}'
            )
        widths = [max(16, self.width >> (steps - 1 - i)) for i in range(steps)]
        return [
            keras.layers.Conv2D(
                width, 3, 2, "same", activation=self.activation, name=f"convolution_{i}"
            )
            for i, width in enumerate(widths)
        ]

    def build(self, input_shape=None):
        tokens = self.grid**2 + (self.pooling == "token")
        shape = (None, self.image_size, self.image_size, 3)
        for layer in getattr(self, "convolutions", ()):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        features = shape[-1] if self.stem == "convolutions" else self.patch_size**2 * 3
        self.patch_embedding.build((None, self.grid**2, features))
        if self.pooling == "token":
            self.class_token = self.add_weight((self.width,), _NORMAL, name="class_token")
        self.positions = self.add_weight((tokens, self.width), _NORMAL, name="positions")
        for layer in filter(None, (self.norm_pre, *self.blocks, self.norm_post)):
            layer.build((None, tokens, self.width))

    def call(self, image, training=None):
        mean, std = np.array(self.mean) * 255, np.array(self.std) * 255
        x = (ops.cast(image, self.compute_dtype) - mean) / std
        x = self.patch_embedding(self._patches(x))
        if self.pooling == "token":
            token = ops.broadcast_to(self.class_token, (ops.shape(x)[0], 1, self.width))
            x = ops.concatenate([ops.cast(token, x.dtype), x], axis=1)
        x = x + ops.cast(self.positions, x.dtype)
        if self.norm_pre is not None:
            x = self.norm_pre(x)
        for block in self.blocks:
            x = block(x, training=training)
        x = x[:, 0] if self.pooling == "token" else ops.mean(x, axis=1)
        return self.norm_post(x)

    def _patches(self, x):
        """Pixels to [b, grid², features], rows first; a reshape and a matrix product are faster
        on a CPU than a convolution whose stride is its kernel."""
        if self.stem == "convolutions":
            for layer in self.convolutions:
                x = layer(x)
            return ops.reshape(x, (-1, self.grid**2, x.shape[-1]))
        g, p = self.grid, self.patch_size
        x = ops.transpose(ops.reshape(x, (-1, g, p, g, p, 3)), (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, g * g, p * p * 3))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.output_dim)

    def get_config(self):
        return {
            **super().get_config(),
            **_attributes(self, "image_size patch_size width depth heads mlp_ratio stem pooling"),
            "pre_norm": self.pre_norm,
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout_rate,
            "mean": self.mean,
            "std": self.std,
        }


@keras.saving.register_keras_serializable("duet")
class TextTransformer(keras.layers.Layer):
    """A text tower: causal transformer, features of the end-of-text token, as in CLIP.

    Token ids [b, n], n up to `context_length`, -> features [b, width]. A causal mask lets no token
    see what follows it, so rows may be cut behind the longest text without changing the result.

    Args:
        vocabulary_size: number of token ids.
        context_length: most tokens per text.
        end_id: id of the end-of-text token; the first one in a row counts.
        width, depth, heads: of the transformer.
        mlp_ratio: hidden units of a block's mlp, in widths.
        activation: of the mlp.
        dropout: rate inside the blocks.

    Reference: Radford et al. 2021 (arXiv:2103.00020), section 2.4.
    """

    trims_exactly = True

    def __init__(
        self,
        vocabulary_size,
        context_length,
        *,
        end_id,
        width,
        depth,
        heads,
        mlp_ratio=4,
        activation="gelu",
        dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.vocabulary_size, self.context_length = vocabulary_size, context_length
        self.end_id = end_id
        self.width, self.depth, self.heads, self.mlp_ratio = width, depth, heads, mlp_ratio
        self.activation = keras.activations.get(activation)
        self.dropout_rate = dropout
        self.output_dim = width
        self.blocks = _blocks(self)
        self.norm_post = _norm("norm_post")

    def build(self, input_shape=None):
        tokens = (self.vocabulary_size, self.width)
        self.token_embedding = self.add_weight(tokens, _NORMAL, name="token_embedding")
        positions = (self.context_length, self.width)
        self.positions = self.add_weight(positions, _NORMAL, name="positions")
        for layer in (*self.blocks, self.norm_post):
            layer.build((None, self.context_length, self.width))

    def call(self, token_ids, training=None):
        n = token_ids.shape[1]
        if n > self.context_length:
            raise ValueError(
                f"token_ids: expected at most {self.context_length} tokens per text; got {n}"
            )
        x = ops.take(self.token_embedding, token_ids, axis=0) + self.positions[:n]
        x = ops.cast(x, self.compute_dtype)
        causal = np.triu(np.full((n, n), -1e9, "float32"), k=1)
        for block in self.blocks:
            x = block(x, attention_bias=causal, training=training)
        end = ops.argmax(ops.cast(ops.equal(token_ids, self.end_id), "int32"), axis=1)
        x = ops.take_along_axis(x, ops.reshape(end, (-1, 1, 1)), axis=1)[:, 0]
        return self.norm_post(x)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.output_dim)

    def get_config(self):
        return {
            **super().get_config(),
            **_attributes(self, "vocabulary_size context_length end_id width depth heads"),
            "mlp_ratio": self.mlp_ratio,
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout_rate,
        }


_NORMAL = keras.initializers.RandomNormal(stddev=0.02)


def _norm(name):
    return keras.layers.LayerNormalization(epsilon=1e-5, name=name)


def _blocks(tower):
    return [
        TransformerBlock(
            tower.width,
            tower.heads,
            tower.mlp_ratio * tower.width,
            activation=tower.activation,
            dropout=tower.dropout_rate,
            name=f"block_{i}",
        )
        for i in range(tower.depth)
    ]


def _attributes(layer, names):
    return {name: getattr(layer, name) for name in names.split()}


def _check_choice(name, value, choices):
    if value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(choices)}; got {value!r}")
