"""Measure the serving costs of each method once, and store them.

A method is measured as what `export` makes of its first seed: a SavedModel of the classes trained
on. It is done where the method was run, on the model that the run left. Methods whose network is
the same, but for its weights, are measured once for all of them.
"""

import json
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

import keras

import classifiers
import dual_encoder
import tfrecords
from duet import atomic_files
from pipelines.comparison.comparison_settings import COSTS, About, costs
from pipelines.costs import flops, serving_measurement
from pipelines.deployment import saved_model
from pipelines.deployment.load_classifier import Deployable
from pipelines.methods import prompts
from pipelines.methods.method import Method
from pipelines.methods.registry import METHODS
from pipelines.runs import models
from pipelines.runs.models import MODEL

BATCH_SIZES = (1, 32)

IMAGES = 32  # different ones in a request

ALIKE = 0.01  # share by which FLOPs and parameters of one network with another head differ at most

SERVED = ("bytes", "load_seconds", "peak_rss_bytes", "batches")


def keep(
    method: str, about: About, *, cell: Path, model: keras.Model | None = None
) -> dict[str, Any]:
    """Measure a method, unless that has been done, and keep it; see `measured`.

    Args:
        method: a name of the table.
        about: the comparison.
        cell: folder of one of its runs.
        model: what that run left; loaded from the folder without.
    """
    if (known := costs(method, about)) is not None:
        return known
    others = {name: row for name in about.methods if (row := costs(name, about)) is not None}
    row = measured(METHODS[method], about, others, cell=cell, model=model)
    if row["note"] is None or METHODS[method].keeps_images:  # what failed is tried again
        text = json.dumps({**row, "serving_seconds": about.seconds}, indent=1)
        atomic_files.write(about.out / COSTS / f"{method}.json", text + "\n")
    return row


def measured(
    method: Method,
    about: About,
    others: dict[str, dict[str, Any]],
    *,
    cell: Path,
    model: keras.Model | None = None,
) -> dict[str, Any]:
    """What one method costs to keep and to run; never fails, but says in `note` what did.

    Args:
        others: what was measured of other methods.

    Returns:
        `image_size`; `flops` of an image; `parameters` of the network that answers; `bytes` of
        the SavedModel; `load_seconds`, `peak_rss_bytes` and `batches` of
        `costs.serving_measurement`; `like`, the method that shares these four, with the same
        network; `note`. None where unknown.
    """
    row: dict[str, Any] = dict.fromkeys(
        ("image_size", "flops", "parameters", *SERVED, "like", "note")
    )
    try:
        found = _deployable(method, about, cell=cell, model=model)
        row["image_size"] = found.image_size
        row["parameters"] = models.parameters(found.model)["all"]
        row["flops"] = flops.counted(found.model)
        if method.keeps_images:
            return row | _with_cache(row, found, about)
        twin = next((name for name, other in others.items() if _alike(row, other)), None)
        if twin is not None:
            return row | {key: others[twin][key] for key in SERVED} | {"like": twin}
        if about.seconds:
            row |= _served(found, about)
    except Exception as error:  # whatever it is, the comparison goes on
        said = str(error).strip().splitlines() or [type(error).__name__]
        row["note"] = f"not measured: {said[0][:200]}"
    return row


def _deployable(
    method: Method, about: About, *, cell: Path, model: keras.Model | None
) -> Deployable:
    """What answers, with the weights of the run where these make a difference."""
    if model is None:
        tuned = cell / MODEL
        model = models.load(str(tuned)) if tuned.is_file() else models.untouched(about.model)
    if isinstance(model, classifiers.ImageClassifier):
        names = tuple(model.class_names)
        return Deployable(model, names, (), model.multi_label, method.name)
    learnt = cell / prompts.FILE
    if method.name == "cocoop" and learnt.is_file():  # its texts depend on the image
        classifier = dual_encoder.load_prompts(learnt, model, backbone=about.model).classifier()
    else:
        classifier = dual_encoder.ZeroShotClassifier(  # any class matrix costs the same
            model.image_tower,
            model.image_projection,
            class_names=about.names,
            templates=["{}"],
            embed_dim=model.embed_dim,
        )
        classifier.build()
    return Deployable(classifier, about.names, (), False, method.name)


def _with_cache(row: dict[str, Any], found: Deployable, about: About) -> dict[str, Any]:
    """Beside the zero-shot classifier, products with m keys [m, e] and their classes [m, c]."""
    keys, classes = about.shots * len(about.names), len(about.names)
    width = found.model.embed_dim
    return {
        "flops": row["flops"] + 2 * keys * (width + classes),
        "parameters": row["parameters"] + keys * width,
        "note": "its cache of images cannot be exported",
    }


def _alike(row: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether another method was served whose network is the same but for its head."""
    if other["batches"] is None or other["like"] or row["image_size"] != other["image_size"]:
        return False
    return all(abs(row[key] - other[key]) <= ALIKE * other[key] for key in ("flops", "parameters"))


def _served(found: Deployable, about: About) -> dict[str, Any]:
    images = [each.image for each in islice(tfrecords.examples(about.data, about.split), IMAGES)]
    with tempfile.TemporaryDirectory() as temporary:
        saved_model.write(found, Path(temporary), top=5)
        return {
            "bytes": serving_measurement.bytes_on_disk(temporary),
            **serving_measurement.serving(
                temporary, images, batch_sizes=BATCH_SIZES, seconds=about.seconds
            ),
        }
