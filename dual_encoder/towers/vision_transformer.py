"""Duet's own image transformer, as ViT and CLIP have it."""

from typing import Any

import keras
from keras import ops

from dual_encoder.towers.attention_pooling import ProbePooling
from dual_encoder.towers.base import ImageTower
from dual_encoder.towers.convnet import Convolutions
from dual_encoder.towers.layer_stack import in_turn
from dual_encoder.towers.transformer import attributes, blocks, layer_norm, normal

POOLINGS = ("token", "average", "attention")


@keras.saving.register_keras_serializable("duet")
class VisionTransformer(ImageTower):
    """An image tower: patches, pre-norm blocks, one vector; as ViT, CLIP and SigLIP have it.

    Pixels 0-255 [b, s, s, 3] -> features [b, width]. `stem="convolutions"` replaces the patch
    projection by stride-2 convolutions down to the same grid (Xiao et al. 2021, arXiv:2106.14881),
    which learns much faster on few images.

    Args:
        image_size: height and width s in pixels; must be divisible by `patch_size`, but see
            `crop_to_patches`.
        patch_size: pixels per side of a patch.
        width, depth, heads: of the transformer.
        mlp_ratio: hidden units of a block's mlp, in widths.
        activation: of the mlp.
        stem: `"patch"` or `"convolutions"`.
        patch_bias: whether the patch projection has a bias, as ViT and SigLIP; CLIP has none.
        pooling: `"token"` (class token, as ViT and CLIP), `"average"` or `"attention"` (a learned
            query, as SigLIP).
        crop_to_patches: whether pixels at the right and bottom that fill no patch are left out, as
            SigLIP's with patches of 14 in 384 pixels.
        pre_norm: a layer norm before the first block, as CLIP has.
        epsilon: of the layer norms.
        dropout: rate inside the blocks.
        kwargs: of `ImageTower`.

    Raises:
        ValueError: `patch_size` does not divide `image_size`, or is no power of two where
            convolutions halve it; an unknown `stem` or `pooling`.
    """

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        *,
        width: int,
        depth: int,
        heads: int,
        mlp_ratio: float = 4,
        activation: Any = "gelu",
        stem: str = "patch",
        patch_bias: bool = False,
        pooling: str = "token",
        crop_to_patches: bool = False,
        pre_norm: bool = False,
        epsilon: float = 1e-5,
        dropout: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(image_size, **kwargs)
        side = image_size - image_size % patch_size if crop_to_patches else image_size
        _check(side, patch_size, stem=stem, pooling=pooling)
        self.patch_size, self.grid = patch_size, image_size // patch_size
        self.width, self.depth, self.heads, self.mlp_ratio = width, depth, heads, mlp_ratio
        self.activation = keras.activations.get(activation)
        self.stem, self.patch_bias, self.pooling = stem, patch_bias, pooling
        self.crop_to_patches = crop_to_patches
        self.pre_norm, self.epsilon, self.dropout_rate = pre_norm, epsilon, dropout
        self.output_dim = width
        self.convolutions = self._stem() if stem == "convolutions" else None
        self.patch_embedding = keras.layers.Dense(
            width,
            use_bias=patch_bias or stem == "convolutions",
            dtype=self.dtype_policy,
            name="patch_embedding",
        )
        self.norm_pre = layer_norm(self, "norm_pre") if pre_norm else None
        self.blocks = blocks(self)
        self.norm_post = layer_norm(self, "norm_post")
        self.probe_pooling = self._probe_pooling() if pooling == "attention" else None

    def _probe_pooling(self):
        return ProbePooling(
            self.width,
            self.heads,
            round(self.mlp_ratio * self.width),
            activation=self.activation,
            epsilon=self.epsilon,
            dtype=self.dtype_policy,
            name="pooling",
        )

    def _stem(self):
        """Channels double at every step, from 16 or more to the width of the transformer."""
        steps = self.patch_size.bit_length() - 1
        doubling = (max(16, self.width >> (steps - 1 - i)) for i in range(steps))
        widths = [min(self.width, channels) for channels in doubling]
        return Convolutions(widths, dtype=self.dtype_policy, name="convolutions")

    def build(self, input_shape=None):
        tokens = self.grid**2 + (self.pooling == "token")
        features = self.patch_size**2 * 3
        if self.convolutions is not None:
            self.convolutions.build((None, self.image_size, self.image_size, 3))
            features = self.width
        self.patch_embedding.build((None, self.grid**2, features))
        if self.pooling == "token":
            self.class_token = self.add_weight((self.width,), normal(), name="class_token")
        self.positions = self.add_weight((tokens, self.width), normal(), name="positions")
        layers = (self.norm_pre, *self.blocks, self.norm_post, self.probe_pooling)
        for layer in filter(None, layers):
            layer.build((None, tokens, self.width))

    def call(self, image, training=None):
        x = self.patch_embedding(self._patches(self.normalize(image), training))
        if self.pooling == "token":
            token = ops.broadcast_to(self.class_token, (ops.shape(x)[0], 1, self.width))
            x = ops.concatenate([ops.cast(token, x.dtype), x], axis=1)
        x = x + ops.cast(self.positions, x.dtype)
        if self.norm_pre is not None:
            x = self.norm_pre(x)
        if self.pooling == "token":
            x = in_turn(self.blocks[:-1], x, training=training)
            for block in self.blocks[-1:]:  # which has to make no other token
                x = block(x, wanted=x[:, :1], training=training)
            return self.norm_post(x[:, 0])
        x = in_turn(self.blocks, x, training=training)
        if self.pooling == "attention":
            return self.probe_pooling(self.norm_post(x))
        return self.norm_post(ops.mean(x, axis=1))

    def _patches(self, x, training):
        """Pixels to [b, grid², features], rows first; a reshape and a matrix product are faster
        on a CPU than a convolution whose stride is its kernel."""
        if self.convolutions is not None:
            x = self.convolutions(x, training=training)
            return ops.reshape(x, (-1, self.grid**2, self.width))
        g, p = self.grid, self.patch_size
        if self.crop_to_patches:
            x = x[:, : g * p, : g * p]
        x = ops.transpose(ops.reshape(x, (-1, g, p, g, p, 3)), (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, g * g, p * p * 3))

    def get_config(self):
        sizes = "patch_size width depth heads mlp_ratio"
        return {
            **super().get_config(),
            **attributes(self, f"{sizes} stem patch_bias pooling crop_to_patches pre_norm epsilon"),
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout_rate,
        }


def _check(image_size: int, patch_size: int, *, stem: str, pooling: str) -> None:
    if image_size % patch_size:
        raise ValueError(
            f"image_size: expected a multiple of the patch size {patch_size}; got {image_size}"
        )
    for name, value, choices in (
        ("stem", stem, ("patch", "convolutions")),
        ("pooling", pooling, POOLINGS),
    ):
        if value not in choices:
            raise ValueError(f"{name}: expected one of {', '.join(choices)}; got {value!r}")
    if stem == "convolutions" and patch_size.bit_count() != 1:
        raise ValueError(
            f'patch_size: stem="convolutions" expects a power of two; got {patch_size}'
        )
