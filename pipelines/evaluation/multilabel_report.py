"""Report page of a multi-label classifier."""

from typing import Any

from pipelines.evaluation import plots as evaluation_plots
from pipelines.evaluation import report as evaluation_report
from pipelines.reporting import page as reporting_page

SHOWN = 60  # classes in the plot


def page(results: dict[str, Any]) -> str:
    """Returns the page of a results document of `measure_multi_label`."""
    return reporting_page.of_run(
        "multi_label.html.j2",
        results,
        title=evaluation_report.title(results),
        headline=evaluation_report.headline(results),
        figures=evaluation_report.figure_rows(results),
        untested=evaluation_report.untested(results),
        found=plot(results),
        classes=weakest_first(results["per_class"]),
        cost=f"{evaluation_report.took(results)} {evaluation_report.KEPT}",
    )


def plot(results: dict[str, Any]) -> dict[str, Any]:
    """Plots the average precision of the weakest classes; returns their number and the total."""
    rows = weakest_first(results["per_class"])
    measured = [row for row in rows if row["average_precision"] is not None]
    drawn = measured[:SHOWN]
    return {
        "shown": len(drawn),
        "measured": len(measured),
        "plot": reporting_page.plot(evaluation_plots.average_precisions(drawn, results["images"])),
    }


def weakest_first(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sorts rows of classes by average precision; classes without images come last."""
    known = "average_precision"
    return sorted(rows, key=lambda row: (row[known] is None, row[known] or 0.0))
