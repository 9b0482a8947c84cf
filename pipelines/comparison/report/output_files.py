"""Write the results of a comparison: `results.json`, `results.csv`, study tables and the page."""

import csv
import io
from pathlib import Path
from typing import Any

from duet import atomic_files
from pipelines.comparison.report import (
    calibration_conformal_rejection_table,
    learning_curve,
    next_steps,
    recommendation,
    serving_cost_table,
)
from pipelines.comparison.report import plots as comparison_plots
from pipelines.evaluation import plots as evaluation_plots
from pipelines.methods.registry import METHODS
from pipelines.reporting import number_format as reporting_text
from pipelines.reporting import page as reporting_page
from pipelines.runs import results
from pipelines.runs.text_table import aligned
from pipelines.training import plots as training_plots

CSV = "results.csv"

PAGE = "report.html"

COLUMNS = (
    *("method", "model", "seeds", "seen", "unseen", "unseen_among_all", "generalized"),
    *("harmonic_mean", "macro_f1", "ece", "seconds", "peak_rss_bytes", "parameters", "price"),
    *(*serving_cost_table.CSV, "error", "command"),
)

SHARES = {  # of the table on the page and in the terminal: key, heading
    "seen": "Seen",
    "unseen": "Held out",
    "unseen_among_all": "Held out, among all",
    "generalized": "All classes",
    "harmonic_mean": "Harmonic",
    "macro_f1": "Macro F1",
    "ece": "Calibration error",
}

MEANINGS = {  # of the figures of a page where images have one class
    "seen": "test images of the classes trained on, told apart from each other",
    "unseen": "those of held-out classes, told apart from each other by their names",
    "unseen_among_all": "the same images with all classes to choose from",
    "generalized": "all test images with all classes to choose from",
    "harmonic_mean": "mean of Seen and Held out, which is low where one of them is",
    "macro_f1": "of the classes trained on, each counting alike",
    "ece": "by how much the probabilities miss the accuracy; 0 is perfect",
}

SHARES_OF_LABELS = {  # the same, of images with several classes each
    "seen": "mAP",
    "micro_f1": "Micro F1",
    "macro_f1": "Macro F1",
    "exact_match": "Exact match",
}

NO_NAMES = "no names"  # of a method that cannot name classes that it has not learnt

OF_NEW_NAMES = ("unseen", "unseen_among_all", "generalized", "harmonic_mean")


def write(
    out: Path, document: dict[str, Any], mistakes: list[dict[str, Any]] | None = None
) -> None:
    """Everything but the runs themselves."""
    results.write(out / results.FILE, document)
    atomic_files.write(out / CSV, table(document))
    atomic_files.write(out / PAGE, page(document, mistakes or [], steps=next_steps.find(out)))


def table(document: dict[str, Any]) -> str:
    """The rows as CSV; means over seeds, and their standard deviation where there are several."""
    file = io.StringIO()
    shares = _shares(document)
    spread = [f"{key}_std" for key in shares]
    columns = dict.fromkeys([*COLUMNS, *shares, *spread])
    rows = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
    rows.writeheader()
    for row in document["rows"]:
        deviations = {f"{key}_std": row["spread"].get(key) for key in shares}
        costs = serving_cost_table.flat(row)
        rows.writerow({**row, "model": document["model"], **deviations, **costs})
    return file.getvalue()


def terminal_table(document: dict[str, Any]) -> str:
    """The answer, the table, and the table of what the methods cost to run."""
    shown = _shown(document)
    head = ["method", *(_heading(_shares(document)[key]) for key in shown), "training"]
    numbers = range(1, len(head))
    lines = aligned([head, *(_cells(row, shown) for row in document["rows"])], right=numbers)
    costs = serving_cost_table.table(document["rows"])
    if costs:
        cells = [["to run", *costs["short"]], *([r["method"], *r["cells"]] for r in costs["rows"])]
        remarks = ["", *(row["remark"] for row in costs["rows"])]
        rows = zip(aligned(cells, right=range(1, len(cells[0]))), remarks, strict=True)
        lines += ["", *(f"{line}  {remark}".rstrip() for line, remark in rows)]
    if curves := learning_curve.lines(document.get("curves") or []):
        lines += ["", *curves]
    return "\n".join([document["recommendation"]["answer"], "", *lines])


def study_tables(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The Food-101 study's Tables 3, 4 and 5, with the methods of this comparison.

    Tables in which nothing is known are left out.
    """
    rows = [row for row in document["rows"] if row["error"] is None]

    def cells(key: str) -> list[list[str]]:
        return [[row["method"], _share(row, key)] for row in rows]

    tables = [
        {"title": "Table 3: test accuracy", "heading": "Test accuracy", "rows": cells("seen")},
        {
            "title": "Table 4: extended accuracy",
            "heading": "Extended accuracy",
            "rows": cells("unseen_among_all"),
        },
        {
            "title": "Table 5: deployment cost",
            "heading": "Deployment cost",
            "rows": [[row["method"], row.get("deployment") or reporting_text.DASH] for row in rows],
        },
    ]
    unknown = (reporting_text.DASH, NO_NAMES)
    return [each for each in tables if any(cell not in unknown for _, cell in each["rows"])]


def is_the_study(document: dict[str, Any]) -> bool:
    """Whether it is on Food-101, or by the recipes of the study of it."""
    recipes = document["config"].get("recipes") or []
    return document["dataset"] == "food101" or any("food101" in recipe for recipe in recipes)


def page(
    document: dict[str, Any],
    mistakes: list[dict[str, Any]],
    *,
    steps: next_steps.NextSteps | None = None,
) -> str:
    """The page of a comparison, in one file."""
    rows = [row for row in document["rows"] if row["error"] is None]
    shown = _shown(document)
    trained = [row for row in rows if any("loss" in epoch for epoch in row["history"])]
    keeps = any(row["unseen"] is not None for row in rows)
    return reporting_page.of_run(
        "compare.html.j2",
        document,
        title=f"Comparison of methods: {Path(document['model']).name} on {document['dataset']}",
        headline=document["recommendation"]["answer"],
        steps=steps,
        columns=[_shares(document)[key] for key in shown],
        meanings=[(_shares(document)[key], MEANINGS[key]) for key in shown]
        if _shares(document) is not SHARES_OF_LABELS
        else [],
        rows=[_page_row(row, document, shown) for row in document["rows"]],
        costs=serving_cost_table.table(document["rows"]),
        sure=calibration_conformal_rejection_table.table(rows),
        sure_headings=calibration_conformal_rejection_table.HEADINGS,
        curves=learning_curve.lines(document.get("curves") or []),
        curve_plot=reporting_page.plot(comparison_plots.curves(document["curves"]))
        if document.get("curves")
        else None,
        scatter=reporting_page.plot(comparison_plots.scatter(rows)) if keeps else None,
        losses=reporting_page.plot(comparison_plots.losses(trained)) if trained else None,
        accuracies=reporting_page.plot(comparison_plots.accuracies(rows))
        if rows and is_the_study(document)
        else None,
        ways=[
            (row["method"], reporting_page.plot(training_plots.way(row["wise_ft"], chosen=-1.0)))
            for row in rows
            if row["wise_ft"]
        ],
        reliability=[
            (row["method"], reporting_page.plot(evaluation_plots.reliability(row["calibration"])))
            for row in rows
            if row["calibration"]
        ],
        pairs=[_pair(pair) for pair in document["pairs"]],
        studies=study_tables(document) if is_the_study(document) else [],
        mistakes=mistakes,
    )


def _shares(document: dict[str, Any]) -> dict[str, str]:
    if document.get("multi_label"):
        return SHARES_OF_LABELS
    every_class = document["judged_by"] == "mean_per_class"
    return {**SHARES, "seen": "Seen, per class"} if every_class else SHARES


def _heading(name: str) -> str:
    """In small letters, but for an abbreviation."""
    return name if name == "mAP" else name.lower()


def _shown(document: dict[str, Any]) -> list[str]:
    """The figures that some method has."""
    return [k for k in _shares(document) if any(row[k] is not None for row in document["rows"])]


def _cells(row: dict[str, Any], shown: list[str]) -> list[str]:
    if row["error"] is not None:
        return [row["method"], f"failed: {row['error']}"]
    return [row["method"], *(_share(row, key) for key in shown), _seconds(row)]


def _share(row: dict[str, Any], key: str) -> str:
    """ "91.2 ± 0.3 %"; `NO_NAMES`."""
    if row[key] is None:
        no_names = key in OF_NEW_NAMES and not METHODS[row["method"]].rows_for_new_names
        return NO_NAMES if no_names else reporting_text.DASH
    spread = row["spread"].get(key)
    return (
        reporting_text.percent(row[key])
        if spread is None
        else (f"{100 * row[key]:.1f} ± {100 * spread:.1f} %")
    )


def _seconds(row: dict[str, Any]) -> str:
    return (
        reporting_text.DASH if row["seconds"] is None else recommendation.duration(row["seconds"])
    )


def _page_row(row: dict[str, Any], document: dict[str, Any], shown: list[str]) -> dict[str, Any]:
    cost = [_seconds(row)]
    if row["price"] is not None:
        cost.append(f"{row['price']:.2f}")
    return {
        "method": row["method"],
        "what": row["what"],
        "chosen": row["method"] == document["recommendation"]["method"],
        "error": row["error"],
        "command": row["command"],
        "cells": [
            {
                "value": _share(row, key),
                "interval": reporting_text.interval(row["intervals"].get(key)),
            }
            for key in shown
        ],
        "cost": ", ".join(cost),
        "memory": (
            reporting_text.gibibytes(row["peak_rss_bytes"])
            if row["peak_rss_bytes"]
            else reporting_text.DASH
        ),
    }


def _pair(pair: dict[str, Any]) -> dict[str, str]:
    points = {key: 100 * pair[key] for key in ("difference", "low", "high")}
    return {
        "a": pair["a"],
        "b": pair["b"],
        "difference": f"{points['difference']:+.1f}",
        "interval": f"{points['low']:+.1f} to {points['high']:+.1f}",
        "p": f"{pair['p']:.3f}" if pair["p"] >= 0.001 else "< 0.001",
        "better": pair["better"] or "neither for sure",
    }
