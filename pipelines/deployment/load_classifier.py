"""Load any result as an image classifier with class names, for `export`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

import classifiers
import dual_encoder
from duet import json_validation, keras_private_api
from pipelines.runs import models

if TYPE_CHECKING:
    from tfrecords import Manifest


# What an export says of itself, as JSON.
FACTS = {
    "class_names": [str],
    "multi_label": bool,
    "preprocessing": {
        "image_size": json_validation.up_to(1 << 14),
        "resize?": json_validation.one_of("crop", "squash"),
        "interpolation?": json_validation.one_of("bicubic", "bilinear"),
        "crop_fraction?": json_validation.POSITIVE,
        "*": json_validation.NO_OTHERS,
    },
}

SAVED = ("ImageClassifier", "ZeroShotClassifier", "ImageEncoder with a head", "DualEncoder")


@dataclass(frozen=True)
class Deployable:
    """A classifier from images to probabilities.

    Attributes:
        model: pixels 0-255 [b, s, s, 3] -> logits [b, c].
        class_names: c names.
        templates: prompt templates of the class names; empty without a text tower.
        multi_label: whether an image may have several classes, or none.
        name: the model's name as given, for messages.
    """

    model: keras.Model
    class_names: tuple[str, ...]
    templates: tuple[str, ...]
    multi_label: bool
    name: str

    def __post_init__(self) -> None:
        keras_private_api.name_for_export(self.model)

    @property
    def preprocessing(self) -> dict[str, Any]:
        """Image preprocessing, as arguments of `tfrecords.load`."""
        return self.model.preprocessing

    @property
    def image_size(self) -> int:
        """Side of an image in pixels."""
        return self.preprocessing["image_size"]

    def probabilities(self, pixels: Any) -> Any:
        """Maps pixels 0-255 [b, s, s, 3] to probabilities float32 [b, c]."""
        logits = ops.cast(self.model(pixels, training=False), "float32")
        return ops.sigmoid(logits) if self.multi_label else ops.softmax(logits, axis=-1)


def load(
    name: str,
    *,
    class_names: Sequence[str] | None = None,
    templates: Sequence[str] | None = None,
    prompts: str | None = None,
    manifest: "Manifest | None" = None,
) -> Deployable:
    """Loads a saved model, a run or a checkpoint as a classifier.

    Args:
        name: a `.keras` file, a run's folder, or whatever `dual_encoder.load` takes.
        class_names: of a dual encoder, or of an image encoder that has none.
        templates: of a dual encoder: prompts with {} for the name.
        prompts: of a dual encoder: file of learnt prompts, which bring class names.
        manifest: of records, whose class names and templates a dual encoder reads without others.

    Raises:
        ValueError: a model that is no classifier and cannot be made one, or texts for a model
            that reads none.
        FileNotFoundError: no such model, or no such prompts.
    """
    model: Any = models.load(name)
    if isinstance(model, dual_encoder.DualEncoder):
        if manifest is not None and prompts is None:
            class_names = class_names or manifest.spoken_names or None
            templates = templates or manifest.prompt_templates
        return _of_texts(model, name, class_names, templates, prompts)
    for flag, given in (("--templates", templates), ("--prompts", prompts)):
        if given is not None:
            raise ValueError(f"{flag} goes with a dual encoder; {name} is a {_kind(model)}")
    own = getattr(model, "class_names", None)
    if own is not None and class_names is not None:
        raise ValueError(f"--class-names: {name} has {len(own)} class names of its own")
    names = own or class_names
    if not isinstance(model, classifiers.ImageClassifier | dual_encoder.ZeroShotClassifier) and (
        not isinstance(model, dual_encoder.ImageEncoder) or model.head is None
    ):
        raise ValueError(
            f"--model: expected one that tells classes apart ({', '.join(SAVED)}); "
            f"{name} is a {_kind(model)}"
        )
    outputs = model.compute_output_shape((None, model.image_size, model.image_size, 3))[-1]
    if names is None or len(names) != outputs:
        found = "none" if names is None else len(names)
        raise ValueError(
            f"--class-names: expected {outputs} names for the outputs of {name}; got {found}"
        )
    own_templates = tuple(getattr(model, "templates", ()))
    several = getattr(model, "multi_label", False)
    return Deployable(model, tuple(names), own_templates, several, name)


def _of_texts(
    model: dual_encoder.DualEncoder,
    name: str,
    class_names: Sequence[str] | None,
    templates: Sequence[str] | None,
    prompts: str | None,
) -> Deployable:
    if prompts is not None:
        if templates is not None:
            raise ValueError("--templates: learnt prompts take the place of templates")
        learnt = dual_encoder.load_prompts(prompts, model, backbone=name)
        classifier = learnt.classifier(class_names)
    else:
        if class_names is None:
            raise ValueError(
                f"--class-names: {name} reads class names; expected names, or a file, --data "
                "for those of records, or --prompts"
            )
        classifier = dual_encoder.ZeroShotClassifier.from_names(
            model, class_names, templates or ("a photo of a {}.",), progress=True
        )
    names, own = tuple(classifier.class_names), tuple(classifier.templates)
    return Deployable(classifier, names, own, False, name)


def _kind(model: Any) -> str:
    return type(model).__name__ + (
        " without a head" if getattr(model, "head", True) is None else ""
    )
