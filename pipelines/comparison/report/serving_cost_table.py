"""Tables of the serving costs of all methods: CSV, terminal, page."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipelines.reporting.number_format import DASH

TIMES = {"images_per_second": 0, "latency_p50_ms": 1, "latency_p95_ms": 1}  # and their decimals

OWN = ("flops", "parameters", "bytes")  # of the network that answers

CSV = (
    *("trained_parameters", *(f"deployed_{key}" for key in OWN)),
    *(f"{key}_{size}" for size in (1, 32) for key in TIMES),
    *("price_per_million", "deployed_like", "deployed_note"),
)

STARVED = 0.7  # processors, of a program that has always work for one

UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class Column:
    """One of the table: headings for the page and for the terminal; `value` gives the text of a
    row of the results, or a dash."""

    heading: str
    short: str
    value: Callable[[dict[str, Any]], str]


def scaled(number: float | None, unit: str = "") -> str:
    """77322752 as "77.3 M", with a unit behind the letter; nothing known as a dash."""
    if number is None:
        return DASH
    size, letter = next((each for each in UNITS if number >= each[0]), (1, ""))
    value = number / size
    text = f"{value:,.0f}" if value >= 100 or size == 1 else f"{value:.1f}"
    return f"{text} {letter}{unit}".strip()


def _own(key: str, unit: str = "") -> Callable[[dict[str, Any]], str]:
    return lambda row: scaled((row["deployed"] or {}).get(key), unit)


def _measured(size: int, *keys: str) -> Callable[[dict[str, Any]], str]:
    def value(row: dict[str, Any]) -> str:
        batch = ((row["deployed"] or {}).get("batches") or {}).get(str(size))
        if batch is None:
            return DASH
        return " / ".join(f"{batch[key]:,.{TIMES[key]}f}" for key in keys)

    return value


COLUMNS = (
    Column("FLOPs an image", "FLOPs", _own("flops")),
    Column("Parameters", "parameters", _own("parameters")),
    Column("Trained", "trained", lambda row: scaled(row["trained_parameters"])),
    Column("On disk", "on disk", _own("bytes", "B")),
    Column("Images/s", "images/s", _measured(32, "images_per_second")),
    Column(
        "Latency of 1, ms (p50 / p95)",
        "of 1: p50 / p95 ms",
        _measured(1, "latency_p50_ms", "latency_p95_ms"),
    ),
    Column(
        "Latency of 32, ms (p50 / p95)",
        "of 32: p50 / p95 ms",
        _measured(32, "latency_p50_ms", "latency_p95_ms"),
    ),
    Column(
        "A million",
        "a million",
        lambda row: DASH if row["price_per_million"] is None else f"{row['price_per_million']:.2f}",
    ),
)


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the results as cells of `CSV`; None where unknown."""
    deployed = row["deployed"] or {}
    batches = deployed.get("batches") or {}
    return {
        **{f"deployed_{key}": deployed.get(key) for key in (*OWN, "like", "note")},
        **{
            f"{key}_{size}": batches.get(str(size), {}).get(key)
            for size in (1, 32)
            for key in TIMES
        },
    }


def table(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """`headings`, `short` ones, and `rows` of `method`, `cells` and `remark`.

    None where nothing is known. Columns that no method has a figure for are left out.
    """
    rows = [row for row in rows if row["error"] is None and row["deployed"]]
    texts = [[column.value(row) for column in COLUMNS] for row in rows]
    shown = [i for i in range(len(COLUMNS)) if any(cells[i] != DASH for cells in texts)]
    if not shown:
        return None
    return {
        "headings": [COLUMNS[i].heading for i in shown],
        "short": [COLUMNS[i].short for i in shown],
        "rows": [
            {
                "method": row["method"],
                "cells": [cells[i] for i in shown],
                "remark": remark(row["deployed"]),
            }
            for row, cells in zip(rows, texts, strict=True)
        ],
    }


def remark(deployed: dict[str, Any]) -> str:
    """With whom a row shares what was measured, or why something was not, or is no measure."""
    if deployed["note"]:
        return deployed["note"]
    said = [f"measured as {deployed['like']}"] if deployed["like"] else []
    batches = (deployed["batches"] or {}).values()
    if any(batch.get("processors", STARVED) < STARVED for batch in batches):
        said.append("slowed down by other programs")
    return "; ".join(said)
