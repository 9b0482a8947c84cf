"""`results.json`: the results of a run as data.

One JSON object; fractions are of 1, unknown values are null. Schema 2:

==================  ===================================================================
schema              2
command             the command that wrote it, such as "evaluate"
created             when, ISO 8601 with the offset from UTC
dataset, split      names; `dataset` is the manifest's
model               what was asked for: a checkpoint's name, a file or a run's folder
judged_by           the metric that the dataset is usually judged by
images, classes     how many were measured
metrics             the figures of `classification.METRICS`
intervals           95 % bootstrap interval [low, high] of each; {} where none was asked for
per_class           list of {name, count, predicted, precision, recall, f1}; null figures for
a class without images in the split
confusion_matrix    counts, row the true class, column the predicted one, as in per_class;
[] of more than a thousand classes; multi-label: [[true negatives,
false positives], [false negatives, true positives]] of each class
calibration         list of {low, high, count, confidence, accuracy}, one per bin
most_confused       list of {true, predicted, count, of}: class indices, and images
cost                seconds, images_per_second, peak_rss_bytes
config              the options of the command, as config.yaml has them
precision           Keras' dtype policy of the models, such as "float32"
versions            of Python and of the packages that the figures depend on
seed                of the bootstrap
==================  ===================================================================

Of a multi-label set there are `multi_label`: true, and `thresholds_from`, the split on which the
thresholds were chosen, or "the model's run" whose own they are; `metrics` are
`multilabel.METRICS`, the rows of per_class also have average_precision and threshold, and
calibration and most_confused are left out.

Of retrieval (`protocol`: "retrieval") there are `captions`, how many were measured, and `searched`,
the images that they were looked for among; `metrics` are `retrieval.METRICS`, medians of
ranks among them, which have no interval; per_class and confusion_matrix are empty, and classes,
calibration and most_confused are left out.

A run that went on with another version of Duet or on other devices says so in `went_on`, in lines.

Commands add keys of their own (`evaluate`: `protocol`, `templates`, `logit_scale`; `finetune`:
`method`, `parts`, `history`, `wise_ft`, `alpha`, `auto`, which method that was and why, and
`new_names_offset`, what is added to the logits that its dual encoder gives names it was not trained
on, so that these compete with those it was;
`compare`: `rows`, each with `deployed`, what its export costs to run, `pairs`, `recommendation`;
all that learn: `certainty`, as `metrics.calibration_conformal_rejection` has it). All of it as a
JSON Schema, which tests validate against: `schemas/results.schema.json`.
"""

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from duet import atomic_files, json_validation
from pipelines.runs import models
from pipelines.runs.peak_memory import peak_rss_bytes as peak_rss_bytes

SCHEMA = 2

FILE = "results.json"

PACKAGES = ("duet-vision-language", "tensorflow", "keras", "keras-hub", "numpy", "scikit-learn")

REQUIRED = (
    "schema",
    "command",
    "dataset",
    "split",
    "model",
    "metrics",
    "intervals",
    "per_class",
    "confusion_matrix",
    "cost",
    "config",
    "versions",
    "seed",
)


_TABLE: dict[str, Any] = {
    "schema": json_validation.one_of(SCHEMA),
    **dict.fromkeys(("command?", "dataset?", "split?", "model?", "method?", "protocol?"), str),
    "metrics?": {"*": (None, json_validation.NUMBER)},
    "intervals?": {"*": (None, [json_validation.NUMBER])},
    **dict.fromkeys(("cost?", "config?", "versions?"), dict),
    "per_class?": [{"name": str}],
    "confusion_matrix?": [list],
    **{key: [dict] for key in ("rows?", "pairs?", "history?")},
    "health?": [str],
    "recommendation?": {"method": (None, str), "answer": str},
}


def now() -> str:
    """When something is written: ISO 8601 with the offset from UTC."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def document(
    measured: dict[str, Any],
    *,
    command: str,
    dataset: str,
    split: str,
    model: str,
    cost: dict[str, float],
    config: dict[str, Any],
    judged_by: str = "top1",
    **more: Any,
) -> dict[str, Any]:
    """The whole document around what `measure` returned; `more` are a command's own keys."""
    return {
        "schema": SCHEMA,
        "command": command,
        "created": now(),
        "dataset": dataset,
        "split": split,
        "model": model,
        "judged_by": judged_by,
        **measured,
        "cost": cost,
        "config": config,
        **_precision(),
        "versions": versions(),
        **more,
    }


def _precision() -> dict[str, str]:
    """That of Keras, where the command has imported it."""
    keras = sys.modules.get("keras")
    return {"precision": keras.config.dtype_policy().name} if keras is not None else {}


def health(lines: Sequence[str]) -> dict[str, list[str]]:
    """`{"health": lines}`, which pages show before any figure; nothing where there are none."""
    return {"health": list(lines)} if lines else {}


def versions() -> dict[str, str]:
    """Versions of Python and of the packages in `PACKAGES` that are installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def write(path: str | Path, results: dict[str, Any]) -> None:
    """Writes the document under a temporary name, then renames it: never half a file.

    Raises ValueError for a missing field, RuntimeError for a number that is NaN or infinite.
    """
    path = Path(path)
    missing = [field for field in REQUIRED if field not in results]
    if missing:
        raise ValueError(f"{path}: the results lack {', '.join(missing)}")
    atomic_files.write(path, _text(results))


def _text(results: dict[str, Any]) -> str:
    """JSON with a line per field, and a line per row of a table or matrix."""

    def dump(value: Any) -> str:
        return json.dumps(value, allow_nan=False, ensure_ascii=False)

    def field(value: Any) -> str:
        if not isinstance(value, list) or not value:
            return dump(value)
        return "[\n  " + ",\n  ".join(map(dump, value)) + "\n ]"

    fields = []
    for key, value in results.items():
        try:
            fields.append(f"{dump(key)}: {field(value)}")
        except ValueError:
            raise RuntimeError(
                f"the results have a number in {key} that is NaN or infinite"
            ) from None
    return "{\n " + ",\n ".join(fields) + "\n}\n"


def read(path: str | Path) -> dict[str, Any]:
    """The document in a file, or in the `results.json` of a run's folder.

    Raises FileNotFoundError where there is none and ValueError where it is not of this schema.
    """
    path = Path(path)
    path = path / FILE if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(f"no results at {path}: has the run finished?")
    found = _Results(json_validation.read(path, _TABLE))
    found.path = path
    return found


def beside(model: str | Path) -> dict[str, Any] | None:
    """The document of the run that a model was saved by, beside it; None without one, and for
    `models.DUAL`, which is not the classifier that was measured."""
    path = Path(model)
    if path.name == models.DUAL:
        return None
    found = (path if path.is_dir() else path.parent) / FILE
    return read(found) if path.exists() and found.is_file() else None


def is_of(
    document: Mapping[str, Any], class_names: Sequence[str], *, exactly: bool = False
) -> bool:
    """Whether the classes that were measured are among `class_names`, or `exactly` these; else the
    figures are of other classes than a model has that reads these names."""
    measured, asked = {row["name"] for row in document.get("per_class", ())}, set(class_names)
    return measured <= asked and (measured == asked or not (exactly and measured))


class _Results(dict[str, Any]):
    """A document of which a missing key is named as damage: who reads it needs it."""

    path: Path

    def __missing__(self, key: str) -> Any:
        raise ValueError(f"{self.path} is damaged: {key} is missing")
