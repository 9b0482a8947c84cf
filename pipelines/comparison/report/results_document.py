"""Assemble the results document of a comparison."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.comparison.jobs import job_definitions
from pipelines.comparison.jobs.job_definitions import Job
from pipelines.comparison.options import Options
from pipelines.comparison.plan import Plan
from pipelines.comparison.report import learning_curve, pooled, recommendation
from pipelines.costs import training_costs
from pipelines.methods.registry import METHODS
from pipelines.metrics import classification, multilabel, significance
from pipelines.runs import class_name_options, predictions, results
from pipelines.runs.predictions import Said
from tfrecords import Manifest

FIGURES = {  # of the table: from the metrics of each run
    "seen": "top1",  # of the classes that were trained on
    "unseen": "unseen_top1",
    "unseen_among_all": "unseen_among_all",
    "generalized": "generalized_top1",
    "harmonic_mean": "harmonic_mean",
    "macro_f1": "macro_f1",
    "ece": "ece",
}

FIGURES_OF_LABELS = {  # the same, of images with several classes each
    "seen": "map",
    "micro_f1": "micro_f1",
    "macro_f1": "macro_f1",
    "exact_match": "exact_match",
}

KEPT = ("history", "wise_ft", "calibration", "per_class", "confusion_matrix", "auto", "certainty")

REFERENCES = ("vit", "fine-tune")  # what Low, Medium and High are measured by

COSTS = ("seconds", "peak_rss_bytes", "parameters", "trained_parameters")


def document(
    made: Plan, options: Options, manifest: Manifest, *, deployed: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """The results of a comparison; see `results` and `results.schema.json`.

    deployed: of each method that finished, what `serving_costs.measured` gives.
    """
    found = {
        method: _found(made, folders, resamples=options.bootstrap)
        for method, folders in made.folders.items()
    }
    several, judged_by = manifest.multi_label, made.judged_by
    figures = FIGURES_OF_LABELS if several else {**FIGURES, "seen": judged_by}
    rows = [
        _row(method, each, made.job_of[method], figures)
        | _prices(each, deployed.get(method), price=options.price)
        for method, each in found.items()
    ]
    finished = [row for row in rows if row["seen"] is not None]
    _rate_costs(rows, found)
    pairs = _pairs(made, judged_by=judged_by, resamples=options.bootstrap)
    return results.document(
        {
            "metrics": {row["method"]: row["seen"] for row in finished},
            "intervals": {row["method"]: row["intervals"]["seen"] for row in finished},
            "per_class": [],
            "confusion_matrix": [],
            "seed": (options.seeds or [0])[0],
        },
        command="compare",
        dataset=manifest.dataset,
        split=options.test,
        model=options.model,
        judged_by=judged_by,
        **({"multi_label": True} if several else {}),
        cost={"seconds": sum(row["seconds"] or 0 for row in rows)},
        config=asdict(options),
        classes=len(manifest.class_names),
        parts=_parts(found),
        equal_names=class_name_options.equal_names(manifest.spoken_names),
        rows=rows,
        pairs=pairs,
        folds=len(made.folds),
        curves=learning_curve.curves(_curve_cells(made), judged_by),
        left_out=dict(made.left_out),
        remarks=list(made.remarks),
        recommendation=recommendation.recommend(
            finished,
            pairs,
            chance=_chance(made, judged_by),
            tested=made.images if several else sum(_tested(made)),
            folds=len(made.folds) > 1,
            judged_by=judged_by,
        ),
    )


def _curve_cells(made: Plan) -> Iterator[tuple[str, int, Path]]:
    """Method, images per class and results of what was measured at several, in the first fold."""
    first = made.folds[0]
    for method in made.folders:
        row = METHODS[method]
        if job_definitions.has_curve(row, first.options):
            for folder, shots in job_definitions.curve_cells(first.out, row, first.options).items():
                yield method, shots, folder


def said(made: Plan) -> dict[str, Said]:
    """What each method said of the test images, of its first seed; fold behind fold."""
    return {
        method: seeds[0]
        for method, folders in made.folders.items()
        if (seeds := _said(folders[:1]))
    }


def _said(folders: Iterable[tuple[Path, ...]]) -> list[Said]:
    """Of each seed that has it for all its folds, what was said of the test images."""
    whole = (each for each in folders if all((path / predictions.FILE).is_file() for path in each))
    return [pooled.predictions([predictions.read(path) for path in each]) for each in whole]


def _chance(made: Plan, judged_by: str) -> float:
    """What guessing reaches on test images of trained classes.

    The accuracy of always saying the most frequent class, alone or as a mean over classes, or the
    mean average precision that is expected of an order by chance.
    """
    seen = [count for count in _tested(made) if count]
    if not seen:
        return 0.0
    if judged_by == "map":
        each = [multilabel.average_precision_by_chance(count, made.images) for count in seen]
        return float(np.mean(each))
    return 1 / len(seen) if judged_by == "mean_per_class" else max(seen) / sum(seen)


def _tested(made: Plan) -> list[int]:
    """Test images of each class trained on."""
    return [count for label, count in enumerate(made.tested) if label not in made.held_out]


def _found(made: Plan, folders: list[tuple[Path, ...]], *, resamples: int) -> list[dict[str, Any]]:
    """The results of each seed that has them, of all its folds."""
    whole = [each for each in folders if all((path / results.FILE).is_file() for path in each)]
    return [
        results.read(each[0])
        if len(each) == 1
        else pooled.document(
            [results.read(path) for path in each],
            pooled.predictions([predictions.read(path) for path in each]),
            held_out=made.held_out,
            resamples=resamples,
        )
        for each in whole
    ]


def _pairs(made: Plan, *, judged_by: str, resamples: int) -> list[dict[str, Any]]:
    """How far the methods surely differ on test images of seen classes."""
    runs = {method: seeds for method, folders in made.folders.items() if (seeds := _said(folders))}
    if judged_by == "top1":
        right = {
            method: np.array([said.right[said.outside(made.held_out)] for said in seeds])
            for method, seeds in runs.items()
        }
        return significance.pairs(right, resamples=resamples)
    figures = {
        method: [_figure(said, made.held_out) for said in seeds] for method, seeds in runs.items()
    }
    images = max((int(seeds[0].outside(made.held_out).sum()) for seeds in runs.values()), default=0)
    return significance.pairs_by(figures, images, resamples=resamples)


def _figure(said: Said, held_out: tuple[int, ...]) -> significance.Figure:
    """What a run is judged by, of how often each image is counted, where that is no accuracy."""
    if isinstance(said, predictions.LabelScores):
        return multilabel.mean_average_precision(said.labels, said.probabilities)
    rows = said.outside(held_out)
    return classification.mean_per_class(said.labels[rows], said.right[rows])


def _parts(found: dict[str, list[dict[str, Any]]]) -> dict[str, Any] | None:
    """Which classes and images, as the first fine-tuning has them; None without one."""
    whole = (each for several in found.values() for each in several)
    return next((each["parts"] for each in whole if "parts" in each), None)


def _row(
    method: str, found: list[dict[str, Any]], jobs: list[Job], figures: Mapping[str, str]
) -> dict[str, Any]:
    """One row of the table: means over seeds, their spread, cost and how to do it again."""
    row_of = METHODS[method]
    errors = [job.failure for job in jobs if job.failure]
    first = found[0] if found else {}
    row: dict[str, Any] = {
        "method": method,
        "what": row_of.what,
        "family": "supervised" if row_of.network else "dual",
        "command": jobs[0].words,
        "error": None if found else (errors[0] if errors else "it has not been run"),
        "seeds": len(found),
        "intervals": {},
        "spread": {},
        "results": [each["model"] for each in found],
    }
    row |= dict.fromkeys(FIGURES)
    for name, key in figures.items():
        known = [value for each in found if (value := each["metrics"].get(key)) is not None]
        row[name] = float(np.mean(known)) if known else None
        row["spread"][name] = float(np.std(known, ddof=1)) if len(known) > 1 else None
        row["intervals"][name] = first.get("intervals", {}).get(key)
    for name in COSTS:
        row[name] = _mean_cost(found, name)
    row |= {name: first.get(name) for name in KEPT}
    row["history"] = row["history"] or []
    if "stock" in first:
        seeds = ", ".join(map(str, first["stock"]["seeds"]))
        row["what"] = f"{first['stock']['method']}, its seeds {seeds} averaged as far as they agree"
    if row["auto"]:
        chosen = [each["auto"]["method"] for each in found]
        said = chosen[0] if len({*chosen}) == 1 else f"{', '.join(chosen)} by seed; the first"
        row["what"] = f"{said}: {row['auto']['why']}"
    return row


def _mean_cost(found: list[dict[str, Any]], name: str) -> float | None:
    known = [value for each in found if (value := each["cost"].get(name)) is not None]
    return float(np.mean(known)) if known else None


def _prices(
    found: list[dict[str, Any]], deployed: dict[str, Any] | None, *, price: float | None
) -> dict[str, Any]:
    """What the method costs to run, and what training and a million answers cost in money."""
    seconds, batches = _mean_cost(found, "seconds"), (deployed or {}).get("batches")
    rate = max(each["images_per_second"] for each in batches.values()) if batches else None
    return {
        "deployed": deployed,
        "price": training_costs.money(seconds, price) if price and seconds else None,
        "price_per_million": training_costs.money_per_million(rate, price)
        if price and rate
        else None,
    }


def _rate_costs(rows: list[dict[str, Any]], found: dict[str, list[dict[str, Any]]]) -> None:
    """Low, Medium or High of each row, by `training_costs.level`; None without a reference."""
    trainings = {name: training_costs.training_of(each[0]) for name, each in found.items() if each}
    reference = next((trainings[name] for name in REFERENCES if name in trainings), None)
    for row in rows:
        training = trainings.get(row["method"])
        row["deployment"] = None
        if training and reference and min(reference.device_seconds, reference.peak_bytes) > 0:
            row["deployment"] = training_costs.level(training, reference)
