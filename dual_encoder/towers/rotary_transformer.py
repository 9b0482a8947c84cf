"""Image transformers with rotary positions, gated MLPs or extra norms: EVA, PE-Core, DINOv3."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import keras
from keras import ops

from dual_encoder.towers.attention_pooling import ProbePooling
from dual_encoder.towers.base import ImageTower
from dual_encoder.towers.layer_stack import in_turn, kept
from dual_encoder.towers.rotary_positions import (
    LAYOUTS,
    centered_angles,
    grid_angles,
    turned,
    waves,
)
from dual_encoder.towers.transformer import attention, attributes, layer_norm, normal

POOLINGS = ("token", "attention")


@keras.saving.register_keras_serializable("duet")
class RotaryBlock(keras.layers.Layer):
    """x + attention(norm(x)), then x + mlp(norm(x)), with rotary positions: [b, n, d] -> same.

    Args:
        width: d.
        heads: attention heads; must divide the width.
        mlp_dim: units of the hidden layer of the mlp.
        activation: of the hidden layer, or of its gate.
        gated: whether the hidden layer is multiplied by an activated gate, as in SwiGLU.
        inner_norms: whether attention output and hidden layer are normalised before their
            projection, as in EVA-02.
        norm_first: whether the norms come before attention and mlp; else after them, before the
            sums, as in EVA-02-E.
        epsilon: of all layer norms.
        layout: of the angles, `"pairs"` or `"halves"`; see `rotary_positions.waves`.

    References: Fang et al. 2023 (arXiv:2303.11331), section 2.1; Shazeer 2020 (arXiv:2002.05202).
    """

    def __init__(
        self,
        width: int,
        heads: int,
        mlp_dim: int,
        *,
        activation: Any = "gelu",
        gated: bool = False,
        inner_norms: bool = False,
        norm_first: bool = True,
        epsilon: float = 1e-6,
        layout: str = "pairs",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if width % heads:
            raise ValueError(f"heads: expected a divisor of the width {width}; got {heads}")
        if layout not in LAYOUTS:
            raise ValueError(f"layout: expected one of {', '.join(LAYOUTS)}; got {layout!r}")
        self.width, self.heads, self.mlp_dim = width, heads, mlp_dim
        self.activation = keras.activations.get(activation)
        self.gated, self.inner_norms, self.norm_first = gated, inner_norms, norm_first
        self.epsilon, self.layout = epsilon, layout
        dense = partial(keras.layers.Dense, dtype=self.dtype_policy)
        norm = partial(keras.layers.LayerNormalization, epsilon=epsilon, dtype=self.dtype_policy)
        self.norm_1, self.norm_2 = norm(name="norm_1"), norm(name="norm_2")
        self.query_key_value = dense(3 * width, name="query_key_value")
        self.attention_norm = norm(name="attention_norm") if inner_norms else None
        self.attention_output = dense(width, name="attention_output")
        self.mlp_gate = dense(mlp_dim, name="mlp_gate") if gated else None
        self.mlp_hidden = dense(mlp_dim, name="mlp_hidden")
        self.mlp_norm = norm(name="mlp_norm") if inner_norms else None
        self.mlp_output = dense(width, name="mlp_output")

    def build(self, input_shape=None):
        tokens, hidden = (None, None, self.width), (None, None, self.mlp_dim)
        layers = (self.norm_1, self.query_key_value, self.attention_norm, self.attention_output)
        for layer in filter(None, (*layers, self.norm_2, self.mlp_gate, self.mlp_hidden)):
            layer.build(tokens)
        for layer in filter(None, (self.mlp_norm, self.mlp_output)):
            layer.build(hidden)

    def call(self, x, cosines=None, sines=None, training=None):
        """`cosines` and `sines` [n, d / heads] of every token's angles; None for no rotation."""
        if self.norm_first:
            x = kept(x + self._attend(self.norm_1(x), cosines, sines))
            return x + self._mlp(self.norm_2(x))
        x = kept(x + self.norm_1(self._attend(x, cosines, sines)))
        return x + self.norm_2(self._mlp(x))

    def _attend(self, x, cosines, sines):
        query, key, value = ops.split(kept(self.query_key_value(x)), 3, axis=-1)
        if cosines is not None:
            turn = partial(turned, heads=self.heads, layout=self.layout)
            query, key = turn(query, cosines, sines), turn(key, cosines, sines)
        mixed = attention(query, key, value, heads=self.heads)
        mixed = mixed if self.attention_norm is None else self.attention_norm(mixed)
        return self.attention_output(kept(mixed))

    def _mlp(self, x):
        hidden = kept(self.mlp_hidden(x))
        if self.mlp_gate is None:
            hidden = self.activation(hidden)
        else:
            hidden = self.activation(kept(self.mlp_gate(x))) * hidden
        hidden = hidden if self.mlp_norm is None else self.mlp_norm(hidden)
        return self.mlp_output(hidden)

    def get_config(self):
        names = "width heads mlp_dim gated inner_norms norm_first epsilon layout"
        return {
            **super().get_config(),
            **attributes(self, names),
            "activation": keras.activations.serialize(self.activation),
        }


@keras.saving.register_keras_serializable("duet")
class RotaryTransformer(ImageTower):
    """An image tower: pixels 0-255 [b, s, s, 3] -> features [b, width] by `RotaryBlock`s.

    Covers EVA-01, EVA-02, PE-Core and DINOv3; `angles` encode patch positions in addition to or
    instead of a position table.

    Args:
        image_size: height and width s in pixels; must be divisible by `patch_size`.
        patch_size: pixels per side of a patch.
        width, depth, heads: of the transformer.
        mlp_dim: units of the hidden layer of a block's mlp.
        activation, gated, inner_norms, norm_first, epsilon, layout: of `RotaryBlock`.
        angles: arguments of `grid_angles` or, without `reference`, of `centered_angles`; None for
            no rotary positions.
        positions: whether a position table is added to the tokens.
        class_token: whether there is a class token.
        registers: number of register tokens (without position) after the class token.
        patch_bias: whether the patch projection has a bias.
        pre_norm: whether there is a layer norm before the first block.
        pooling: `"token"` or `"attention"` of all tokens.
        pooling_heads, pooling_mlp_dim: of the pooling's attention.
        kwargs: of `ImageTower`.

    Raises:
        ValueError: `patch_size` does not divide `image_size`, or an unknown `pooling`.

    References: Sun et al. 2023 (arXiv:2303.15389); Bolya et al. 2025 (arXiv:2504.13181); Siméoni
    et al. 2025 (arXiv:2508.10104).
    """

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        *,
        width: int,
        depth: int,
        heads: int,
        mlp_dim: int,
        activation: Any = "gelu",
        gated: bool = False,
        inner_norms: bool = False,
        norm_first: bool = True,
        angles: Mapping[str, Any] | None = None,
        layout: str = "pairs",
        positions: bool = True,
        class_token: bool = True,
        registers: int = 0,
        patch_bias: bool = True,
        pre_norm: bool = False,
        pooling: str = "token",
        pooling_heads: int = 8,
        pooling_mlp_dim: int = 0,
        epsilon: float = 1e-6,
        **kwargs: Any,
    ):
        super().__init__(image_size, **kwargs)
        if image_size % patch_size:
            raise ValueError(
                f"image_size: expected a multiple of the patch size {patch_size}; got {image_size}"
            )
        if pooling not in POOLINGS:
            raise ValueError(f"pooling: expected one of {', '.join(POOLINGS)}; got {pooling!r}")
        self.patch_size, self.grid = patch_size, image_size // patch_size
        self.width, self.depth, self.heads, self.mlp_dim = width, depth, heads, mlp_dim
        self.activation = keras.activations.get(activation)
        self.gated, self.inner_norms, self.norm_first = gated, inner_norms, norm_first
        self.angles, self.layout = dict(angles) if angles is not None else None, layout
        self.has_positions, self.has_class_token = positions, class_token
        self.registers, self.patch_bias, self.pre_norm = registers, patch_bias, pre_norm
        self.pooling, self.pooling_heads = pooling, pooling_heads
        self.pooling_mlp_dim, self.epsilon = pooling_mlp_dim, epsilon
        self.output_dim = width
        self._make_layers()

    def _make_layers(self):
        self.patch_embedding = keras.layers.Dense(
            self.width, use_bias=self.patch_bias, dtype=self.dtype_policy, name="patch_embedding"
        )
        self.norm_pre = layer_norm(self, "norm_pre") if self.pre_norm else None
        options = attributes(self, "activation gated inner_norms norm_first epsilon layout")
        make = partial(RotaryBlock, self.width, self.heads, self.mlp_dim, **options)
        self.blocks = [make(dtype=self.dtype_policy, name=f"block_{i}") for i in range(self.depth)]
        self.norm_post = layer_norm(self, "norm_post")
        self.probe_pooling = None
        if self.pooling == "attention":
            self.probe_pooling = ProbePooling(
                self.width,
                self.pooling_heads,
                self.pooling_mlp_dim or 4 * self.width,
                epsilon=self.epsilon,
                dtype=self.dtype_policy,
                name="pooling",
            )

    def build(self, input_shape=None):
        tokens = (None, None, self.width)
        self.patch_embedding.build((None, self.grid**2, self.patch_size**2 * 3))
        if self.has_class_token:
            self.class_token = self.add_weight((self.width,), normal(), name="class_token")
        if self.registers:
            shape = (self.registers, self.width)
            self.register_tokens = self.add_weight(shape, normal(), name="register_tokens")
        if self.has_positions:
            shape = (self.grid**2 + self.has_class_token, self.width)
            self.positions = self.add_weight(shape, normal(), name="positions")
        layers = (self.norm_pre, *self.blocks, self.norm_post, self.probe_pooling)
        for layer in filter(None, layers):
            layer.build(tokens)

    def call(self, image, training=None):
        x = self._tokens(self.patch_embedding(self._patches(self.normalize(image))))
        x = x if self.norm_pre is None else self.norm_pre(x)
        x = in_turn(self.blocks, x, *self._waves(), training=training)
        if self.probe_pooling is not None:
            return self.probe_pooling(self.norm_post(x))
        return self.norm_post(x[:, 0])

    def _waves(self) -> tuple[Any, ...]:
        """Returns cosines and sines of all tokens."""
        if self.angles is None:
            return ()
        make = grid_angles if "reference" in self.angles else centered_angles
        angles = make(self.grid, self.width // self.heads, **self.angles)
        prefix = int(self.has_class_token) + self.registers
        return waves(angles, prefix=prefix, layout=self.layout)

    def _tokens(self, x):
        """Returns patches with positions, after the class token and registers, if any."""
        b = ops.shape(x)[0]

        def repeated(token):
            return ops.cast(ops.broadcast_to(token, (b, *token.shape[-2:])), x.dtype)

        if self.has_class_token:
            x = ops.concatenate([repeated(self.class_token[None]), x], axis=1)
        if self.has_positions:
            x = x + ops.cast(self.positions, x.dtype)
        if self.registers:
            first = int(self.has_class_token)
            parts = [x[:, :first], repeated(self.register_tokens), x[:, first:]]
            x = ops.concatenate(parts, axis=1)
        return x

    def _patches(self, x):
        g, p = self.grid, self.patch_size
        x = ops.transpose(ops.reshape(x, (-1, g, p, g, p, 3)), (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, g * g, p * p * 3))

    def get_config(self):
        names = "patch_size width depth heads mlp_dim gated inner_norms norm_first angles layout"
        more = "registers patch_bias pre_norm pooling pooling_heads pooling_mlp_dim epsilon"
        return {
            **super().get_config(),
            **attributes(self, f"{names} {more}"),
            "activation": keras.activations.serialize(self.activation),
            "positions": self.has_positions,
            "class_token": self.has_class_token,
        }
