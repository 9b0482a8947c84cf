"""What every finished method of a comparison costs to keep and to run, measured once and kept.

A method is measured as what `export` makes of its first seed: a SavedModel of the classes trained
on. Methods whose network is the same, but for its weights, are measured once for all of them.
"""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import classifiers
import dual_encoder
import tfrecords
from duet import files
from pipelines.costs import flops, serving
from pipelines.deployment import classifier as deployment_classifier
from pipelines.deployment import saved_model
from pipelines.deployment.classifier import Deployable
from pipelines.fewshot.methods import PROMPTS
from pipelines.runs import models, results
from pipelines.training.report import MODEL

if TYPE_CHECKING:
    from pipelines.comparison.plan import Plan
    from tfrecords import Manifest


FOLDER = "deployment"  # in that of the comparison, a file per method

BATCH_SIZES = (1, 32)

IMAGES = 32  # different ones in a request

ALIKE = 0.01  # share by which FLOPs and parameters of one network with another head differ at most

CACHED = ("tip-adapter", "tip-adapter-f")  # a memory of images, which no export knows

SERVED = ("bytes", "load_seconds", "peak_rss_bytes", "batches")


@dataclass(frozen=True)
class Task:
    """What all methods share.

    Attributes:
        model: the name of the compared dual encoder.
        names: of the classes trained on.
        shots: images of each that a cache holds.
        images: files to serve.
        seconds: to serve each batch size for; 0 for not at all.
    """

    model: str
    names: Sequence[str]
    shots: int
    images: Sequence[bytes]
    seconds: float


def measure(
    made: "Plan", options: Any, manifest: "Manifest", *, out: Path
) -> dict[str, dict[str, Any]]:
    """What every finished method costs; see `measured`. What was measured before is read.

    Args:
        made: what was run; options: of `compare`; out: folder of the comparison.
    """
    spoken = enumerate(manifest.spoken_names)
    names = [name for label, name in spoken if label not in made.held_out]
    examples = islice(tfrecords.examples(options.data, options.test), IMAGES)
    encoded = [example.image for example in examples]
    task = Task(options.model, names, options.shots, encoded, options.serving_seconds)
    found: dict[str, dict[str, Any]] = {}
    for method, cells in made.cells.items():
        cell = next((each for each in cells if (each / results.FILE).is_file()), None)
        if cell is None:
            continue
        kept = out / FOLDER / f"{method}.json"
        row = _read(kept, seconds=task.seconds)
        if row is None:
            print(f"what it costs to run: {method}", flush=True)
            row = measured(method, cell, task, found)
            if row["note"] is None or method in CACHED:  # what failed is tried again
                text = json.dumps({**row, "serving_seconds": task.seconds}, indent=1)
                files.write(kept, text + "\n")
        found[method] = row
    return found


def measured(
    method: str, cell: Path, task: Task, others: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """What one method costs to keep and to run; never fails, but says in `note` what did.

    Args:
        method: of `CONTESTANTS`.
        cell: folder of its results.
        task: what all share.
        others: what was measured of other methods.

    Returns:
        `image_size`; `flops` of an image; `parameters` of the network that answers; `bytes` of
        the SavedModel; `load_seconds`, `peak_rss_bytes` and `batches` of `cost.serving`; `like`,
        the method that shares these four, with the same network; `note`. None where unknown.
    """
    row: dict[str, Any] = dict.fromkeys(
        ("image_size", "flops", "parameters", *SERVED, "like", "note")
    )
    try:
        found = _deployable(method, cell, task)
        row["image_size"] = found.image_size
        row["parameters"] = models.parameters(found.model)["all"]
        row["flops"] = flops.counted(found.model)
        if method in CACHED:
            return row | _with_cache(row, found, task)
        twin = next((name for name, other in others.items() if _alike(row, other)), None)
        if twin is not None:
            return row | {key: others[twin][key] for key in SERVED} | {"like": twin}
        if task.seconds:
            row |= _served(found, task)
    except Exception as error:  # whatever it is, the comparison goes on
        said = str(error).strip().splitlines() or [type(error).__name__]
        row["note"] = f"not measured: {said[0][:200]}"
    return row


def _deployable(method: str, cell: Path, task: Task) -> Deployable:
    """What answers, with the weights of the cell where these make a difference."""
    if method == "cocoop":
        return deployment_classifier.load(task.model, prompts=str(cell / PROMPTS))
    tuned = cell / MODEL
    name = str(tuned) if tuned.is_file() else task.model
    model = models.load(name)
    if isinstance(model, classifiers.ImageClassifier):
        return Deployable(model, tuple(model.class_names), (), model.multi_label, name)
    classifier = dual_encoder.ZeroShotClassifier(  # any class matrix costs the same
        model.image_tower,
        model.image_projection,
        class_names=task.names,
        templates=["{}"],
        embed_dim=model.embed_dim,
    )
    classifier.build()
    return Deployable(classifier, tuple(task.names), (), False, name)


def _with_cache(row: dict[str, Any], found: Deployable, task: Task) -> dict[str, Any]:
    """Beside the zero-shot classifier, products with m keys [m, e] and their classes [m, c]."""
    keys, classes = task.shots * len(task.names), len(task.names)
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


def _served(found: Deployable, task: Task) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as temporary:
        saved_model.write(found, Path(temporary), top=5)
        return {
            "bytes": serving.bytes_on_disk(temporary),
            **serving.serving(
                temporary, task.images, batch_sizes=BATCH_SIZES, seconds=task.seconds
            ),
        }


def _read(path: Path, *, seconds: float) -> dict[str, Any] | None:
    """What was kept, if it was measured for as long."""
    if not path.is_file():
        return None
    row = json.loads(path.read_text(encoding="utf-8"))
    return row if row.pop("serving_seconds") == seconds else None
