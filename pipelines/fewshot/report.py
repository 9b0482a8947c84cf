"""Collect the results of a few-shot grid into a table and a page."""

import statistics
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duet import atomic_files
from pipelines.fewshot import plots as fewshot_plots
from pipelines.reporting import number_format as reporting_text
from pipelines.reporting import page as reporting_page
from pipelines.runs import results, resume_check
from pipelines.runs.text_table import aligned

if TYPE_CHECKING:
    from pipelines.fewshot.grid import Cell
    from tfrecords import Manifest


FIGURES = {
    "top1": "Accuracy",
    "seen_top1": "Seen classes",
    "unseen_top1": "Unseen classes",
    "harmonic_mean": "Harmonic mean",
    "generalized_top1": "All classes",
}

PAGE, PLOT = "report.html", "accuracy.png"


def write(out: Path, options: Any, manifest: "Manifest", cells: list["Cell"]) -> dict[str, Any]:
    """Write `results.json`, `accuracy.png` and `report.html`. Returns the results."""
    found = [results.read(cell.folder) for cell in cells]
    rows = table(found)
    best = best_of(rows)
    means = {figure: best[figure]["mean"] for figure in FIGURES if figure in best}
    document = results.document(
        {"metrics": means, "intervals": {}, "per_class": [], "confusion_matrix": []},
        command="prompt",
        dataset=manifest.dataset,
        split=options.split,
        model=best["model"],
        cost={
            "seconds": sum(each["cost"]["seconds"] for each in found),
            "peak_rss_bytes": max(each["cost"]["peak_rss_bytes"] for each in found),
        },
        config=asdict(options),
        protocol=found[0]["protocol"],
        equal_names=found[0].get("equal_names", {}),
        best={key: best[key] for key in ("model", "method", "shots")},
        table=rows,
        **resume_check.noted(out),
        seed=0,
    )
    results.write(out / results.FILE, document)
    plot = fewshot_plots.few_shot(rows, _lines(rows))
    atomic_files.write(out / PLOT, plot)
    atomic_files.write(out / PAGE, page(document, found, plot))
    return document


def table(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each model, method and number of shots: mean and deviation over the seeds.

    The deviation is that of a sample (n - 1); null for one seed. Figures that no cell of a row
    has are left out.
    """
    groups: dict[tuple, list[dict[str, Any]]] = {}
    for each in found:
        groups.setdefault((each["model"], each["method"], each["shots"]), []).append(each)
    rows = []
    for (model, method, shots), members in groups.items():
        row: dict[str, Any] = {"model": model, "method": method, "shots": shots}
        row["seeds"] = [member["seed"] for member in members] if shots else []
        for figure in FIGURES:
            values = [member["metrics"].get(figure) for member in members]
            if None not in values:
                deviation = statistics.stdev(values) if len(values) > 1 else None
                row[figure] = {"mean": statistics.fmean(values), "deviation": deviation}
        rows.append(row)
    return rows


def best_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The row to show first, of those that have the figure that rows are judged by."""
    judged = _judged(rows)
    return max((row for row in rows if judged in row), key=lambda row: row[judged]["mean"])


def _judged(rows: list[dict[str, Any]]) -> str:
    """The harmonic mean where some method can name classes that were not learnt."""
    return "harmonic_mean" if any("harmonic_mean" in row for row in rows) else "top1"


def _lines(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    """The figures that are drawn."""
    seen_and_not = any("harmonic_mean" in row for row in rows)
    return ("seen_top1", "unseen_top1") if seen_and_not else ("top1",)


def columns(rows: list[dict[str, Any]]) -> list[str]:
    """The figures of the table; `seen_top1` and `top1` are one where classes are unseen."""
    has = {figure for row in rows for figure in row}
    drop = "top1" if "harmonic_mean" in has else "seen_top1"
    return [figure for figure in FIGURES if figure in has and figure != drop]


def cell_text(value: dict[str, float] | None) -> str:
    """A mean and its deviation in per cent: "87.4 ± 0.9"."""
    if value is None:
        return reporting_text.DASH
    spread = "" if value["deviation"] is None else f" ± {100 * value['deviation']:.1f}"
    return f"{100 * value['mean']:.1f}{spread}"


def as_text(rows: list[dict[str, Any]]) -> str:
    """The table for a terminal."""
    shown = columns(rows)
    lines = [["model", "method", "shots", *(FIGURES[figure].lower() for figure in shown)]]
    for row in rows:
        figures = (cell_text(row.get(figure)) for figure in shown)
        lines.append(
            [row["model"], row["method"], str(row["shots"] or reporting_text.DASH), *figures]
        )
    return "\n".join(aligned(lines))


def page(document: dict[str, Any], found: list[dict[str, Any]], plot: bytes) -> str:
    """The page of a grid, from its document, those of its cells, and its plot as PNG."""

    rows, shown = document["table"], columns(document["table"])
    best, cost = document["best"], document["cost"]
    judged = _judged(rows)
    value = reporting_text.percent(document["metrics"][judged])
    shots = f" with {best['shots']} shots" if best["shots"] else ""
    return reporting_page.of_run(
        "prompt.html.j2",
        document,
        title=f"Learnt prompts on {document['dataset']}, {document['split']} split",
        headline=f"{FIGURES[judged]} {value}: {best['method']}{shots} on {best['model']}",
        plot=reporting_page.plot(plot),
        columns=[FIGURES[figure] for figure in shown],
        rows=[{**row, "cells": [cell_text(row.get(figure)) for figure in shown]} for row in rows],
        learnt=_learnt(found),
        cost=f"Took {cost['seconds']:,.0f} s, "
        f"{reporting_text.gibibytes(cost['peak_rss_bytes'])} of memory at most.",
    )


def _learnt(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Nearest words of the first seed of most shots, for each model and method that learns them."""
    latest: dict[tuple, dict[str, Any]] = {}
    for each in sorted(found, key=lambda each: (each["shots"], -each["seed"])):
        if "nearest_words" in each:
            latest[each["model"], each["method"]] = each
    return [
        {
            "title": f"{each['model']}, {each['method']}, {each['shots']} shots, "
            f"seed {each['seed']}: {each['template']}",
            "vectors": [
                ", ".join(f"{word} ({distance:.2f})" for word, distance in words)
                for words in each["nearest_words"][:16]
            ],
        }
        for each in latest.values()
    ]
