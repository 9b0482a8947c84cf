"""Plots of a training run: learning curves and weight interpolation."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipelines.reporting.figure import ACCENT, INK, MUTED, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STAYS = 1e-3  # of the largest value: what changes by less is drawn as a level line


def panels_of(
    named: Mapping[str, Mapping[str, str]], history: list[dict[str, float]]
) -> list[dict[str, Any]]:
    """Those of `named`, title to label to key, with the lines that rows of `history` have."""
    known = {key for row in history for key in row}
    panels = [
        {"title": title, "lines": {label: key for label, key in lines.items() if key in known}}
        for title, lines in named.items()
    ]
    return [panel for panel in panels if panel["lines"]]


def curves(history: list[dict[str, float]], panels: list[dict[str, Any]]) -> bytes:
    """What was measured after every epoch, one small plot for each of `panels`.

    Each panel has a `title` and `lines`, label to key in the rows of `history`.
    """

    def draw(figure: "Figure") -> None:
        grid = list(figure.subplots(-(-len(panels) // 2), 2, squeeze=False).flat)
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        for axes, panel in zip(grid, panels, strict=False):
            for colour, (label, key) in zip((ACCENT, INK), panel["lines"].items(), strict=False):
                rows = [row for row in history if key in row]
                epochs = [row["epoch"] + 1 for row in rows]
                axes.plot(epochs, [row[key] for row in rows], ".-", color=colour, label=label)
            _room_for_what_stays(axes)
            axes.set_title(panel["title"], fontsize=10)
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
            if len(panel["lines"]) > 1:
                axes.legend(frameon=False)
        figure.tight_layout()

    return png(draw, size=(7.6, 2.7 * -(-len(panels) // 2)))


def _room_for_what_stays(axes: "Axes") -> None:
    """Keeps what changes by rounding alone from filling the panel, with an offset on its axis."""
    low, high = axes.get_ylim()
    if high - low < STAYS * max(abs(low), abs(high)):
        middle = (low + high) / 2
        axes.set_ylim(middle - abs(middle) / 10, middle + abs(middle) / 10)


def way(rows: list[dict[str, Any]], *, chosen: float) -> bytes:
    """Accuracy on held-out against seen classes, from the weights before to those after.

    Where no class is held out it is accuracy, or mean average precision, against alpha.

    rows: of `wise_ft.curve`; chosen: the alpha of the model.
    """
    figure_of = "map" if "map" in rows[0] else "seen_top1"
    labels = {"xlabel": "seen classes, % right", "ylabel": "held-out classes, % right"}
    points = [(100 * row[figure_of], 100 * (row.get("unseen_top1") or 0)) for row in rows]
    if not any(row.get("unseen_top1") for row in rows):
        points = [(row["alpha"], 100 * row[figure_of]) for row in rows]
        said = "mean average precision, %" if figure_of == "map" else labels["xlabel"]
        labels = {"xlabel": "alpha", "ylabel": said}

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        axes.plot(*zip(*points, strict=True), ".-", color=ACCENT)
        for row, point in zip(rows, points, strict=True):
            if row["alpha"] in (0, 1):
                axes.annotate(f"alpha {row['alpha']:g}", point, color=MUTED)
            if row["alpha"] == chosen:
                axes.plot(*point, "o", color=INK, markersize=9, fillstyle="none")
        axes.set(**labels)

    return png(draw, size=(5.6, 4.2))
