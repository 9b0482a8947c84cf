"""Reports of own and published figures, as text and as data."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pipelines.published.allowed_terms import MEASURES
from pipelines.published.match import Comparison
from pipelines.published.run_metrics import Measured
from pipelines.published.table import FIELDS, Figure
from pipelines.runs.text_table import aligned

NEAREST = 3  # figures to show where none can be compared
COLUMNS = ("measure", "ours", "published", "difference", "tolerance", "", "source")
LISTED = ("dataset", "model", "method", "shots", "split", "prompts", "measure", "value", "source")
Compared = Sequence[tuple[Measured, list[Comparison]]]


def outside(compared: Compared) -> list[Comparison]:
    """The comparisons in which a run and the published figure do not agree."""
    return [each for each in _figures(compared) if each.inside is False]


def _figures(compared: Compared) -> list[Comparison]:
    """Those that could be compared."""
    return [each for _, figures in compared for each in figures if each.inside is not None]


def as_text(compared: Compared) -> str:
    """A block for each model and method of a run, and what it comes to in the last line."""
    blocks = ["\n".join([str(found), *_block(figures)]) for found, figures in compared]
    known = any(figures for _, figures in compared)
    return "\n\n".join([*(blocks if known else []), verdict(compared)])


def _block(figures: list[Comparison]) -> list[str]:
    same = [each for each in figures if each.inside is not None]
    if same:
        return [f"  {line}" for line in aligned([COLUMNS, *map(_cells, same)], right=(1, 2, 3, 4))]
    if not figures:
        return ["  nothing published for this set, model and method"]
    nearest = [each for each in figures if len(each.reasons) == len(figures[0].reasons)][:NEAREST]
    lines = []
    for each in nearest:
        figure = each.figure
        what = f"{figure.value:.2f} ({MEASURES[figure.measure]}; {figure.source})"
        lines.append(f"  not comparable with {what}, because it is {'; '.join(each.reasons)}")
    more = len(figures) - len(nearest)
    return lines + [f"  nor with {more} more, which are no nearer"] * bool(more)


def _cells(each: Comparison) -> tuple[str, ...]:
    figure, deviation = each.figure, each.figure.deviation
    notes = "; ".join(filter(None, (figure.note, each.part)))
    return (
        figure.measure,
        f"{each.ours:.2f}",
        f"{figure.value:.2f}" + (f" ± {deviation:g}" if deviation else ""),
        f"{each.difference:+.2f}",
        f"{each.tolerance:.2f}",
        "inside" if each.inside else "OUTSIDE",
        figure.source + (f" ({notes})" if notes else ""),
    )


def verdict(compared: Compared) -> str:
    """One line: how many figures agree, or why there are none."""
    whole, wrong = len(_figures(compared)), len(outside(compared))
    if whole:
        return f"{whole - wrong} of {whole} figures inside the tolerance"
    if any(figures for _, figures in compared):
        return "nothing published can be compared with this run"
    of = dict.fromkeys(f"{found.dataset} with {found.model}" for found, _ in compared)
    return f"nothing published for this run{': ' if of else ''}{', '.join(of)}"


def as_data(run: str, compared: Compared) -> dict[str, Any]:
    """The same as JSON has it: every comparison, those that cannot be made as well."""
    return {
        "run": run,
        "verdict": verdict(compared),
        "compared": len(_figures(compared)),
        "outside": len(outside(compared)),
        "measured": [
            {
                **{name: getattr(found, name) for name in ("dataset", "model", "method", "shots")},
                "split": found.split,
                "images": found.images or None,
                "figures": [
                    {
                        **asdict(each.figure),
                        "ours": each.ours,
                        "difference": each.difference,
                        "tolerance": each.tolerance,
                        "inside": each.inside,
                        "reasons": list(each.reasons),
                    }
                    for each in figures
                ],
            }
            for found, figures in compared
        ],
    }


def listing(figures: Iterable[Figure]) -> str:
    """The table for a terminal; the JSON has the details of each figure."""
    rows = [
        tuple(
            f"{figure.value:.2f}" if name == "value" else str(getattr(figure, name))
            for name in LISTED
        )
        for figure in figures
    ]
    return "\n".join(aligned([LISTED, *rows], right=(3, 7)))


def listing_data(figures: Iterable[Figure]) -> list[Mapping[str, Any]]:
    """The table as JSON has it."""
    return [{name: getattr(figure, name) for name in FIELDS} for figure in figures]
