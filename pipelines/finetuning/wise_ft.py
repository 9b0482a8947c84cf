"""WiSE-FT: interpolate between zero-shot and fine-tuned weights, and choose alpha."""

import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classifiers.on_features import SetAside, offset
from dual_encoder.training import weight_interpolation
from duet import atomic_files, json_validation
from pipelines.finetuning import seen_unseen_monitor
from pipelines.finetuning.data import Labelled
from pipelines.finetuning.model import Adapted
from pipelines.metrics.seen_unseen import harmonic_mean
from pipelines.runs import class_split as classes
from pipelines.runs.image_features import compute
from pipelines.training import small_set_batch_size

if TYPE_CHECKING:
    from pipelines.finetuning.options import Options

TENTHS = tuple(round(0.1 * i, 1) for i in range(11))
FIFTHS = TENTHS[::2]  # to choose by: between two of them accuracy changes less than its error


def curve(
    adapted: Adapted,
    start: weight_interpolation.Weights,
    end: weight_interpolation.Weights,
    *,
    alphas: Sequence[float] = TENTHS,
) -> list[dict[str, Any]]:
    """The figures on validation at points of the way; the model is left at the end."""
    return [
        _row(adapted, alpha, labels, logits)
        for alpha, labels, logits in _along(adapted, start, end, alphas)
    ]


def _along(
    adapted: Adapted,
    start: weight_interpolation.Weights,
    end: weight_interpolation.Weights,
    alphas: Sequence[float],
) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Alpha, and labels and logits of the images that are measured; the model is left at the end.

    Every point passes all images through the tower once more: all its weights differ.
    """
    batches, count = adapted.data.measured(adapted.model)
    for alpha in weight_interpolation.along(adapted.model, start, end, alphas=alphas):
        made = compute(adapted.model.encode_image, batches, count=count)
        yield alpha, made.labels, adapted.logits(made.values)
    weight_interpolation.interpolate(adapted.model, start, end, alpha=1)


def _row(adapted: Adapted, alpha: float, labels: np.ndarray, logits: np.ndarray) -> dict[str, Any]:
    return {"alpha": alpha, **seen_unseen_monitor.figures(adapted, labels, logits)}


def choose(rows: list[dict[str, Any]]) -> float:
    """Where the harmonic mean of two accuracies among all classes is highest: of the images of
    classes that were trained on, and of the others.

    Of equals the smaller alpha. The classes not trained on have to be ones set aside for choosing.
    (The figure is that of generalized zero-shot learning, Xian et al. 2017, arXiv:1707.00600.)
    """

    def both(row: dict[str, Any]) -> float:
        return harmonic_mean(row["seen_among_all"], row["unseen_among_all"])

    return max(rows, key=lambda row: (both(row), -row["alpha"]))["alpha"]


POINT = {"alpha": json_validation.NUMBER, "seen_top1": json_validation.NUMBER}

TABLE = {
    "chosen": json_validation.NUMBER,
    "classes": list,
    "curve": [POINT],
    "offset?": json_validation.NUMBER,
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
    chosen on it, the offset of new names that goes with it, whether it is right about each image to
    choose by, among the classes that were trained on, and the seconds that training and curve
    took; kept in a file, so that a run that is stopped does it once.
    """
    kept = directory / "alpha.json"
    if kept.is_file():
        known = json_validation.read(kept, TABLE, hint="delete it, and alpha is chosen again")
        if "right" in known:  # an older Duet kept none
            return known
    if len(data.parts.seen) < classes.ENOUGH:
        print(f"alpha is 0.5: {len(data.parts.seen)} classes are too few to set some aside")
        return {
            "chosen": 0.5,
            "classes": [],
            "curve": [],
            "offset": 0.0,
            "right": [],
            "seconds": 0.0,
        }
    away = classes.pseudo(data.parts, seed=options.seed)
    print(f"choosing alpha: {len(away)} of the seen classes are set aside")
    parts = classes.set_aside(data.parts, away, labels=data.labels)
    batch, micro = small_set_batch_size.fitting(
        data.batch_size, options.micro_batch, images=len(parts.train), devices=devices
    )
    made, course, (start, end) = train(
        dataclasses.replace(options, micro_batch=micro or 0),
        dataclasses.replace(data, parts=parts, batch_size=batch),
        out=directory,
        watched=False,
    )
    begun = time.perf_counter()
    points = list(_along(made, start, end, FIFTHS))
    offsets = _offsets(made, points) if made.beside else dict.fromkeys(FIFTHS, 0.0)
    for at, _, logits in points:
        logits[:, list(away)] += offsets[at]
    rows = [_row(made, *point) for point in points]
    alpha = choose(rows)
    labels, logits = next(answers for point, *answers in points if point == alpha)
    chosen = {
        "chosen": alpha,
        "classes": list(away),
        "curve": rows,
        "offset": offsets[alpha],
        "right": _right(labels, logits, parts.seen),
        "seconds": course.seconds + time.perf_counter() - begun,
    }
    if course.writes:
        atomic_files.write(kept, json.dumps(chosen))
    return chosen


def _offsets(
    adapted: Adapted, points: Sequence[tuple[float, np.ndarray, np.ndarray]]
) -> dict[float, float]:
    """By alpha, what more the logits of classes not trained on need to compete as at alpha 0.

    Training raises the classes that are trained on; in the middle between the offset that keeps
    what is found of the others among all, and the one that keeps what is found of these.
    """
    parts, (_, labels, before) = adapted.data.parts, points[0]
    columns = [*parts.seen, *parts.held_out]
    wanted = np.argsort(columns)[np.searchsorted(np.sort(columns), labels)]
    right = before[:, columns].argmax(axis=1) == wanted
    found = {
        alpha: offset([SetAside(logits[:, columns], wanted, len(parts.seen), right)])
        for alpha, _, logits in points
    }
    return {alpha: each - found[points[0][0]] for alpha, each in found.items()}


def _right(labels: np.ndarray, logits: np.ndarray, seen: Sequence[int]) -> list[bool]:
    """Of each image of the classes that were trained on, among these."""
    inside = np.isin(labels, seen)
    said = logits[inside][:, list(seen)].argmax(axis=1)
    return (np.array(seen)[said] == labels[inside]).tolist()
