"""The options of `load` that belong together, and how they are given by themselves."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from tfrecords.preprocessing import Preprocessing

if TYPE_CHECKING:
    from tfrecords.pipeline import Tokenizer


@dataclass(frozen=True)
class Subset:
    """Which images of a split.

    Args:
        ids: read these images alone; `labels` tells which there are.
        classes: labels in a new order: y is the place of the image's label in it. Without `ids`
            images of other classes are left out; with `ids` one of them is an error. Of a
            multi-label set these are the columns of y, and say nothing about which images.
    """

    ids: Sequence[int] | None = None
    classes: Sequence[int] | None = None


@dataclass(frozen=True)
class Texts:
    """Captions in the batches.

    Args:
        tokenizer: callable (list of str, length=int) -> int32 [b, length] with an attribute
            `context_length`. With one, batches hold captions, or where the records have labels
            alone, class names in the set's templates; without, labels.
        class_prompts: texts for every label of the set, of which a batch holds one per image
            in place of its captions.
        text_length: tokens in a row, which longer texts are cut to; without it the tokenizer's
            context.
        captions_per_image: pairs of each image and one of its captions per epoch.
    """

    tokenizer: Tokenizer | None = None
    class_prompts: Sequence[Sequence[str]] | None = None
    text_length: int | None = None
    captions_per_image: int = 1


@dataclass(frozen=True)
class Augmentation:
    """What training does to images.

    Args:
        crop_scale: least and largest share of an image's area that a random crop keeps (0.9 to
            1 in CLIP); None for the pixels of evaluation.
        augment: callable or Keras layer on a batch of float32 images in 0-255. It sees one
            batch after the other.
        mix: callable or Keras layer on `{"images", "labels"}`, such as `keras.layers.MixUp`; y is
            then float32 [b, classes].
    """

    crop_scale: tuple[float, float] | None = (0.9, 1.0)
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
    """The groups in the order of `GROUPS`, made of fields `given` by themselves where missing.

    Raises:
        TypeError: a name that is no field, with the one that is most like it.
        ValueError: a group and one of its fields are both given.
    """
    for name in given:
        if name not in FIELDS:
            near = difflib.get_close_matches(name, [*FIELDS, *GROUPS], n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise TypeError(f"load: no argument {name!r}{hint}")
        if groups[FIELDS[name]] is not None:
            raise ValueError(f"{name}: expected it inside {FIELDS[name]}=, which is given as well")
    own = {group: {n: v for n, v in given.items() if FIELDS[n] == group} for group in GROUPS}
    return [groups[name] or kind(**own[name]) for name, kind in GROUPS.items()]
