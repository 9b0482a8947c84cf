"""`report.html` of a classifier that says several labels per picture."""

from typing import Any

import yaml

from pipelines.runs import plots, report

SHOWN = 60  # classes in the plot


def page(results: dict[str, Any]) -> str:
    """The page of the document that `results.document` makes of `measure_multi_label`."""
    cost = results["cost"]
    classes = sorted(results["per_class"], key=_weakness)
    measured = [row for row in classes if row["average_precision"] is not None]
    return report.render(
        "multi_label.html.j2",
        title=f"{results['model']} on {results['dataset']}, {results['split']} split",
        headline=report.headline(results),
        results=results,
        figures=report.figure_rows(results),
        absent=len(classes) - len(measured),
        shown=min(SHOWN, len(measured)),
        measured=len(measured),
        plot=report.both_themes(plots.average_precisions, measured[:SHOWN], results["pictures"]),
        classes=classes,
        command=report.command_line(results["command"], results["config"]),
        config=yaml.safe_dump(results["config"], sort_keys=False, allow_unicode=True),
        cost=(
            f"Took {cost['seconds']:,.0f} s, {cost['pictures_per_second']:,.0f} pictures/s, "
            f"{cost['peak_rss_bytes'] / 2**30:.1f} GiB of memory at most. "
            "Nothing is ever overwritten: give it another --out."
        ),
    )


def _weakness(row: dict[str, Any]) -> tuple[bool, float]:
    """Sorts classes by average precision, those without pictures last."""
    return row["average_precision"] is None, row["average_precision"] or 0.0
