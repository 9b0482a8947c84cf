"""Plot of accuracy against images per class."""

from collections.abc import Sequence
from itertools import cycle
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from pipelines.reporting.figure import BESIDE, INK, colours, png

if TYPE_CHECKING:
    from matplotlib.figure import Figure


MARKERS, DASHES = "os^Dv*PX<>hp", ("--", ":")  # in turn, whatever number of methods there is

TITLES = {"seen_top1": "seen classes", "unseen_top1": "unseen classes"}


def few_shot(rows: list[dict[str, Any]], figures: Sequence[str]) -> bytes:
    """Accuracy against shots, a panel per model and figure, a line per method with a bar of one
    deviation at each point; methods that learn from no images are dashed or dotted.

    rows: of `report.table`; figures: which of theirs.
    """
    models = list(dict.fromkeys(row["model"] for row in rows))
    methods = list(dict.fromkeys(row["method"] for row in rows if row["shots"]))
    level = list(dict.fromkeys(row["method"] for row in rows if not row["shots"]))
    markers = dict(zip(methods, cycle(MARKERS), strict=False))
    dashes = dict(zip(level, cycle(DASHES), strict=False))
    shots = sorted({row["shots"] for row in rows if row["shots"]})

    def draw(figure: "Figure") -> None:
        grid = figure.subplots(len(models), len(figures), squeeze=False, sharey="row")
        for model, panels in zip(models, grid, strict=True):
            for name, axes in zip(figures, panels, strict=True):
                own = [row for row in rows if row["model"] == model and name in row]
                for place, method in enumerate(methods):
                    line = sorted(
                        (r for r in own if r["method"] == method), key=itemgetter("shots")
                    )
                    axes.errorbar(
                        [shots.index(row["shots"]) for row in line],
                        [100 * row[name]["mean"] for row in line],
                        [100 * (row[name]["deviation"] or 0) for row in line],
                        color=colours()(0.35 + 0.65 * place / max(len(methods) - 1, 1)),
                        marker=markers[method],
                        label=method,
                        capsize=2,
                    )
                for row in own:
                    if not row["shots"]:
                        value = 100 * row[name]["mean"]
                        method = row["method"]
                        axes.axhline(value, color=INK, linestyle=dashes[method], label=method)
                axes.set_xticks(range(len(shots)), [str(count) for count in shots])
                title = f"{model}, {TITLES.get(name, 'accuracy')}"
                axes.set(xlabel="images per class", title=title)
            panels[0].set_ylabel("% right")
        figure.tight_layout()
        grid[0][-1].legend(*grid[0][0].get_legend_handles_labels(), **BESIDE)

    return png(draw, size=(5.6 * len(figures), 3.8 * len(models)))
