"""Image and text towers by name: Duet's own and those of `keras.applications`.

A tower is a layer. An image tower takes pixels 0-255 and normalises them itself; it has
`image_size` and `output_dim`. A text tower takes token ids; it has `context_length`, `output_dim`
and `trims_exactly`: whether padding behind the longest text can be cut without any effect.
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from dual_encoder.checkpoints.load import load
from dual_encoder.tokenizer import Tokenizer
from dual_encoder.towers.bert import Bert
from dual_encoder.towers.keras_applications_table import APPLICATIONS as APPLICATIONS
from dual_encoder.towers.keras_applications_table import plain_name
from dual_encoder.towers.small_convolutional_tower import ConvolutionalTower
from dual_encoder.towers.text_transformer import TextTransformer
from dual_encoder.towers.vision_transformer import VisionTransformer
from dual_encoder.towers.wrapped_models import KerasImageTower, channels_last
from duet import exception_summary

Sizes = Mapping[str, Any]


# For 64-pixel images (`shapes`): train from scratch on a CPU in minutes.
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

VIT = dict(patch_bias=True, epsilon=1e-6, resize="squash", interpolation="bilinear")

# Dosovitskiy et al. 2021 (arXiv:2010.11929), table 1.
PUBLISHED_IMAGE: Mapping[str, Sizes] = {
    "vit-base-16": dict(patch_size=16, width=768, depth=12, heads=12, **VIT),
    "vit-base-32": dict(patch_size=32, width=768, depth=12, heads=12, **VIT),
    "vit-large-16": dict(patch_size=16, width=1024, depth=24, heads=16, **VIT),
}

# Devlin et al. 2019 (arXiv:1810.04805), section 3; Turc et al. 2019 (arXiv:1908.08962), table 1.
PUBLISHED_TEXT: Mapping[str, Sizes] = {
    "bert-tiny": dict(width=128, depth=2, heads=2),
    "bert-small": dict(width=512, depth=4, heads=8),
    "bert-base": dict(width=768, depth=12, heads=12),
}

BERT_CONTEXT, BERT_DROPOUT = 512, 0.1

TRANSFORMER = ("width", "depth", "heads")

BY_HAND = "; without a network, fetch the file elsewhere and give its path instead of imagenet"

IMAGE_TOWERS = (*OWN_IMAGE, *APPLICATIONS, *PUBLISHED_IMAGE)

TEXT_TOWERS = (*OWN_TEXT, *PUBLISHED_TEXT)


def image_tower_name(name: str) -> str | None:
    """Returns the name in `IMAGE_TOWERS` for any spelling of it, such as Keras' own `MobileNetV2`;
    None if there is no such tower."""
    return {plain_name(known): known for known in IMAGE_TOWERS}.get(plain_name(name))


def image_tower(
    name: str, *, image_size: int | None = None, weights: str | None = None, **sizes: Any
) -> keras.layers.Layer:
    """Returns an image tower.

    Args:
        name: one of `IMAGE_TOWERS`, in any spelling (`mobilenet_v2`, `MobileNetV2`).
        image_size: pixels; by default the tower's usual size, or that of the weights.
        weights: None for random ones; for `keras.applications` names `"imagenet"` or a weights
            file of the network without its top; for ViT any checkpoint that `load` accepts and
            that has such a tower: `"vit-base-patch16-224"`, a folder.
        sizes: changes to the preset (`width=32`); with weights, what they have to be.

    Raises:
        ValueError: unknown name, sizes or weights for a tower that has none, weights that are
            unreadable or of other sizes, or an unsupported image size.
    """
    name = image_tower_name(name) or name
    _check("image tower", name, IMAGE_TOWERS)
    if name in OWN_IMAGE:
        _refuse(name, weights=weights)
        kind = ConvolutionalTower if "widths" in OWN_IMAGE[name] else VisionTransformer
        return kind(image_size or 64, **{**OWN_IMAGE[name], **sizes}, name="image_tower")
    if name in APPLICATIONS:
        _refuse(name, **sizes)
        return _application(name, image_size, weights)
    every = {**PUBLISHED_IMAGE[name], **sizes}
    if not weights:
        return VisionTransformer(image_size or 224, **every, name="image_tower")
    tower = _tower_of(name, weights, "image_tower", image_size=image_size)
    _check_sizes(name, weights, tower, {k: every[k] for k in ("patch_size", *TRANSFORMER)} | sizes)
    return tower


def text_tower(
    name: str, tokenizer: Tokenizer, *, weights: str | None = None, **sizes: Any
) -> keras.layers.Layer:
    """Returns a text tower for a tokenizer's vocabulary and context length.

    Args:
        name: one of `TEXT_TOWERS`.
        tokenizer: defines vocabulary size, context length, padding and end-of-text ids.
        weights: None for random ones; for BERT any checkpoint that `load` accepts and that has
            such a tower: `"bert-base-uncased"`, a folder.
        sizes: changes to the preset; with weights, what they have to be.

    Raises:
        ValueError: unknown name; weights for a tower that has none, that are unreadable, or of
            other sizes or another vocabulary; a context too long for the tower.
    """
    _check("text tower", name, TEXT_TOWERS)
    if not (hasattr(tokenizer, "vocabulary_size") and hasattr(tokenizer, "context_length")):
        raise ValueError(f"tokenizer: expected a Tokenizer, with its sizes; got {tokenizer!r:.80}")
    vocabulary, context = tokenizer.vocabulary_size, tokenizer.context_length
    if name in OWN_TEXT:
        _refuse(name, weights=weights)
        sizes = {**OWN_TEXT[name], **sizes, "end_id": tokenizer.end_id}
        return TextTransformer(vocabulary, context, **sizes, name="text_tower")
    every, pad_id = {**PUBLISHED_TEXT[name], **sizes}, tokenizer.pad_id
    if not weights:
        _check_context(context, BERT_CONTEXT)
        every = {"positions": BERT_CONTEXT, "dropout": BERT_DROPOUT, **every}
        return Bert(vocabulary, context, pad_id=pad_id, **every, name="text_tower")
    tower = _tower_of(name, weights, "text_tower")
    expected = {key: every[key] for key in TRANSFORMER} | sizes
    expected |= {"vocabulary_size": vocabulary, "pad_id": pad_id}
    _check_sizes(name, weights, tower, expected)
    _check_context(context, tower.positions - tower.first_position)
    tower.context_length = context
    return tower


def text_tokenizer(weights: str, *, context_length: int) -> Tokenizer:
    """Returns the tokenizer of a text tower's pretrained weights, with this context length.

    Args:
        weights: as for `text_tower`: `"bert-base-uncased"`, a folder.
        context_length: maximum number of tokens per text.

    Raises:
        ValueError: the weights are unreadable, or have no tokenizer.
    """
    pretrained = _read("a text tower", weights, lambda: load(weights).tokenizer)
    if pretrained is None:
        raise ValueError(f"weights {weights!r}: expected a tokenizer with them; there is none")
    return Tokenizer.from_config({**pretrained.get_config(), "context_length": context_length})


def _application(name: str, image_size: int | None, weights: str | None) -> keras.layers.Layer:
    row = APPLICATIONS[name]
    size = image_size or row.image_size
    make = getattr(keras.applications, row.function)
    options = {"include_top": False, "pooling": "avg", "input_shape": (size, size, 3)}
    with channels_last():
        backbone = _read(name, weights, lambda: make(weights=weights, **options), hint=BY_HAND)
    return KerasImageTower(backbone, **row.statistics, name="image_tower")


def _tower_of(name: str, weights: str, part: str, **options: Any) -> keras.layers.Layer:
    """Returns the given part of the model that `load` builds from the weights."""
    return _read(name, weights, lambda: getattr(load(weights, **options), part))


def _read(name: str, weights: str | None, make: Callable[[], Any], *, hint: str = "") -> Any:
    """Returns `make()`, or raises a one-line ValueError naming the unreadable weights."""
    if not weights:
        return make()
    try:
        return make()
    except Exception as error:  # Keras, h5py, the Kaggle hub and HTTP have no common error
        reason = exception_summary.first_line(error)
        message = f"weights {weights!r}: cannot be read as weights of {name} ({reason}{hint})"
        raise ValueError(message) from error


def _check_sizes(name: str, weights: str, tower: keras.layers.Layer, sizes: Sizes) -> None:
    own = tower.get_config()
    for key, expected in sizes.items():
        found = own.get(key, getattr(tower, key, None))
        same = list(found) == list(expected) if isinstance(found, tuple | list) else None
        if not (found == expected if same is None else same):
            raise ValueError(
                f"weights {weights!r}: expected {key}={expected} for {name} with this tokenizer "
                f"and image size; got {key}={found}"
            )


def _check_context(length: int, most: int) -> None:
    if length > most:
        raise ValueError(
            f"context_length: expected at most the {most} positions of the tower; got {length}"
        )


def _check(what: str, name: str, choices: tuple[str, ...]) -> None:
    if name not in choices:
        raise ValueError(f"no {what} {name!r}; expected one of {', '.join(choices)}")


def _refuse(name: str, **options: Any) -> None:
    for option, value in options.items():
        if value is not None:
            raise ValueError(f"{name!r} takes no {option}; got {option}={value!r}")
