"""Option groups of `load`, and how to pass single fields of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from duet import name_list
from tfrecords.preprocessing import Preprocessing

if TYPE_CHECKING:
    from tfrecords.pipeline import Tokenizer


@dataclass(frozen=True)
class Subset:
    """The images of a split to read.

    Args:
        ids: read only these images; `labels` returns the ids of a split.
        classes: labels in a new order: y is the index of the image's label in it. Without `ids`,
            images of other classes are left out; with `ids`, they are an error. For multi-label
            data these are the columns of y, and no image is left out.
    """

    ids: Sequence[int] | None = None
    classes: Sequence[int] | None = None


@dataclass(frozen=True)
class Texts:
    """Captions in the batches.

    Args:
        tokenizer: callable (list of str, length=int) -> int32 [b, length] with an attribute
            `context_length`. With it, batches hold captions, or if the records have only labels,
            class names in the data set's prompt templates; without it, labels.
        class_prompts: texts for each class of the records, also of those that are not read, in
            the order of their labels; a batch holds one per image instead of its captions.
        text_length: tokens per text, longer texts are truncated; by default the tokenizer's
            context length.
        captions_per_image: image-caption pairs per image and epoch.
    """

    tokenizer: Tokenizer | None = None
    class_prompts: Sequence[Sequence[str]] | None = None
    text_length: int | None = None
    captions_per_image: int = 1


@dataclass(frozen=True)
class Augmentation:
    """Augmentation of training images.

    Args:
        crop_scale: smallest and largest share of an image's area that a random crop keeps (0.9
            to 1 in CLIP); None for the preprocessing of evaluation.
        flip: mirror half of the images, left and right.
        shuffle: whether an epoch has an order of its own; otherwise the stored one.
        augment: callable or Keras layer on a batch of float32 images in 0-255, called on one
            batch after the other.
        mix: callable or Keras layer on `{"images", "labels"}`, such as `keras.layers.MixUp`; y is
            then float32 [b, classes].
    """

    crop_scale: tuple[float, float] | None = (0.9, 1.0)
    flip: bool = False
    shuffle: bool = True
    augment: Callable | None = None
    mix: Callable | None = None


GROUPS: Mapping[str, type] = {
    "subset": Subset,
    "preprocessing": Preprocessing,
    "texts": Texts,
    "augmentation": Augmentation,
}

FIELDS = {field.name: name for name, kind in GROUPS.items() for field in fields(kind)}


def grouped(groups: Mapping[str, Any], given: Mapping[str, Any]) -> list[Any]:
    """Returns the groups in the order of `GROUPS`, building missing ones from `given` fields.

    Raises:
        TypeError: unknown field name; the message suggests the closest one.
        ValueError: a group and one of its fields are both given.
    """
    for name in given:
        if name not in FIELDS:
            hint = name_list.did_you_mean(name, [*FIELDS, *GROUPS])
            raise TypeError(f"load: no argument {name!r}{hint}")
        if groups[FIELDS[name]] is not None:
            raise ValueError(f"{name}: expected it inside {FIELDS[name]}=, which is given as well")
    by_group = {group: {n: v for n, v in given.items() if FIELDS[n] == group} for group in GROUPS}
    return [groups[name] or kind(**by_group[name]) for name, kind in GROUPS.items()]
