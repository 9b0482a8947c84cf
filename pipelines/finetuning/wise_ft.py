"""WiSE-FT: interpolate between zero-shot and fine-tuned weights, and choose alpha."""

import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dual_encoder import weight_interpolation
from duet import files, json_validation
from pipelines.finetuning import seen_unseen_monitor
from pipelines.finetuning.data import Labelled
from pipelines.finetuning.model import Adapted
from pipelines.runs import class_split as classes
from pipelines.training import small_set_batch_size

if TYPE_CHECKING:
    from pipelines.finetuning.options import Options

TENTHS = tuple(round(0.1 * i, 1) for i in range(11))
FIFTHS = TENTHS[::2]  # to choose by: between two of them accuracy changes less than its error
ALLOWED_LOSS = 0.01  # of accuracy on classes set aside, against the start


def curve(
    adapted: Adapted,
    start: weight_interpolation.Weights,
    end: weight_interpolation.Weights,
    *,
    alphas: Sequence[float] = TENTHS,
) -> list[dict[str, Any]]:
    """The figures on validation at points of the way; the model is left at the end.

    Every point passes all images through the tower once more: all its weights differ.
    """
    batches, count = adapted.data.measured(adapted.model)
    rows = [
        {"alpha": alpha, **seen_unseen_monitor.measure(adapted, batches, count)}
        for alpha in weight_interpolation.along(adapted.model, start, end, alphas=alphas)
    ]
    weight_interpolation.interpolate(adapted.model, start, end, alpha=1)
    return rows


def choose(rows: list[dict[str, Any]]) -> float:
    """Where the accuracy on seen classes is best, among the points that forget little.

    Those lose at most `ALLOWED_LOSS` on images of classes that were not trained on, against
    alpha 0, both among these classes and among all. Of equals the smaller alpha. The classes not
    trained on have to be ones set aside for choosing.
    """
    kept = ("unseen_top1", "unseen_among_all")
    floor = {name: rows[0][name] - ALLOWED_LOSS for name in kept}
    allowed = [row for row in rows if all(row[name] >= floor[name] for name in kept)]
    return max(allowed, key=lambda row: (row["seen_top1"], -row["alpha"]))["alpha"]


POINT = {"alpha": json_validation.NUMBER, "seen_top1": json_validation.NUMBER}

TABLE = {
    "chosen": json_validation.NUMBER,
    "classes": list,
    "curve": [POINT],
    "right?": [bool],
    "seconds": json_validation.NUMBER,
}

SET_ASIDE = "set-aside"  # folder of the training by which alpha is chosen


def choose_alpha(
    train: Callable[..., Any], options: "Options", data: Labelled, *, directory: Path, devices: int
) -> dict[str, Any]:
    """How far to go back, from a training with some of the seen classes set aside.

    Where there are too few of them it is half of the way, as WiSE-FT advises without a way to
    choose (Wortsman et al. 2022, arXiv:2109.01903). Returns which classes, the curve, the alpha
    chosen on it, whether it is right about each image to choose by, among the classes that were
    trained on, and the seconds that training and curve took; kept in a file, so that a run that is
    stopped does it once.
    """
    kept = directory / "alpha.json"
    if kept.is_file():
        known = json_validation.read(kept, TABLE, hint="delete it, and alpha is chosen again")
        if "right" in known:  # an older Duet kept none
            return known
    if len(data.parts.seen) < classes.ENOUGH:
        print(f"alpha is 0.5: {len(data.parts.seen)} classes are too few to set some aside")
        return {"chosen": 0.5, "classes": [], "curve": [], "right": [], "seconds": 0.0}
    away = classes.pseudo(data.parts, seed=options.seed)
    print(f"choosing alpha: {len(away)} of the seen classes are set aside")
    parts = classes.set_aside(data.parts, away, labels=data.labels)
    batch, micro = small_set_batch_size.fitting(
        data.batch_size, options.micro_batch, images=len(parts.train), devices=devices
    )
    made, course, way = train(
        dataclasses.replace(options, micro_batch=micro or 0),
        dataclasses.replace(data, parts=parts, batch_size=batch),
        out=directory,
        watched=False,
    )
    begun = time.perf_counter()
    rows = curve(made, *way, alphas=FIFTHS)
    alpha = choose(rows)
    weight_interpolation.interpolate(made.model, *way, alpha=alpha)
    chosen = {
        "chosen": alpha,
        "classes": list(away),
        "curve": rows,
        "right": _right(made),
        "seconds": course.seconds + time.perf_counter() - begun,
    }
    if course.writes:
        files.write(kept, json.dumps(chosen))
    return chosen


def _right(made: Adapted) -> list[bool]:
    parts = made.data.parts
    found = made.features("train", parts.validation, what="validating")
    said = made.logits(found.values)[:, list(parts.seen)].argmax(axis=1)
    return (np.array(parts.seen)[said] == found.labels).tolist()
