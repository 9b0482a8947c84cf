"""Evaluates a model with a classifier head on a split (`evaluate --protocol classifier`)."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.evaluation import measure as evaluation_measure
from pipelines.evaluation import output_files, predict, several_labels
from pipelines.metrics import classification
from pipelines.metrics import multilabel as several
from pipelines.runs import class_name_options, folder, results
from pipelines.runs.class_matching import RENAME, match_classes

if TYPE_CHECKING:
    import keras

    from tfrecords import Manifest


Found = several_labels.Found


def evaluate(
    options: Any,
    manifest: "Manifest",
    model: "keras.Model",
    *,
    out: Path,
    look: Callable[[], Sequence[str]] = tuple,
) -> dict[str, Any]:
    """Measure, and write the same files as zero-shot evaluation. Returns the results.

    Images of classes unknown to the model are left out, in multi-label data only such labels;
    `not_known` in the results lists these classes.

    Args:
        options: of `evaluate`.
        manifest: of its records.
        model: with `class_names`; returns logits.
        out: the folder of the run.
        look: reads the images, and gives lines on them for the page and the results.

    Raises:
        ValueError: the model has none of the classes, or none that has an image in the split, or
            only one of model and records is multi-label.
    """
    several_each = getattr(model, "multi_label", False)
    _check_labels(several_each, manifest, model=options.model)
    places = match_classes(model.class_names, manifest, model=options.model)
    if not several_each:
        _check_images(manifest, options.split, places)
    health = look()
    start = time.perf_counter()
    with folder.filled_at_once(out) as staging:
        count = manifest.split(options.split).count
        labels, logits, rate = predict.predict(model, options, count)
        measure = _several if several_each else _one
        probabilities, measured = measure(
            options, manifest, model, places=places, found=(labels, logits)
        )
        document = results.document(
            measured,
            command="evaluate",
            dataset=manifest.dataset,
            split=options.split,
            model=options.model,
            judged_by=evaluation_measure.judged_by(manifest),
            cost=evaluation_measure.cost(start, rate),
            config=asdict(options),
            protocol="classifier",
            templates=[],
            equal_names=class_name_options.equal_names(manifest.spoken_names),
            not_known=[manifest.spoken_names[label] for label in np.flatnonzero(places < 0)],
            **results.health(health),
        )
        if several_each:
            several_labels.write(staging, options, document)
        else:
            output_files.write(
                staging,
                options,
                document,
                labels=labels,
                probabilities=probabilities,
                places=places,
            )
    return document


def _check_labels(several_each: bool, manifest: "Manifest", *, model: str) -> None:
    if several_each != manifest.multi_label:
        pair = ("one label", "several") if several_each else ("several labels", "one")
        raise ValueError(f"{manifest.dataset} has {pair[0]} per image; {model} says {pair[1]}")


def _check_images(manifest: "Manifest", split: str, places: np.ndarray) -> None:
    """Raises ValueError where no image of the split has a class that the model has."""
    if not any(np.array(manifest.split(split).class_counts)[places >= 0]):
        raise ValueError(f"split {split!r} has no image of a class that the model has")


def left_out(document: dict[str, Any]) -> str:
    """Returns a line on classes unknown to the model; empty if there are none."""
    names = document["not_known"]
    if not names:
        return ""
    what = "labels" if document.get("multi_label") else "images"
    return (
        f"classes that the model does not have, whose {what} are left out: "
        f"{', '.join(names)}; {RENAME}"
    )


def _one(
    options: Any, manifest: "Manifest", model: Any, *, places: np.ndarray, found: Found
) -> tuple[np.ndarray, dict[str, Any]]:
    """Evaluates a single-label classifier: probabilities, and metrics over known classes."""
    labels, logits = found
    probabilities, known = classification.softmax(logits), places[labels] >= 0
    return probabilities, evaluation_measure.measure(
        places[labels[known]],
        probabilities[known],
        model.class_names,
        resamples=options.bootstrap,
        seed=options.seed,
    )


def _several(
    options: Any, manifest: "Manifest", model: Any, *, places: np.ndarray, found: Found
) -> tuple[np.ndarray, dict[str, Any]]:
    """Evaluates a multi-label classifier on the classes that model and records share."""
    (known,) = np.nonzero(places >= 0)

    def common(labels: np.ndarray, logits: np.ndarray) -> Found:
        return labels[:, known], several.sigmoid(logits)[:, places[known]]

    def read(split: str) -> Found:
        count = manifest.split(split).count
        return common(*predict.predict(model, replace(options, split=split), count)[:2])

    own = several.thresholds_in(results.beside(options.model)) or {}
    labels, probabilities = common(*found)
    return probabilities, several_labels.measure(
        options,
        manifest,
        [model.class_names[place] for place in places[known]],
        found=(labels, probabilities),
        read=read,
        own=own if set(own) == set(model.class_names) else {},
    )
