"""Pictures of a run's figures, as PNG bytes.

Every function takes plain arrays and a theme, and leaves nothing open: figures are made without
pyplot, so there is no global state and no display.
"""

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Theme:
    """Colours of a page and of the pictures on it."""

    paper: str
    ink: str
    muted: str
    accent: str


LIGHT = Theme(paper="#ffffff", ink="#1b2430", muted="#69758a", accent="#1f6feb")
DARK = Theme(paper="#12161c", ink="#e6eaf0", muted="#93a0b4", accent="#6cb0ff")


def reliability(bins: list[dict[str, Any]], theme: Theme = LIGHT) -> bytes:
    """Accuracy against confidence, one bar per bin of `metrics.calibration_bins`, above how
    many pictures each bin holds."""

    def draw(figure: "Figure") -> None:
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
        filled = [b for b in bins if b["count"]]
        middle = [(b["low"] + b["high"]) / 2 for b in filled]
        width = 0.92 / len(bins)
        top.bar(middle, [b["accuracy"] for b in filled], width, color=theme.accent, alpha=0.65)
        top.plot([0, 1], [0, 1], color=theme.ink, linestyle="--", linewidth=1.5)
        top.set_title("bars below the line: too sure of itself", color=theme.muted, fontsize=10)
        top.set(xlim=(0, 1), ylim=(0, 1), ylabel="share that is right")
        bottom.bar(middle, [b["count"] for b in filled], width, color=theme.muted)
        bottom.set(xlabel="how sure the model is (its highest probability)", ylabel="pictures")
        figure.align_ylabels()

    return png(draw, theme, size=(5.6, 5.6))


def confusion_matrix(
    confusion: np.ndarray, class_names: Sequence[str], theme: Theme = LIGHT, *, labels: bool = True
) -> bytes:
    """Rows the true class, columns the predicted one, coloured by the share of the row.

    confusion: counts [c, c], drawn in the order given. Up to 16 classes the counts are written
    in the cells. `labels=False` leaves the class names out, for an overview; above 200 classes
    nobody could read them and they are left out too.
    """
    classes = len(confusion)
    labels = labels and classes <= 200
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(0.17 * classes + 2.4, 5, 24)) if labels else 5.6

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        # A class's mistakes are a few per cent each: the root makes them visible.
        picture = axes.imshow(share, cmap=_colours(theme), norm=_root(), interpolation="nearest")
        axes.set(xlabel="predicted", ylabel="true")
        if labels:
            _name_classes(axes, class_names, size=9 if classes <= 30 else 7)
        else:
            axes.set(xticks=[], yticks=[])
        axes.spines[:].set(visible=True, linewidth=0.5)
        if classes <= 16:
            _write_counts(axes, confusion, share, theme)
        bar = figure.colorbar(picture, ax=axes, shrink=0.4, pad=0.02, ticks=[0, 0.1, 0.5, 1])
        bar.ax.set_yticklabels(["0", "10 %", "50 %", "100 %"])
        bar.set_label("of the class's pictures")
        bar.outline.set_visible(False)

    return png(draw, theme, size=(side + 0.6, side))


def curves(
    history: list[dict[str, float]], panels: list[dict[str, Any]], theme: Theme = LIGHT
) -> bytes:
    """What was measured after every epoch, one small plot for each of `panels`.

    Each panel has a `title` and `lines`, label to key in the rows of `history`.
    """

    def draw(figure: "Figure") -> None:
        grid = list(figure.subplots(-(-len(panels) // 2), 2, squeeze=False).flat)
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        for axes, panel in zip(grid, panels, strict=False):
            for colour, (label, key) in zip(
                (theme.accent, theme.ink), panel["lines"].items(), strict=False
            ):
                rows = [row for row in history if key in row]
                epochs = [row["epoch"] + 1 for row in rows]
                axes.plot(epochs, [row[key] for row in rows], ".-", color=colour, label=label)
            axes.set_title(panel["title"], fontsize=10)
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
            if len(panel["lines"]) > 1:
                axes.legend(frameon=False)
        figure.tight_layout()

    return png(draw, theme, size=(7.6, 2.7 * -(-len(panels) // 2)))


def way(rows: list[dict[str, Any]], theme: Theme = LIGHT, *, chosen: float) -> bytes:
    """Accuracy on held-out against seen classes, from the weights before to those after.

    Where no class is held out it is accuracy, or mean average precision, against alpha.

    rows: of `interpolation.curve`; chosen: the alpha of the model.
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
        axes.plot(*zip(*points, strict=True), ".-", color=theme.accent)
        for row, point in zip(rows, points, strict=True):
            if row["alpha"] in (0, 1):
                axes.annotate(f"alpha {row['alpha']:g}", point, color=theme.muted)
            if row["alpha"] == chosen:
                axes.plot(*point, "o", color=theme.ink, markersize=9, fillstyle="none")
        axes.set(**labels)

    return png(draw, theme, size=(5.6, 4.2))


def recall_curves(
    lines: dict[str, tuple[np.ndarray, int, float]], theme: Theme = LIGHT, *, most: int = 1000
) -> bytes:
    """The share of queries answered within the first k, against k, up to `most`.

    lines: label to the ranks of the right answers, int [q], how many answers there are, and how
    many of them are right on average. Dashed, in the same colour: what chance would find.
    """

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        for colour, (label, (ranks, answers, right)) in zip(
            (theme.accent, theme.ink), lines.items(), strict=True
        ):
            k = np.unique(np.geomspace(1, min(most, answers), 60).round())
            found = np.searchsorted(np.sort(ranks), k, side="right") / len(ranks)
            axes.plot(k, found, color=colour, label=label)
            axes.plot(k, 1 - (1 - k / answers) ** right, "--", color=colour, linewidth=1)
        axes.set(xscale="log", ylim=(0, 1), xlabel="answers looked at", ylabel="share answered")
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.legend(frameon=False)

    return png(draw, theme, size=(5.6, 3.6))


def average_precisions(rows: list[dict[str, Any]], pictures: int, theme: Theme = LIGHT) -> bytes:
    """A bar per row of `multi_label_metrics.per_class`, the first on top, each with a mark at the
    share of all pictures that show the class."""

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        places = np.arange(len(rows))
        found = [row["average_precision"] for row in rows]
        axes.barh(places, found, 0.7, color=theme.accent, alpha=0.65)
        shares = [row["count"] / pictures for row in rows]
        axes.plot(shares, places, "|", color=theme.ink, markersize=9, markeredgewidth=2)
        axes.set_yticks(places, [shorten(row["name"]) for row in rows])
        axes.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6), xlabel="average precision")
        axes.tick_params(axis="y", length=0)

    return png(draw, theme, size=(5.6, 0.8 + 0.22 * len(rows)))


TITLES = {"seen_top1": "seen classes", "unseen_top1": "unseen classes"}


def few_shot(rows: list[dict[str, Any]], figures: Sequence[str], theme: Theme = LIGHT) -> bytes:
    """Accuracy against shots, a panel per model and figure, a line per method with a bar of one
    deviation at each point; zero-shot is dashed.

    rows: of `prompt_report.table`; figures: which of theirs.
    """
    models = list(dict.fromkeys(row["model"] for row in rows))
    methods = list(dict.fromkeys(row["method"] for row in rows if row["shots"]))
    markers = dict(zip(methods, "os^Dv*", strict=False))
    shots = sorted({row["shots"] for row in rows if row["shots"]})

    def draw(figure: "Figure") -> None:
        grid = figure.subplots(len(models), len(figures), squeeze=False, sharey="row")
        for model, panels in zip(models, grid, strict=True):
            for name, axes in zip(figures, panels, strict=True):
                own = [row for row in rows if row["model"] == model and name in row]
                for place, method in enumerate(methods):
                    line = sorted((r for r in own if r["method"] == method), key=_shots)
                    axes.errorbar(
                        [shots.index(row["shots"]) for row in line],
                        [100 * row[name]["mean"] for row in line],
                        [100 * (row[name]["deviation"] or 0) for row in line],
                        color=_colours(theme)(0.35 + 0.65 * place / max(len(methods) - 1, 1)),
                        marker=markers[method],
                        label=method,
                        capsize=2,
                    )
                for row in own:
                    if not row["shots"]:
                        value = 100 * row[name]["mean"]
                        axes.axhline(value, color=theme.ink, linestyle="--", label="zero-shot")
                axes.set_xticks(range(len(shots)), [str(count) for count in shots])
                title = f"{model}, {TITLES.get(name, 'accuracy')}"
                axes.set(xlabel="pictures per class", title=title)
            panels[0].set_ylabel("% right")
        grid[0][0].legend(frameon=False, fontsize=8)
        figure.tight_layout()

    return png(draw, theme, size=(5.6 * len(figures), 3.8 * len(models)))


def most_confused(
    pairs: list[dict[str, Any]], class_names: Sequence[str], theme: Theme = LIGHT
) -> bytes:
    """The pairs of `metrics.most_confused`, each with some of the pictures that were mistaken.

    Each pair has one more key, `pictures`: a list of uint8 arrays [h, w, 3].
    """
    columns = max([len(pair["pictures"]) for pair in pairs], default=0)

    def draw(figure: "Figure") -> None:
        if not columns:
            figure.text(0.5, 0.5, "no picture was mistaken", ha="center", va="center")
            return
        grid = figure.subplots(len(pairs), columns, squeeze=False)
        figure.subplots_adjust(left=0, right=1, bottom=0, top=1, wspace=0.04, hspace=0.3)
        for row, pair in zip(grid, pairs, strict=True):
            for axes in row:
                axes.set_axis_off()
            for axes, picture in zip(row, pair["pictures"], strict=False):
                axes.imshow(picture)
            row[0].set_title(confusion_text(pair, class_names), loc="left", fontsize=10)

    size = (1.3 * columns, 1.65 * len(pairs)) if columns else (3.0, 0.5)
    return png(draw, theme, size=size)


def confusion_text(pair: dict[str, Any], class_names: Sequence[str]) -> str:
    """A pair of `metrics.most_confused` in words."""
    true, predicted = (shorten(class_names[pair[key]]) for key in ("true", "predicted"))
    return f"{true} called {predicted}: {pair['count']:,} of {pair['of']:,}"


def shorten(name: str, limit: int = 28) -> str:
    """The name, cut with an ellipsis where it is longer than `limit` characters."""
    return name if len(name) <= limit else name[: limit - 1].rstrip() + "…"


def png(draw: Callable[["Figure"], None], theme: Theme, *, size: tuple[float, float]) -> bytes:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style: Any = {
        "figure.facecolor": theme.paper,
        "axes.facecolor": theme.paper,
        "axes.edgecolor": theme.muted,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.labelcolor": theme.ink,
        "xtick.color": theme.muted,
        "ytick.color": theme.muted,
        "text.color": theme.ink,
        "text.parse_math": False,  # a class may be called "$5 or $10"
        "font.size": 10,
    }
    buffer = io.BytesIO()
    with matplotlib.rc_context(style), warnings.catch_warnings():
        # A script that the font lacks is drawn as boxes; the page itself has the names as text.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure = Figure(figsize=size, dpi=144)
        FigureCanvasAgg(figure)
        draw(figure)
        figure.savefig(buffer, format="png", bbox_inches="tight", pad_inches=0.15)
    return buffer.getvalue()


def _colours(theme: Theme) -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("share", [theme.paper, theme.accent])


def _root() -> Any:
    from matplotlib.colors import PowerNorm

    return PowerNorm(gamma=0.4, vmin=0, vmax=1)


def _name_classes(axes: "Axes", class_names: Sequence[str], *, size: float) -> None:
    names = [shorten(name) for name in class_names]
    places = range(len(names))
    axes.set_xticks(places, names, rotation=90, fontsize=size)
    axes.set_yticks(places, names, fontsize=size)
    axes.tick_params(length=0)


def _write_counts(axes: "Axes", confusion: np.ndarray, share: np.ndarray, theme: Theme) -> None:
    for i, j in zip(*np.nonzero(confusion), strict=True):
        colour = theme.paper if share[i, j] > 0.3 else theme.ink
        axes.text(j, i, f"{confusion[i, j]:,}", ha="center", va="center", color=colour, fontsize=9)


def _shots(row: dict[str, Any]) -> int:
    return row["shots"]
