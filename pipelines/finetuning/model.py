"""A pretrained model prepared for a fine-tuning method, and its predictions for all classes."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

import classifiers
import dual_encoder
from classifiers import trainable
from dual_encoder import class_texts
from pipelines.finetuning.data import Labelled
from pipelines.finetuning.methods import METHODS, Method
from pipelines.runs.features import unit

ONE_CLASS = ("text", "probe")  # heads for images that have one class each


@dataclass
class Adapted:
    """What is trained, and the class texts it had before.

    Attributes:
        model: an `ImageClassifier` of the seen classes, or a `DualEncoder`.
        method: a name of `METHODS`.
        source: the dual encoder whose image side it shares; None for a model without texts.
        texts: embeddings of unit length of all classes, times the logit scale, float32 [C, e];
            None where no class is held out, and for a model that reads texts or has none.
        data: what it is trained on.
    """

    model: keras.Model
    method: str
    source: dual_encoder.DualEncoder | None
    texts: np.ndarray | None
    data: Labelled

    @property
    def has_texts(self) -> bool:
        """Whether the model in training reads class names itself."""
        return isinstance(self.model, dual_encoder.DualEncoder)

    @property
    def comparable(self) -> bool:
        """Whether logits of seen and of held-out classes are on one scale."""
        return self.has_texts or isinstance(self.model.head, classifiers.CosineHead)

    @property
    def trained_parameters(self) -> int:
        """How many numbers training changes; of a linear probe those of the head."""
        weights = self.model.trainable_variables
        if METHODS[self.method].trains == "nothing":
            weights = self.model.head.trainable_variables
        return sum(int(np.prod(weight.shape)) for weight in weights)

    def logits(self, features: np.ndarray) -> np.ndarray:
        """What `model.encode_image` gives, [n, e] -> logits over all C classes of the set.

        Classes that the model cannot name are NaN.
        """
        data = self.data
        if self.has_texts:
            return unit(features) @ class_texts(self.model, data.names, data.templates).T
        found = np.full((len(features), len(data.names)), np.nan, np.float32)
        found[:, list(data.parts.seen)] = np.asarray(self.model.head(features))
        if self.texts is not None and data.parts.held_out:
            held_out = list(data.parts.held_out)
            found[:, held_out] = unit(features) @ self.texts[held_out].T
        return found


def prepare(source: keras.layers.Layer, method: str, data: Labelled, *, options: Any) -> Adapted:
    """The model of a method, built, with what is trained of it.

    Args:
        source: a dual encoder, an image encoder or an image tower.
        method: a name of `METHODS`.
        data: for the classes.
        options: `head`, `last_blocks`, `lora_rank`, `recompute` of the command.

    Raises:
        ValueError: the method needs texts, blocks or one label per image, and has none of it.
    """
    row = METHODS[method]
    is_dual = isinstance(source, dual_encoder.DualEncoder)
    _check(method, row, source, data)
    texts = None
    if is_dual and row.head != "text" and data.parts.held_out:
        texts = class_texts(source, data.names, data.templates)
    if row.head == "text":
        model = source
    else:
        head = row.head if options.head is None else options.head
        model = classifiers.from_model(
            source,
            classes=data.seen_names,
            head="linear" if head == "probe" else head,
            templates=data.templates,
            multi_label=data.manifest.multi_label,
        )
        if row.trains in ("head", "last"):
            trainable.train_only(
                model, last_blocks=options.last_blocks if row.trains == "last" else 0
            )
        if row.trains == "image":
            trainable.freeze(model, model.head.trainable_variables)
            trainable.freeze(model, trainable.batch_norms(model))
        if row.trains == "lora":
            trainable.add_lora(model, rank=options.lora_rank)
    if options.recompute:
        trainable.recompute(model)
    return Adapted(model, method, source if is_dual else None, texts, data)


def _check(method: str, row: Method, source: Any, data: Labelled) -> None:
    is_dual = isinstance(source, dual_encoder.DualEncoder)
    if row.head in ("text", "zero-shot") and (not is_dual or source.tokenizer is None):
        choices = [name for name, other in METHODS.items() if other.head in ("linear", "probe")]
        raise ValueError(
            f"--method {method} needs a dual encoder, which reads class names; got "
            f"{type(source).__name__}. Without texts: {', '.join(choices)}"
        )
    if data.manifest.multi_label and row.head in ONE_CLASS:
        raise ValueError(
            f"--method {method} takes one class per image; those of {data.manifest.dataset} "
            "have several. Expected one of "
            + ", ".join(name for name, other in METHODS.items() if other.head not in ONE_CLASS)
        )
