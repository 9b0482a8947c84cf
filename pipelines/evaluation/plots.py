"""Plots of a classifier's results: calibration, confusion, recall per class."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.metrics.multilabel import average_precision_by_chance
from pipelines.reporting.figure import ACCENT, INK, MUTED, PAPER, colours, png, root, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED = 200  # classes of a confusion matrix that can have their names beside it


def reliability(bins: list[dict[str, Any]]) -> bytes:
    """Plots accuracy against confidence, one bar per bin of `metrics.calibration.calibration_bins`,
    and the number of images per bin."""

    def draw(figure: "Figure") -> None:
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
        filled = [b for b in bins if b["count"]]
        middle = [(b["low"] + b["high"]) / 2 for b in filled]
        width = 0.92 / len(bins)
        top.bar(middle, [b["accuracy"] for b in filled], width, color=ACCENT, alpha=0.65)
        top.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1.5)
        top.set_title("bars below the line: too sure of itself", color=MUTED, fontsize=10)
        top.set(xlim=(0, 1), ylim=(0, 1), ylabel="share that is right")
        bottom.bar(middle, [b["count"] for b in filled], width, color=MUTED)
        bottom.set(xlabel="how sure the model is (its highest probability)", ylabel="images")
        figure.align_ylabels()

    return png(draw, size=(5.6, 5.6))


def confusion_matrix(
    confusion: np.ndarray, class_names: Sequence[str], *, labels: bool = True
) -> bytes:
    """Plots a confusion matrix: true classes in rows, predicted in columns, coloured by row share.

    confusion: counts [c, c], in the given order. Up to 16 classes, cells show the counts.
    `labels=False` leaves out the class names, for an overview; above `NAMED` classes, where they
    would be unreadable, they are always left out. Every class has a pixel or more.
    """
    classes = len(confusion)
    labels = labels and classes <= NAMED
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    overview = max(5.6, classes / 84)  # of 144 pixels an inch, six tenths are the matrix
    side = float(np.clip(0.17 * classes + 2.4, 5, 24)) if labels else overview

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        # A class's mistakes are often a few per cent each: the square root makes them visible.
        image = axes.imshow(share, cmap=colours(), norm=root(), interpolation="nearest")
        axes.set(xlabel="predicted", ylabel="true")
        if labels:
            _name_classes(axes, class_names, size=9 if classes <= 30 else 7)
        else:
            axes.set(xticks=[], yticks=[])
        axes.spines[:].set(visible=True, linewidth=0.5)
        if classes <= 16:
            _write_counts(axes, confusion, share)
        bar = figure.colorbar(image, ax=axes, shrink=0.4, pad=0.02, ticks=[0, 0.1, 0.5, 1])
        bar.ax.set_yticklabels(["0", "10 %", "50 %", "100 %"])
        bar.set_label("of the class's images")
        bar.outline.set_visible(False)

    return png(draw, size=(side + 0.6, side))


def recall_curves(lines: dict[str, tuple[np.ndarray, int, float]]) -> bytes:
    """Plots recall@k against k, up to 1,000.

    lines: label -> ranks of the right answers, int [q], the number of answers, and the average
    number of right ones. The dashed line of the same colour is chance.
    """

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        for colour, (label, (ranks, answers, right)) in zip(
            (ACCENT, INK), lines.items(), strict=True
        ):
            k = np.unique(np.geomspace(1, min(1000, answers), 60).round())
            found = np.searchsorted(np.sort(ranks), k, side="right") / len(ranks)
            axes.plot(k, found, color=colour, label=label)
            axes.plot(k, 1 - (1 - k / answers) ** right, "--", color=colour, linewidth=1)
        axes.set(xscale="log", ylim=(0, 1), xlabel="answers looked at", ylabel="share answered")
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.legend(frameon=False)

    return png(draw, size=(5.6, 3.6))


def average_precisions(rows: list[dict[str, Any]], images: int) -> bytes:
    """Plots a bar per row of `multilabel.per_class`, the first on top, with a mark at what
    an order by chance is expected to have."""

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        places = np.arange(len(rows))
        found = [row["average_precision"] for row in rows]
        axes.barh(places, found, 0.7, color=ACCENT, alpha=0.65)
        chance = [average_precision_by_chance(row["count"], images) for row in rows]
        axes.plot(chance, places, "|", color=INK, markersize=9, markeredgewidth=2)
        axes.set_yticks(places, [shorten(row["name"]) for row in rows])
        axes.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6), xlabel="average precision")
        axes.tick_params(axis="y", length=0)

    return png(draw, size=(5.6, 0.8 + 0.22 * len(rows)))


def most_confused(pairs: list[dict[str, Any]], class_names: Sequence[str]) -> bytes:
    """Plots the pairs of `metrics.confusion.most_confused` with some of their misclassified images.

    Each pair has an additional key, `images`: a list of uint8 arrays [h, w, 3].
    """
    columns = max([len(pair["images"]) for pair in pairs], default=0)

    def draw(figure: "Figure") -> None:
        if not columns:
            figure.text(0.5, 0.5, "no image was mistaken", ha="center", va="center")
            return
        grid = figure.subplots(len(pairs), columns, squeeze=False)
        figure.subplots_adjust(left=0, right=1, bottom=0, top=1, wspace=0.04, hspace=0.3)
        for row, pair in zip(grid, pairs, strict=True):
            for axes in row:
                axes.set_axis_off()
            for axes, image in zip(row, pair["images"], strict=False):
                axes.imshow(image)
            row[0].set_title(confusion_text(pair, class_names), loc="left", fontsize=10)

    size = (1.3 * columns, 1.65 * len(pairs)) if columns else (3.0, 0.5)
    return png(draw, size=size)


def confusion_text(pair: dict[str, Any], class_names: Sequence[str]) -> str:
    """Returns the text for a pair of `metrics.confusion.most_confused`."""
    true, predicted = (shorten(class_names[pair[key]]) for key in ("true", "predicted"))
    return f"{true} called {predicted}: {pair['count']:,} of {pair['of']:,}"


def _name_classes(axes: "Axes", class_names: Sequence[str], *, size: float) -> None:
    names = [shorten(name) for name in class_names]
    places = range(len(names))
    axes.set_xticks(places, names, rotation=90, fontsize=size)
    axes.set_yticks(places, names, fontsize=size)
    axes.tick_params(length=0)


def _write_counts(axes: "Axes", confusion: np.ndarray, share: np.ndarray) -> None:
    for i, j in zip(*np.nonzero(confusion), strict=True):
        colour = PAPER if share[i, j] > 0.3 else INK
        axes.text(j, i, f"{confusion[i, j]:,}", ha="center", va="center", color=colour, fontsize=9)
