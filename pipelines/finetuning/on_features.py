"""Fit methods on cached features to all training images of a run; also the start of a tower."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import classifiers
import dual_encoder
from pipelines.finetuning import model as finetuning_model
from pipelines.finetuning import seen_unseen_monitor
from pipelines.finetuning.model import Adapted
from pipelines.methods import several_labels, zero_shot_probe_tip_adapter
from pipelines.methods.few_shot_task import Rows, Task
from pipelines.methods.method import Fitted
from pipelines.methods.registry import METHODS
from pipelines.runs.feature_cache import FeatureCache
from pipelines.training.checkpoint import Checkpoint

if TYPE_CHECKING:
    from pipelines.finetuning.data import Labelled
    from pipelines.finetuning.options import Options


def fit(
    options: "Options", data: "Labelled", *, out: Path, claim: Callable[[], None]
) -> tuple[Adapted, Checkpoint]:
    """Fit the method of the options, and the head that it gives onto a classifier.

    `claim` is called once it is sure that the run can begin; nothing is written before.
    """
    row = METHODS[options.method]
    assert row.fit is not None, options.method
    task, seconds, model = task_of(options, data, out=out, claim=claim)
    begun = time.perf_counter()
    fitted = row.fit(task)
    features = feature_cache(options, data)
    source, untouched, beside = task.model, model, None
    if fitted.projection is not None:
        source, beside = _projected(source, fitted), (1.0, fitted.offset)
    model = _with_head(model, fitted, source)
    made = Adapted(model, row, source, task.texts, data, features, fitted, untouched, beside)
    course = Checkpoint(out / "checkpoints", steps_per_epoch=data.steps)
    course.seconds = seconds + time.perf_counter() - begun
    course.history = [{"epoch": 0, **seen_unseen_monitor.Forgetting(made).measure()}]
    return made, course


def task_of(
    options: "Options", data: "Labelled", *, out: Path, claim: Callable[[], None]
) -> tuple[Task, float, Any]:
    """What a method on cached features is given, the seconds that embedding took, and a
    classifier of the seen classes whose head is still to come."""
    row = METHODS[options.method]
    source = _source(options, data)
    finetuning_model.check(row, source, data)
    finetuning_model.say_left_behind(source, data.seen_names)
    model = classifiers.from_model(
        source,
        classes=data.seen_names,
        multi_label=data.manifest.multi_label,
        name=finetuning_model.NAME,
    )
    is_dual = isinstance(source, dual_encoder.DualEncoder)
    if is_dual:
        dual_encoder.refuse_equal_names(source, data.names, data.templates)
    features = feature_cache(options, data)
    claim()
    views = options.views if row.takes_views or row.fit is None else 1  # None: `auto` tries rows
    task, seconds = _task(model, data, features, views=views)
    task = dataclasses.replace(
        task,
        model=source if is_dual else None,
        backbone=options.model,
        folder=out,
        seed=options.seed,
    )
    return task, seconds, model


def _source(options: "Options", data: "Labelled") -> Any:
    """The model, in the precision of the options."""
    from pipelines.runs import inference_precision

    def read(_: str) -> Any:
        return finetuning_model.source(options, untouched=True)

    images = sum(split.count for split in data.manifest.splits.values())
    return inference_precision.load(options.model, options.precision, images=images, read=read)


def start_head(made: Adapted, options: "Options") -> None:
    """Give the head the weights that a method gives it on the features as they are: the logistic
    regression, or the class names on the scale of labels."""
    features = feature_cache(options, made.data)
    task, _ = _task(made.model, made.data, features)
    if made.method.head == "probe":
        found = zero_shot_probe_tip_adapter.probe_of(task)
        weights, bias = found.weights, found.bias
    else:
        task = dataclasses.replace(task, model=made.source)
        weights, bias = several_labels.label_head(task)
    made.model.head.kernel.assign(weights)
    made.model.head.bias.assign(bias)


def projected(made: Adapted, options: "Options") -> tuple[Any, float]:
    """What a tower is trained from: the dual encoder of a classifier behind the matrix of the row
    `projection`, and the offset at which new names compete with seen ones."""
    features = feature_cache(options, made.data)
    task, _ = _task(made.model, made.data, features)
    fit = METHODS["projection"].fit
    assert fit is not None
    fitted = fit(dataclasses.replace(task, model=made.source, seed=options.seed))
    return _projected(made.source, fitted), fitted.offset


def _projected(source: Any, fitted: Fitted) -> Any:
    """A dual encoder with the matrix and the temperature that were fitted."""
    assert fitted.projection is not None and fitted.head is not None
    found = dual_encoder.with_image_matrix(source, fitted.projection)
    found.log_scale.assign(np.log(np.linalg.norm(fitted.head[0][:, 0])))
    return found


def feature_cache(options: "Options", data: "Labelled") -> FeatureCache:
    """In the folder of `--features`."""
    assert options.features, "settled by the run"
    return FeatureCache(Path(options.features), data.directory, data.manifest)


def _with_head(model: Any, fitted: Fitted, source: Any) -> Any:
    """The classifier with the head that was fitted, if one was, on the projection of `source`."""
    if fitted.head is None:
        return model
    if fitted.unit_length:
        model = classifiers.ImageClassifier(
            model.image_tower,
            classifiers.CosineHead(len(model.class_names), dtype="float32", name="head"),
            class_names=model.class_names,
            image_projection=getattr(source, "image_projection", model.image_projection),
            multi_label=model.multi_label,
            name=model.name,
        )
        model.build()
    model.head.kernel.assign(fitted.head[0])
    model.head.bias.assign(fitted.head[1])
    return model


def _task(
    model: Any, data: "Labelled", features: FeatureCache, *, views: int = 1
) -> tuple[Task, float]:
    """The images to learn from and to choose by, and the seconds that embedding them took."""
    parts = data.parts
    features.read(model, "train")  # all of it at once; what follows are rows of it
    train = features.read(model, "train", parts.train, views=views)
    validation = features.read(model, "train", parts.validation)

    def rows(values: np.ndarray, labels: np.ndarray) -> Rows:
        if data.manifest.multi_label:
            return values, labels[:, list(parts.seen)].astype(np.int32)
        return values, np.searchsorted(parts.seen, labels).astype(np.int32)

    task = Task(
        rows(train.values, train.labels),
        rows(validation.values, validation.labels),
        names=data.names,
        seen=parts.seen,
        held_out=parts.held_out,
        templates=data.templates,
        dataset=data.manifest.dataset,
        class_weight=data.class_weight,
    )
    return task, train.seconds + validation.seconds
