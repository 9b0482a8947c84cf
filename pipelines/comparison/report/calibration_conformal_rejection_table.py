"""The table of how sure each method may be, for the page of a comparison."""

from typing import Any

from pipelines.reporting import number_format as reporting_text

HEADINGS = (
    *("Calibration error", "After temperature", "Temperature"),
    *("Classes in a set", "Sets with the true class"),
    *("Known kept", "New ones taken for known", "AUROC"),
)


def table(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each method that has a `certainty`: its name, and a cell for every heading."""
    return [
        {"method": row["method"], "cells": _cells(row["certainty"])}
        for row in rows
        if row.get("certainty")
    ]


def _cells(found: dict[str, Any]) -> list[str]:
    sets, none = found["sets"], found["none_of_these"]
    shares = (none["kept"], none["false_positive_rate"], none["auroc"])
    return [
        reporting_text.percent(found["ece_before"]),
        reporting_text.percent(found["ece_after"]),
        f"{found['temperature']:.2f}",
        f"{sets['mean_size']:.1f}",
        reporting_text.percent(sets["coverage"]),
        *(reporting_text.DASH if each is None else reporting_text.percent(each) for each in shares),
    ]
