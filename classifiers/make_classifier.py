"""Make an `ImageClassifier` of a name or a model, with a new head or one of class names."""

import os
from collections.abc import Iterator, Sequence
from numbers import Integral
from typing import Any

import keras
from keras import ops

import dual_encoder
from classifiers.cosine_head import CosineHead
from classifiers.image_classifier import ImageClassifier
from dual_encoder import as_image_tower, class_embeddings, text_list

HEADS = ("linear", "zero-shot", "class-texts")

PUBLISHED = "published"  # weights: the pretrained ones of the name

TEMPLATES = ("a photo of a {}.",)

# Standard deviation of a linear head's first weights. Those of Glorot's are for rates of random
# networks: at a pretrained one's a hundred steps do not unlearn them.
NEXT_TO_NOTHING = 2e-5


def build(
    name: str | os.PathLike,
    classes: int | Sequence[str],
    *,
    head: str = "linear",
    templates: Sequence[str] = TEMPLATES,
    multi_label: bool = False,
    weights: str | None = PUBLISHED,
    image_size: int | None = None,
) -> ImageClassifier:
    """Returns an image classifier for the given classes, ready to `compile`.

    Args:
        name: a network of `keras.applications` (`"resnet50"`, `"efficientnet-b0"`,
            `"mobilenet-v3-small"`, `"convnext-tiny"`, ...), another image tower
            (`dual_encoder.IMAGE_TOWERS`), any checkpoint of `dual_encoder.load` with an image
            tower: `"vit-base-patch16-224"`, `"clip-vit-base-patch32"`, a folder, a `.keras` file;
            or an image preset of KerasHub, such as `"resnet_18_imagenet"`.
        classes: number of classes, or their names.
        head: `"linear"`, randomly initialised next to zero; `"zero-shot"`, initialised with the
            text embeddings of the class names by a dual encoder; or `"class-texts"`, which encodes
            them in every step, so that the text tower can be trained too.
        templates: prompt templates with `{}` for the name, of the heads that read names.
        multi_label: whether an image may have several classes, or none.
        weights: for `keras.applications`: `"published"` for ImageNet weights, a file, or None for
            random ones; for other towers a checkpoint of `load`, or None.
        image_size: pixels; by default the model's size.

    Raises:
        ValueError: an unknown head or name, a zero-shot head for a model without text tower or
            classes without names, or unreadable weights.
        FileNotFoundError, ConnectionError: as `dual_encoder.load`.

    Example:
        >>> model = build("shapes-tiny", classes=["red star", "blue ring"], head="zero-shot")
        >>> model.compile("adamw", metrics=["accuracy"])
    """
    if head not in HEADS:
        raise ValueError(f"head: expected one of {', '.join(HEADS)}; got {head!r}")
    return from_model(
        source(name, weights=weights, image_size=image_size),
        classes=classes,
        head=head,
        templates=templates,
        multi_label=multi_label,
    )


def source(
    name: str | os.PathLike, *, weights: str | None = PUBLISHED, image_size: int | None = None
) -> keras.layers.Layer:
    """Returns the image tower or model of a name of `build`."""
    if not isinstance(name, str | os.PathLike):
        raise ValueError(
            f"name: expected a text or a path; got {name!r:.80}; from_model takes models"
        )
    name = str(name)
    if dual_encoder.is_hub_preset(name):
        return dual_encoder.hub_image_tower(name, image_size=image_size)
    if (tower := dual_encoder.image_tower_name(name)) is None:
        if weights != PUBLISHED:
            raise ValueError(f"weights: {name!r} is a checkpoint with its own; got {weights!r}")
        return dual_encoder.load(name, image_size=image_size)
    if weights == PUBLISHED:
        weights = "imagenet" if tower in dual_encoder.APPLICATIONS else None
    return dual_encoder.image_tower(tower, image_size=image_size, weights=weights)


def from_model(
    model: keras.layers.Layer,
    classes: int | Sequence[str],
    *,
    head: str = "linear",
    templates: Sequence[str] = TEMPLATES,
    multi_label: bool = False,
    name: str | None = None,
) -> ImageClassifier:
    """Builds a classifier as `build` does, sharing the image tower of an existing model.

    Accepts any Keras image model, including KerasHub backbones. Networks of `keras.applications`
    get the pixel range they were trained on, other models pixels 0-255. `name` is that of the Keras
    model.
    """
    is_number = isinstance(classes, Integral) and not isinstance(classes, bool)
    count: Any = classes if is_number else 0
    names = [f"class {i}" for i in range(count)]
    if not names:
        classes = list(classes) if isinstance(classes, Iterator) else classes
        names = text_list("classes", classes, least=1, instead="a number above 0 or ")
    tower = as_image_tower(getattr(model, "image_tower", model))
    if not hasattr(tower, "image_size"):
        raise ValueError(
            "expected a model with an image tower, or a Keras model of images; got "
            f"{type(model).__name__}"
        )
    is_dual = isinstance(model, dual_encoder.DualEncoder)
    if head != "linear" and (is_number or not is_dual):
        raise ValueError(
            f"head: {head} needs a dual encoder, which reads class names, and their names; got "
            f"{type(model).__name__} and {'a number' if is_number else 'names'}"
        )
    if is_dual and not model.built:
        model.build()
    if head == "class-texts":
        layer = dual_encoder.ClassTextHead.of(model, names, templates, name="head")
    elif head == "zero-shot":
        layer = CosineHead(len(names), dtype="float32", name="head")
    else:
        start = keras.initializers.TruncatedNormal(stddev=NEXT_TO_NOTHING)
        layer = keras.layers.Dense(
            len(names), kernel_initializer=start, dtype="float32", name="head"
        )
    classifier = ImageClassifier(
        tower,
        layer,
        class_names=names,
        image_projection=getattr(model, "image_projection", None),
        multi_label=multi_label,
        name=name,
    )
    classifier.build()
    if head == "zero-shot":
        # Of one label the softmax is the same with any bias; of several, SigLIP's is a part of it.
        bias = getattr(model, "logit_bias", 0.0) if multi_label else 0.0
        scale, bias = (float(ops.convert_to_numpy(each)) for each in (model.logit_scale, bias))
        embeddings = class_embeddings(model, names, templates)
        classifier.head.start_from(embeddings, scale=scale, bias=bias)
    return classifier
