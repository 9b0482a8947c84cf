"""Image and text towers by name: Duet's own small ones, `keras.applications`, KerasHub.

A tower is a layer. An image tower takes pixels 0-255 and normalises them itself; it has
`image_size` and `output_dim`. A text tower takes token ids; it has `context_length`, `output_dim`
and `trims_exactly`: whether rows may be cut behind the longest text without changing the result.
"""

from collections.abc import Mapping
from typing import Any

import keras

from dual_encoder.backbones import APPLICATIONS, ApplicationsTower, HubImageTower, HubTextTower
from dual_encoder.tokenizers import Tokenizer
from dual_encoder.transformer import TextTransformer, VisionTransformer

Sizes = Mapping[str, Any]

# For pictures of the miniature world's size: trained from scratch on a CPU in minutes.
OWN_IMAGE: Mapping[str, Sizes] = {
    "vit-tiny": dict(patch_size=8, width=96, depth=3, heads=3, stem="convolutions"),
    "vit-tiny-patch": dict(patch_size=8, width=96, depth=3, heads=3, stem="patch"),
}
OWN_TEXT: Mapping[str, Sizes] = {
    "transformer-tiny": dict(width=64, depth=2, heads=2),
    "transformer-small": dict(width=256, depth=4, heads=4),
}
# Dosovitskiy et al. 2021 (arXiv:2010.11929), table 1.
HUB_IMAGE: Mapping[str, Sizes] = {
    "vit-base-16": dict(patch_size=16, num_layers=12, num_heads=12, hidden_dim=768, mlp_dim=3072),
    "vit-base-32": dict(patch_size=32, num_layers=12, num_heads=12, hidden_dim=768, mlp_dim=3072),
    "vit-large-16": dict(patch_size=16, num_layers=24, num_heads=16, hidden_dim=1024, mlp_dim=4096),
}
# Devlin et al. 2019 (arXiv:1810.04805), section 3; Turc et al. 2019 (arXiv:1908.08962), table 1.
HUB_TEXT: Mapping[str, Sizes] = {
    "bert-tiny": dict(num_layers=2, num_heads=2, hidden_dim=128, intermediate_dim=512),
    "bert-small": dict(num_layers=4, num_heads=8, hidden_dim=512, intermediate_dim=2048),
    "bert-base": dict(num_layers=12, num_heads=12, hidden_dim=768, intermediate_dim=3072),
}
IMAGE_TOWERS = (*OWN_IMAGE, *APPLICATIONS, *HUB_IMAGE)
TEXT_TOWERS = (*OWN_TEXT, *HUB_TEXT)


def image_tower(
    name: str, *, image_size: int | None = None, weights: str | None = None, **sizes: Any
) -> keras.layers.Layer:
    """Make an image tower.

    Args:
        name: one of `IMAGE_TOWERS`.
        image_size: pixels; the tower's usual size without one.
        weights: None for random ones; for `keras.applications` names `"imagenet"` or a weights
            file; for KerasHub names a preset's name or folder.
        sizes: of the table's row, to change (`width=32`).

    Raises:
        ValueError: unknown name, weights for a tower that has none, or an image size that the
            patches do not divide.
    """
    _check("image tower", name, IMAGE_TOWERS)
    if name in OWN_IMAGE:
        _no_weights(name, weights)
        row = {"pooling": "average", **OWN_IMAGE[name], **sizes, "name": "image_tower"}
        return VisionTransformer(image_size or 64, row.pop("patch_size"), **row)
    if name in APPLICATIONS:
        return ApplicationsTower(name, image_size=image_size, weights=weights)
    return HubImageTower(_vit({**HUB_IMAGE[name], **sizes}, image_size or 224, weights))


def text_tower(
    name: str, tokenizer: Tokenizer, *, weights: str | None = None, **sizes: Any
) -> keras.layers.Layer:
    """Make a text tower for a tokenizer's vocabulary and context.

    Args:
        name: one of `TEXT_TOWERS`.
        tokenizer: gives vocabulary size, context length, padding and end-of-text ids.
        weights: None for random ones; for KerasHub names a preset's name or folder.
        sizes: of the table's row, to change.

    Raises:
        ValueError: unknown name, or weights for a tower that has none or of another vocabulary.
    """
    _check("text tower", name, TEXT_TOWERS)
    if name in OWN_TEXT:
        _no_weights(name, weights)
        sizes = {**OWN_TEXT[name], **sizes, "name": "text_tower"}
        context = tokenizer.context_length
        return TextTransformer(tokenizer.vocabulary_size, context, end_id=tokenizer.end_id, **sizes)
    return HubTextTower(
        _bert({**HUB_TEXT[name], **sizes}, tokenizer, weights),
        context_length=tokenizer.context_length,
        pad_id=tokenizer.pad_id,
    )


def _vit(sizes: Sizes, image_size: int, weights: str | None) -> keras.Model:
    import keras_hub

    patch = sizes["patch_size"]
    if image_size % patch:
        raise ValueError(
            f"image_size: expected a multiple of the patch size {patch}; got {image_size}"
        )
    shape = (image_size, image_size, 3)
    if weights:
        return keras_hub.models.ViTBackbone.from_preset(weights, image_shape=shape)
    return keras_hub.models.ViTBackbone(shape, **{**sizes, "patch_size": (patch, patch)})


def _bert(sizes: Sizes, tokenizer: Tokenizer, weights: str | None) -> keras.Model:
    import keras_hub

    if not weights:
        return keras_hub.models.BertBackbone(tokenizer.vocabulary_size, **sizes)
    backbone = keras_hub.models.BertBackbone.from_preset(weights)
    if backbone.vocabulary_size != tokenizer.vocabulary_size:
        raise ValueError(
            f"text weights {weights!r} are for {backbone.vocabulary_size} tokens, but the "
            f"tokenizer has {tokenizer.vocabulary_size}: use the tokenizer they were trained with"
        )
    return backbone


def _check(what: str, name: str, choices: tuple[str, ...]) -> None:
    if name not in choices:
        raise ValueError(f"no {what} {name!r}; expected one of {', '.join(choices)}")


def _no_weights(name: str, weights: str | None) -> None:
    if weights:
        raise ValueError(f"{name!r} has no pretrained weights; got weights={weights!r}")
