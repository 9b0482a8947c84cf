"""What a finished training leaves: the model, its figures, and a page."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras

from pipelines.runs import results, training_report
from pipelines.runs.checkpoint import Checkpoint

MODEL = "model.keras"
PAGE = "report.html"


def write(
    out: Path,
    model: keras.Model,
    options: Any,
    *,
    command: str,
    dataset: str,
    course: Checkpoint,
    ends_with_best: bool,
    devices: list[str],
) -> dict[str, Any]:
    """Write `results.json`, `report.html` and, last, `model.keras`. Returns the results.

    Their `metrics` are the logs of the epoch that the model is from; `history` has all epochs.

    Args:
        out: folder of the run.
        model: as training left it.
        options: of the command.
        command, dataset: names.
        course: what remembers the course of the run.
        ends_with_best: whether the model is from the epoch with the lowest validation loss, not
            from the last one.
        devices: what it was trained on.
    """
    history = course.history
    rates = [row["images_per_second"] for row in history if "images_per_second" in row]
    document = results.document(
        {
            "metrics": min(history, key=_validation_loss) if ends_with_best else history[-1],
            "intervals": {},
            "per_class": [],
            "confusion_matrix": [],
        },
        command=command,
        dataset=dataset,
        split="validation",
        model=str(out),
        judged_by="val_loss",
        cost={
            "seconds": course.seconds,
            "pictures_per_second": sum(rates) / max(len(rates), 1),
            "parameters": model.count_params(),
            "peak_rss_bytes": results.peak_rss_bytes(),
        },
        config=asdict(options),
        history=history,
        steps=course.step,
        devices=devices,
        seed=options.seed,
    )
    unfinished = out / f"unfinished.{MODEL}"
    model.save(unfinished)
    results.write(out / results.FILE, document)
    (out / PAGE).write_text(training_report.page(document), encoding="utf-8")
    os.replace(unfinished, out / MODEL)  # last: by it the run is known to be finished
    return document


def _validation_loss(row: dict[str, float]) -> float:
    return row["val_loss"]
