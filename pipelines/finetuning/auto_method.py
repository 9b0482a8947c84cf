"""What `--method auto` does: the best row on cached features, or fine-tuned weights if better."""

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classifiers import on_features as library
from classifiers import temperature_scaling
from duet import atomic_files, json_validation
from pipelines.finetuning import on_features, wise_ft
from pipelines.methods.registry import METHODS
from pipelines.runs import class_split

if TYPE_CHECKING:
    from pipelines.finetuning.data import Labelled
    from pipelines.finetuning.options import Options

# The first unless another is better.
ROWS = ("projection", "blend", "text-probe", "gaussian", "linear-probe")
TOWER = "projection-ft"
TRIED = 5  # a first training has one of so many passes; with fewer it would cost too much
SURE = 1.96  # standard errors of an accuracy, either way: its interval

FILE, FIRST = "auto.json", "tried"


def choose(
    train: Callable[..., Any],
    options: "Options",
    data: "Labelled",
    *,
    out: Path,
    claim: Callable[[], None],
    devices: int,
) -> dict[str, Any]:
    """Which method `auto` is for these images, and why.

    Some of the seen classes are set aside. Of the rows on cached features it is `ROWS[0]`, unless
    another has the surely lower cross-entropy on validation. Then the image tower is trained for a
    share of the passes; where its accuracy on validation, with alpha chosen as `wise_ft` has it, is
    below the row's interval, that is all. Otherwise it is trained in full, alpha chosen again, and
    taken where more images are right than by the row, by more than the standard error of the
    difference.

    Args:
        train: as `wise_ft.choose_alpha` takes it.
        options: of the command, its method the tower's.
        data: all of it.
        out: folder of the run, which keeps the choice.
        claim: called before anything is written.
        devices: of the strategy.

    Returns:
        `method`, `why`, `tried`: the accuracies on validation that were compared, by method; and
        `seconds` that choosing took, without embedding the images.
    """
    kept = out / FILE
    if kept.is_file():
        return json_validation.read(kept, TABLE, hint="delete it, and the choice is made again")
    aside, away = data, tuple[int, ...]()
    if len(data.parts.seen) >= class_split.ENOUGH:
        away = class_split.pseudo(data.parts, seed=options.seed)
        parts = class_split.set_aside(data.parts, away, labels=data.labels)
        # The rows take no steps; those of the tower are fitted to these images when it is trained.
        batch = min(data.batch_size, len(parts.train))
        aside = dataclasses.replace(data, parts=parts, batch_size=batch)
    row, right, seconds = _best_row(options, aside, out=out, claim=claim)
    found: dict[str, Any] = {"method": row, "tried": {row: float(right.mean())}, "seconds": seconds}
    low, high = _interval(right)
    if not away:
        found["why"] = f"{len(data.parts.seen)} classes are too few to set some aside"
    elif high >= 1:
        found["why"] = f"right for {_percent(right)}, which leaves no room to tell a better one"
    else:
        found |= _against_tower(train, options, data, row, right, low=low, out=out, devices=devices)
        found["seconds"] += seconds
    atomic_files.write(kept, json.dumps(found))
    return found


TABLE = {
    "method": json_validation.one_of(TOWER, *ROWS),
    "why": str,
    "tried": {"*": json_validation.NUMBER},
    "seconds": json_validation.NUMBER,
}


def _best_row(
    options: "Options", data: "Labelled", *, out: Path, claim: Callable[[], None]
) -> tuple[str, np.ndarray, float]:
    """The row on cached features, whether it is right about each validation image, and the
    seconds that fitting all rows took."""
    task = on_features.task_of(options, data, out=out, claim=claim)[0]
    task = dataclasses.replace(task, held_out=())  # how new names compete is not what is compared
    begun = time.perf_counter()
    features, labels = task.validation
    logits = {}
    for name in ROWS:
        fit = METHODS[name].fit
        assert fit is not None, name
        logits[name] = fit(task).logits(features)[:, list(task.seen)]
    tried = {name: temperature_scaling.losses(each, labels) for name, each in logits.items()}
    row = library.choose(tried, ROWS[0])
    return row, logits[row].argmax(axis=1) == labels, time.perf_counter() - begun


def _against_tower(
    train: Callable[..., Any],
    options: "Options",
    data: "Labelled",
    row: str,
    right: np.ndarray,
    *,
    low: float,
    out: Path,
    devices: int,
) -> dict[str, Any]:
    """What of the choice follows from training the tower with classes set aside."""
    few = dataclasses.replace(options, epochs=options.epochs // TRIED)
    own, seconds = {row: float(right.mean())}, 0.0
    if few.epochs:
        first = wise_ft.choose_alpha(train, few, data, directory=out / FIRST, devices=devices)
        kept, seconds = float(np.mean(first["right"])), first["seconds"]
        if kept < low:
            passes = f"{few.epochs} of {options.epochs} passes, alpha {first['chosen']:g},"
            return {
                "why": f"{row} is right for {_percent(right)} of the images to choose by, "
                f"{TOWER} after {passes} for {100 * kept:.1f} %",
                "tried": {**own, TOWER: kept},
                "seconds": seconds,
            }
    whole = wise_ft.choose_alpha(
        train, options, data, directory=out / wise_ft.SET_ASIDE, devices=devices
    )
    tuned = np.array(whole["right"])
    gain = tuned.astype(float) - right
    error = gain.std(ddof=1) / len(gain) ** 0.5 if len(gain) > 1 else np.inf
    is_better = gain.mean() > error
    said = f"{row} is right for {_percent(right)} of the images to choose by, {TOWER} with alpha "
    return {
        "method": TOWER if is_better else row,
        "why": f"{said}{whole['chosen']:g} for {_percent(tuned)}",
        "tried": {**own, TOWER: float(tuned.mean())},
        "seconds": seconds + whole["seconds"],
    }


def _interval(right: np.ndarray) -> tuple[float, float]:
    """Of an accuracy, by its standard error; of none or all right by the rule of three."""
    mean, count = float(right.mean()), len(right)
    half = max(SURE * (mean * (1 - mean) / count) ** 0.5, 3 / count if mean in (0, 1) else 0.0)
    return mean - half, mean + half


def _percent(right: np.ndarray) -> str:
    return f"{100 * right.mean():.1f} %"
