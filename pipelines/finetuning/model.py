"""A pretrained model prepared for a fine-tuning method, and its predictions for all classes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

import classifiers
import dual_encoder
from classifiers import ImageClassifier, lora, make_classifier, recompute_activations, trainable
from dual_encoder import class_texts
from duet import name_list, unit_rows
from pipelines.finetuning.data import Labelled
from pipelines.methods.method import Fitted, Method
from pipelines.methods.registry import METHODS, taken_by
from pipelines.runs import models as runs_models
from pipelines.runs import runtime
from pipelines.runs.image_features import Features, compute

if TYPE_CHECKING:
    from pipelines.finetuning.options import Options
    from pipelines.runs.feature_cache import FeatureCache

READS = ("text", "class-texts")  # heads that read the names of all classes themselves

FITTED = {"probe": "linear", "projection": "zero-shot"}  # heads that features will be fitted to

NAME = "image_classifier"  # of the file, whatever else the process has made before

#: What a method may train (`Method.trains` of the table of methods), of a built classifier; the
#: options are those of `finetune`.
WAYS: dict[str, Callable[[ImageClassifier, Any], None]] = {
    "all": lambda model, options: None,
    "image": lambda model, options: trainable.freeze(model, model.head.trainable_variables),
    "last": lambda model, options: trainable.train_only(model, last_blocks=options.last_blocks),
    "head": lambda model, options: trainable.train_only(model, last_blocks=0),
    "lora": lambda model, options: lora.add_lora(model, rank=options.lora_rank),
    "lora in both": lambda model, options: lora.add_lora_to_both(model, rank=options.lora_rank),
}


@dataclass
class Adapted:
    """What is trained, and the class texts it had before.

    Attributes:
        model: an `ImageClassifier` of the seen classes, or a `DualEncoder`.
        method: of the table.
        source: the dual encoder whose image side it shares; None for a model without texts.
        texts: embeddings of unit length of all classes, times the logit scale, float32 [C, e];
            None where no class is held out, and for a model that reads texts or has none.
        data: what it is trained on.
        cache: of features, for a method that leaves the image tower as it is.
        fitted: the result of fitting such a method.
        embeds: the model whose features are in the cache, where that is not `model`.
        beside: factor and offset of the texts' logits of held-out classes, by which these compete
            with seen ones: with a head that was trained afresh (`evaluation.placed`), or behind a
            projection that was fitted to the seen ones.
        counted: how many numbers were trained, where the model does not show it any more.
    """

    model: keras.Model
    method: Method
    source: dual_encoder.DualEncoder | None
    texts: np.ndarray | None
    data: Labelled
    cache: "FeatureCache | None" = None
    fitted: Fitted | None = None
    embeds: keras.Model | None = None
    beside: tuple[float, float] | None = None
    counted: int | None = None

    @property
    def has_texts(self) -> bool:
        """Whether the model in training reads class names itself."""
        return isinstance(self.model, dual_encoder.DualEncoder)

    @property
    def reader(self) -> dual_encoder.DualEncoder | None:
        """The dual encoder that reads all class names as it is now; None if a head answers."""
        if isinstance(self.model, dual_encoder.DualEncoder):
            return self.model
        return self.source if isinstance(self.model.head, dual_encoder.ClassTextHead) else None

    @property
    def comparable(self) -> bool:
        """Whether logits of seen and of held-out classes are on one scale."""
        if self.fitted is not None:
            return self.fitted.comparable
        if self.reader is not None or self.beside is not None:
            return True
        return isinstance(self.model.head, classifiers.CosineHead)

    @property
    def is_saved(self) -> bool:
        """Whether the model is what answers."""
        return self.fitted is None or self.fitted.head is not None

    @property
    def trained_parameters(self) -> int:
        """How many numbers training changes; of a linear probe those of the head."""
        if self.counted is not None:
            return self.counted
        if self.fitted is not None:
            return self.fitted.trained_parameters
        return sum(int(np.prod(weight.shape)) for weight in self.model.trainable_variables)

    def moved(self, offset: float) -> None:
        """Add to the offset at which held-out classes compete, where there is one."""
        if self.beside is not None:
            self.beside = (self.beside[0], self.beside[1] + offset)

    def features(
        self, split: str, ids: Sequence[int] | None = None, *, what: str = "encoding images"
    ) -> Features:
        """Of images of a split, or of all of it, by the model as it is; see `Features`."""
        if self.cache is not None:
            return self.cache.read(self.embeds or self.model, split, ids)
        batches, count = self.data.images(self.model, split, ids)
        return compute(self.model.encode_image, batches, count=count, what=what)

    def logits(self, features: np.ndarray) -> np.ndarray:
        """What `model.encode_image` gives, [n, e] -> logits over all C classes of the set.

        Classes that the model cannot name are NaN.
        """
        data = self.data
        if self.fitted is not None:
            return self.fitted.logits(features)
        if self.reader is not None:
            return unit_rows.unit(features) @ class_texts(self.reader, data.names, data.templates).T
        found = np.full((len(features), len(data.names)), np.nan, np.float32)
        found[:, list(data.parts.seen)] = np.asarray(self.model.head(features))
        if self.texts is not None and data.parts.held_out:
            held_out = list(data.parts.held_out)
            factor, offset = self.beside or (1.0, 0.0)
            found[:, held_out] = (
                factor * (unit_rows.unit(features) @ self.texts[held_out].T) + offset
            )
        return found


def source(options: "Options", *, untouched: bool = False) -> keras.layers.Layer:
    """The model that `--model` names; `untouched` says that it will not be trained."""
    if untouched and not dual_encoder.image_tower_name(options.model) and not options.image_size:
        kept = runs_models.untouched(options.model)
        runtime.say_kept_precision(kept, options.model)
        return kept
    weights = {None: make_classifier.PUBLISHED, "random": None}.get(
        options.weights, options.weights
    )
    found = make_classifier.source(options.model, weights=weights, image_size=options.image_size)
    runtime.say_kept_precision(found, options.model)
    return found


def prepare(
    source: keras.layers.Layer, method: Method, data: Labelled, options: "Options"
) -> Adapted:
    """The model of a method that trains the image tower, built, with what is trained of it.

    Args:
        source: a dual encoder, an image encoder or an image tower.
        method: of the table.
        data: for the classes.
        options: `head`, `last_blocks`, `lora_rank`, `batch_norm`, `teacher`, `random_texts` and
            `recompute` of the command.

    Raises:
        ValueError: the method needs texts, blocks or one label per image, and has none of it.
    """
    is_dual = isinstance(source, dual_encoder.DualEncoder)
    check(method, source, data)
    say_left_behind(source, data.seen_names)
    texts = None
    if is_dual and method.head not in READS and data.parts.held_out:
        texts = class_texts(source, data.names, data.templates)
    if method.head == "text":
        model = source
    else:
        head = method.head if method.head in READS else options.head or method.head
        model = classifiers.from_model(
            source,
            data.seen_names,
            head=FITTED.get(head, head),
            templates=data.templates,
            multi_label=data.manifest.multi_label,
            name=NAME,
        )
    trainable.thaw(model.built_now())  # what another run froze
    if options.teacher:
        model.teacher = dual_encoder.Teacher(model, options.teacher)
    if options.random_texts:
        if not is_dual or source.tokenizer is None:
            raise ValueError(
                "--random-texts needs a dual encoder, which encodes texts; got "
                f"{type(source).__name__}"
            )
        model.teacher = dual_encoder.Teacher(
            model, options.random_texts, matrix=dual_encoder.lipsum_matrix(source)
        )
    if method.head != "text":
        WAYS[method.trains](model, options)
    if options.batch_norm == "kept":
        trainable.keep_batch_norms(model)
    if options.recompute:
        recompute_activations.recompute(model)
    return Adapted(model, method, source if is_dual else None, texts, data)


def say_left_behind(source: Any, names: Sequence[str]) -> None:
    """Print which classes of a classifier the new one will not have, as its records have none."""
    if not isinstance(source, classifiers.ImageClassifier):
        return
    left = [name for name in source.class_names or () if name not in names]
    if left:
        print(
            f"The model knew {name_list.first_of(left)}; the new classifier will not: "
            "there are no images of them to train on."
        )


def check(method: Method, source: Any, data: Labelled) -> None:
    """Raises ValueError for a method that needs texts or one label per image, and has neither."""
    rows = [METHODS[name] for name in taken_by("finetune")]
    is_dual = isinstance(source, dual_encoder.DualEncoder)
    if method.reads_names and (not is_dual or source.tokenizer is None):
        choices = [row.name for row in rows if not row.reads_names]
        raise ValueError(
            f"--method {method.name} needs a dual encoder, which reads class names; got "
            f"{type(source).__name__}. Without texts: {', '.join(choices)}"
        )
    if data.manifest.multi_label and not method.takes_several_labels:
        raise ValueError(
            f"--method {method.name} takes one class per image; those of {data.manifest.dataset} "
            "have several. Expected one of "
            + ", ".join(row.name for row in rows if row.takes_several_labels)
        )
