"""Duet's image transformer, as in ViT and CLIP."""

from typing import Any

import keras
from keras import ops

from dual_encoder.towers.attention_pooling import ProbePooling, QueryPooling
from dual_encoder.towers.base import ImageTower
from dual_encoder.towers.layer_stack import in_turn
from dual_encoder.towers.patches import NestedPatches, in_patches
from dual_encoder.towers.small_convolutional_tower import Convolutions
from dual_encoder.towers.transformer import attributes, blocks, layer_norm, normal

POOLINGS = ("token", "average", "attention", "query")

STEMS = ("patch", "convolutions", "nested")


@keras.saving.register_keras_serializable("duet")
class VisionTransformer(ImageTower):
    """An image tower: patches, pre-norm blocks and pooling, as in ViT, CLIP and SigLIP.

    Pixels 0-255 [b, s, s, 3] -> features [b, width]. `stem="convolutions"` replaces the patch
    projection by stride-2 convolutions down to the same grid (Xiao et al. 2021, arXiv:2106.14881),
    which learns much faster on few images; `"nested"` by three projections, of patches a quarter as
    large and twice of 2 x 2 of them, as MobileCLIP-B.

    Args:
        image_size: height and width s in pixels; must be divisible by `patch_size`, but see
            `crop_to_patches`.
        patch_size: pixels per side of a patch.
        width, depth, heads: of the transformer.
        mlp_ratio: hidden units of a block's mlp, as a multiple of the width.
        activation: of the mlp.
        stem: `"patch"`, `"convolutions"` or `"nested"`.
        patch_bias: whether the patch projection has a bias (ViT and SigLIP, not CLIP).
        pooling: `"token"` (class token, as ViT and CLIP), `"average"` of the patches, `"attention"`
            (a learned query, as SigLIP) or `"query"` (CoCa's attention pooling).
        class_token: whether there is a class token; by default if the pooling needs it.
        registers: register tokens (without position) after the class token, as in DINOv2.
        pooled: of the pooling `"query"`: (units, heads).
        crop_to_patches: whether to drop incomplete patches at the right and bottom, as SigLIP with
            patches of 14 in 384 pixels.
        pre_norm: whether there is a layer norm before the first block, as in CLIP.
        epsilon: of the layer norms.
        dropout: rate inside the blocks.
        kwargs: of `ImageTower`.

    Raises:
        ValueError: `patch_size` does not divide `image_size`, or is no power of two with
            `stem="convolutions"` or no multiple of 4 with `"nested"`; an unknown `stem` or
            `pooling`.
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
        class_token: bool | None = None,
        registers: int = 0,
        pooled: tuple[int, int] | None = None,
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
        self.pre_norm, self.epsilon, self.dropout_rate = pre_norm, epsilon, dropout
        self.has_class_token = pooling == "token" if class_token is None else class_token
        self.registers, self.pooled, self.crop_to_patches = registers, pooled, crop_to_patches
        self.output_dim = pooled[0] if pooled else width
        self.convolutions = self._stem()
        self.patch_embedding = keras.layers.Dense(
            width,
            use_bias=patch_bias or stem != "patch",
            dtype=self.dtype_policy,
            name="patch_embedding",
        )
        self.norm_pre = layer_norm(self, "norm_pre") if pre_norm else None
        self.blocks = blocks(self)
        self.norm_post = layer_norm(self, "norm_post")
        self.probe_pooling = self._attention_pooling()

    def _attention_pooling(self):
        options = {"epsilon": self.epsilon, "dtype": self.dtype_policy, "name": "pooling"}
        if self.pooling == "query":
            return QueryPooling(*self.pooled, **options)
        if self.pooling != "attention":
            return None
        return ProbePooling(
            self.width,
            self.heads,
            round(self.mlp_ratio * self.width),
            activation=self.activation,
            **options,
        )

    def _stem(self):
        """Returns what comes before the patch projection, if anything.

        The channels of convolutions double from at least 16 to the transformer's width.
        """
        if self.stem == "patch":
            return None
        if self.stem == "nested":
            side, width = self.patch_size // 4, self.width // 4
            return NestedPatches(side, width, dtype=self.dtype_policy, name="nested")
        steps = self.patch_size.bit_length() - 1
        doubling = (max(16, self.width >> (steps - 1 - i)) for i in range(steps))
        widths = [min(self.width, channels) for channels in doubling]
        return Convolutions(widths, dtype=self.dtype_policy, name="convolutions")

    def build(self, input_shape=None):
        tokens = self.grid**2 + self.has_class_token
        features = self.patch_size**2 * 3
        if self.convolutions is not None:
            self.convolutions.build((None, self.image_size, self.image_size, 3))
            features = self.width  # of one place, or of 2 x 2 with a quarter each
        self.patch_embedding.build((None, self.grid**2, features))
        if self.has_class_token:
            self.class_token = self.add_weight((self.width,), normal(), name="class_token")
        self.positions = self.add_weight((tokens, self.width), normal(), name="positions")
        if self.registers:
            shape = (self.registers, self.width)
            self.register_tokens = self.add_weight(shape, normal(), name="register_tokens")
        for layer in filter(None, (self.norm_pre, *self.blocks, self.probe_pooling)):
            layer.build((None, tokens, self.width))
        self.norm_post.build((None, self.output_dim))

    def call(self, image, training=None):
        x = self._tokens(self.patch_embedding(self._patches(self.normalize(image), training)))
        if self.norm_pre is not None:
            x = self.norm_pre(x)
        if self.pooling == "token":
            x = in_turn(self.blocks[:-1], x, training=training)
            for block in self.blocks[-1:]:  # computes only the wanted token
                x = block(x, wanted=x[:, :1], training=training)
            return self.norm_post(x[:, 0])
        x = in_turn(self.blocks, x, training=training)
        if self.pooling == "attention":
            return self.probe_pooling(self.norm_post(x))
        if self.pooling == "query":
            return self.norm_post(self.probe_pooling(x))
        return self.norm_post(ops.mean(x[:, self.has_class_token + self.registers :], axis=1))

    def _tokens(self, x):
        """Returns patches with positions, after the class token and registers, if any."""
        b = ops.shape(x)[0]
        positions = ops.cast(self.positions, x.dtype)
        if self.has_class_token:
            token = ops.broadcast_to(self.class_token, (b, 1, self.width))
            x = ops.concatenate([ops.cast(token, x.dtype), x], axis=1)
        x = x + positions
        if not self.registers:
            return x
        registers = ops.broadcast_to(self.register_tokens, (b, self.registers, self.width))
        first = int(self.has_class_token)
        parts = [x[:, :first], ops.cast(registers, x.dtype), x[:, first:]]
        return ops.concatenate(parts, axis=1)

    def _patches(self, x, training):
        """Returns patches as [b, grid², features], rows first."""
        side = {"patch": self.patch_size, "convolutions": 1, "nested": 2}[self.stem]
        if self.convolutions is not None:
            x = self.convolutions(x, training=training)
        elif self.crop_to_patches:
            x = x[:, : self.grid * side, : self.grid * side]
        return in_patches(x, side, self.grid)

    def get_config(self):
        sizes = "patch_size width depth heads mlp_ratio"
        return {
            **super().get_config(),
            **attributes(self, f"{sizes} stem patch_bias pooling pre_norm epsilon"),
            **attributes(self, "registers pooled crop_to_patches"),
            "class_token": self.has_class_token,
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout_rate,
        }


def _check(image_size: int, patch_size: int, *, stem: str, pooling: str) -> None:
    if image_size % patch_size:
        raise ValueError(
            f"image_size: expected a multiple of the patch size {patch_size}; got {image_size}"
        )
    for name, value, choices in (
        ("stem", stem, STEMS),
        ("pooling", pooling, POOLINGS),
    ):
        if value not in choices:
            raise ValueError(f"{name}: expected one of {', '.join(choices)}; got {value!r}")
    if stem == "convolutions" and patch_size.bit_count() != 1:
        raise ValueError(
            f'patch_size: stem="convolutions" expects a power of two; got {patch_size}'
        )
    if stem == "nested" and patch_size % 4:
        raise ValueError(f'patch_size: stem="nested" expects a multiple of 4; got {patch_size}')
