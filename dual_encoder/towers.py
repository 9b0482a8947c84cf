"""Image and text towers by name: Duet's own small ones, `keras.applications`, KerasHub.

A tower is a layer. An image tower takes pixels 0-255 and normalises them itself; it has
`image_size` and `output_dim`. A text tower takes token ids; it has `context_length`, `output_dim`
and `trims_exactly`: whether rows may be cut behind the longest text without changing the result.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from dual_encoder.backbones import HubTextTower, KerasImageTower
from dual_encoder.convolution import ConvolutionalTower
from dual_encoder.text_transformer import TextTransformer
from dual_encoder.tokenizers import Tokenizer
from dual_encoder.vision_transformer import VisionTransformer

Sizes = Mapping[str, Any]


@dataclass(frozen=True)
class Application:
    """A network of `keras.applications` and what it expects of pixels 0-255."""

    function: str
    image_size: int
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    bgr: bool = False


# For pictures of the miniature world's size: trained from scratch on a CPU in minutes.
OWN_IMAGE: Mapping[str, Sizes] = {
    "vit-tiny": dict(
        patch_size=8, width=128, depth=2, heads=4, stem="convolutions", pooling="average"
    ),
    "convnet-tiny": dict(widths=(32, 64, 128, 256)),
}
OWN_TEXT: Mapping[str, Sizes] = {
    "transformer-tiny": dict(width=64, depth=2, heads=2),
    "transformer-small": dict(width=256, depth=4, heads=4),
}
APPLICATIONS: Mapping[str, Application] = {
    "xception": Application("Xception", 299, mean=(127.5,) * 3, std=(127.5,) * 3),
    "resnet50": Application("ResNet50", 224, mean=(103.939, 116.779, 123.68), bgr=True),
    "efficientnet-b7": Application("EfficientNetB7", 600),  # rescales pixels itself
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
        image_size: pixels; the tower's usual size, or that of the weights, without one.
        weights: None for random ones; for `keras.applications` names `"imagenet"` or a file of
            weights that the network without its top saved; for KerasHub names a preset's name or
            folder.
        sizes: of the table's row, to change (`width=32`).

    Raises:
        ValueError: unknown name, sizes or weights for a tower that has none, weights that cannot
            be read or are of other sizes, or an image size that the tower cannot take.
    """
    _check("image tower", name, IMAGE_TOWERS)
    if name in OWN_IMAGE:
        _refuse(name, weights=weights)
        kind = ConvolutionalTower if "widths" in OWN_IMAGE[name] else VisionTransformer
        return kind(image_size or 64, **{**OWN_IMAGE[name], **sizes}, name="image_tower")
    if name in APPLICATIONS:
        _refuse(name, **sizes)
        return _application(name, image_size, weights)
    backbone = _vit(name, {**HUB_IMAGE[name], **sizes}, image_size=image_size, weights=weights)
    return KerasImageTower(backbone, name="image_tower")


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
        ValueError: unknown name; weights for a tower that has none, that cannot be read, or of
            other sizes or another vocabulary; a context too long for the tower.
    """
    _check("text tower", name, TEXT_TOWERS)
    vocabulary, context = tokenizer.vocabulary_size, tokenizer.context_length
    if name in OWN_TEXT:
        _refuse(name, weights=weights)
        sizes = {**OWN_TEXT[name], **sizes, "end_id": tokenizer.end_id}
        return TextTransformer(vocabulary, context, **sizes, name="text_tower")
    backbone = _bert(name, {**HUB_TEXT[name], **sizes}, vocabulary=vocabulary, weights=weights)
    return HubTextTower(
        backbone, context_length=context, pad_id=tokenizer.pad_id, name="text_tower"
    )


def _application(name: str, image_size: int | None, weights: str | None) -> keras.layers.Layer:
    row = APPLICATIONS[name]
    size = image_size or row.image_size
    make = getattr(keras.applications, row.function)
    options = {"include_top": False, "pooling": "avg", "input_shape": (size, size, 3)}
    backbone = _read(name, weights, lambda: make(weights=weights, **options))
    return KerasImageTower(backbone, mean=row.mean, std=row.std, bgr=row.bgr, name="image_tower")


def _vit(name: str, sizes: Sizes, *, image_size: int | None, weights: str | None) -> keras.Model:
    import keras_hub

    patch = sizes["patch_size"]
    vit, sizes = keras_hub.models.ViTBackbone, {**sizes, "patch_size": (patch, patch)}
    size = image_size or 224
    if size % patch:
        raise ValueError(f"image_size: expected a multiple of the patch size {patch}; got {size}")
    if not weights:
        return vit((size, size, 3), **sizes)
    backbone = _read(name, weights, lambda: vit.from_preset(weights))
    if image_size:
        sizes["image_shape"] = (image_size, image_size, 3)
    _check_sizes(name, weights, backbone, sizes)
    return backbone


def _bert(name: str, sizes: Sizes, *, vocabulary: int, weights: str | None) -> keras.Model:
    import keras_hub

    bert, sizes = keras_hub.models.BertBackbone, {**sizes, "vocabulary_size": vocabulary}
    if not weights:
        return bert(**sizes)
    backbone = _read(name, weights, lambda: bert.from_preset(weights))
    _check_sizes(name, weights, backbone, sizes)
    return backbone


def _read(name: str, weights: str | None, make: Callable[[], keras.Model]) -> keras.Model:
    """What `make` makes, or a ValueError of one line that names the weights it could not read."""
    if not weights:
        return make()
    try:
        return make()
    except Exception as error:  # of Keras, h5py, the Kaggle hub, HTTP: nothing in common
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        message = f"weights {weights!r}: cannot be read as weights of {name} ({reason})"
        raise ValueError(message) from error


def _check_sizes(name: str, weights: str, backbone: keras.Model, sizes: Sizes) -> None:
    found = backbone.get_config()
    for key, expected in sizes.items():
        if not np.array_equal(found[key], expected):
            raise ValueError(
                f"weights {weights!r}: expected {key}={expected} for {name} with this tokenizer "
                f"and image size; got {key}={found[key]}"
            )


def _check(what: str, name: str, choices: tuple[str, ...]) -> None:
    if name not in choices:
        raise ValueError(f"no {what} {name!r}; expected one of {', '.join(choices)}")


def _refuse(name: str, **options: Any) -> None:
    for option, value in options.items():
        if value is not None:
            raise ValueError(f"{name!r} takes no {option}; got {option}={value!r}")
