"""Plots of a comparison, as PNG."""

from typing import TYPE_CHECKING, Any

from pipelines.reporting.figure import ACCENT, BESIDE, MUTED, png

if TYPE_CHECKING:
    from matplotlib.figure import Figure


# Of a name beside its point, in points of print: right and up.
PLACES = [(side * 8, up) for up in (5, -11, 16, -22, 27) for side in (1, -1)]

DASHES = ("-", "--", ":", "-.")


def scatter(rows: list[dict[str, Any]]) -> bytes:
    """Held-out against seen classes, a mark per method with 95 % intervals, as large as it costs.

    Methods that cannot name held-out classes are crosses on the axis.
    """

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        most = max((row["seconds"] or 0) for row in rows) or 1
        named = [row for row in rows if row["unseen"] is not None]
        for row in named:
            x, y = 100 * row["seen"], 100 * row["unseen"]
            size = 30 + 270 * (row["seconds"] or 0) / most
            axes.scatter(x, y, s=size, color=ACCENT, alpha=0.55, zorder=3)
            _bars(axes, row, x, y)
        axes.margins(0.15)
        floor = axes.get_ylim()[0]  # where those stand that cannot name a new class
        points = []
        for row in rows:
            x, y = 100 * row["seen"], floor if row["unseen"] is None else 100 * row["unseen"]
            if row not in named:
                axes.plot(x, y, "x", color=MUTED, clip_on=False)
            points.append((row["method"], x, y))
        axes.set_ylim(bottom=floor)
        for axis in (axes.xaxis, axes.yaxis):
            _no_more_than_all(axis)
        _name(axes, points)
        axes.set(xlabel="classes trained on, % right", ylabel="classes never seen, % right")

    return png(draw, size=(7.6, 5.2))


def _no_more_than_all(axis: Any) -> None:
    """No tick beyond 100 %, nor below 0: room around the points is not a share."""
    low, high = axis.get_view_interval()
    axis.set_ticks([tick for tick in axis.get_ticklocs() if max(low, 0) <= tick <= min(high, 100)])


def _name(axes: Any, points: list[tuple[str, float, float]]) -> None:
    """Write names beside their points, each in the first place that no other name has."""
    taken: list[Any] = []
    for name, x, y in points:
        for right, up in PLACES:
            text = axes.annotate(
                name,
                (x, y),
                xytext=(right, up),
                textcoords="offset points",
                ha="left" if right > 0 else "right",
                fontsize=8,
            )
            box = text.get_window_extent()
            if not any(box.overlaps(other) for other in taken):
                break
            if (right, up) != PLACES[-1]:
                text.remove()
        taken.append(box)


def _bars(axes: Any, row: dict[str, Any], x: float, y: float) -> None:
    for key, direction, value in (("seen", "xerr", x), ("unseen", "yerr", y)):
        ends = row["intervals"].get(key)
        if ends and row[key] is not None:
            lengths = [[max(value - 100 * ends[0], 0)], [max(100 * ends[1] - value, 0)]]
            axes.errorbar(x, y, **{direction: lengths}, color=MUTED, linewidth=1, zorder=2)


def accuracies(rows: list[dict[str, Any]]) -> bytes:
    """Test and extended accuracy of every method side by side: the study's Figure 3.

    Test accuracy alone where no class is held out.
    """

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        places = range(len(rows))
        extended = any(row["unseen_among_all"] is not None for row in rows)
        for shift, key, colour, label in (
            (-0.2, "seen", ACCENT, "test accuracy (classes trained on)"),
            (0.2, "unseen_among_all", MUTED, "extended accuracy (classes never seen)"),
        ):
            if key != "seen" and not extended:
                continue
            heights = [100 * (row[key] or 0) for row in rows]
            axes.bar([p + shift for p in places], heights, 0.38, color=colour, label=label)
        axes.set_xticks(list(places), [row["method"] for row in rows], rotation=30, ha="right")
        axes.set(ylabel="% right", ylim=(0, 105))
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(0, 1.14), ncols=2)

    return png(draw, size=(7.6, 4.2))


def _look(place: int) -> dict[str, Any]:
    """Of a method's line: ten colours, then the same ones in dashes and so on."""
    import matplotlib

    turn, colour = divmod(place, 10)
    return {
        "color": matplotlib.colormaps["tab10"](colour),
        "linestyle": DASHES[turn % len(DASHES)],
    }


def losses(rows: list[dict[str, Any]]) -> bytes:
    """Training loss over the epochs of every method that trains: the study's Figure 4."""

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        for i, row in enumerate(rows):
            epochs = [epoch for epoch in row["history"] if "loss" in epoch]
            axes.plot(
                [epoch["epoch"] + 1 for epoch in epochs],
                [epoch["loss"] for epoch in epochs],
                marker=".",
                label=row["method"],
                **_look(i),
            )
        axes.set(xlabel="epoch", ylabel="training loss")
        axes.locator_params(axis="x", integer=True)
        axes.legend(**BESIDE)

    return png(draw, size=(7.6, 4.2))


def curves(found: list[dict[str, Any]]) -> bytes:
    """Accuracy against images per class, a line per method, with intervals over seeds."""

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        for i, curve in enumerate(found):
            points = curve["points"]
            means = [100 * each["mean"] for each in points]
            ends = [each["interval"] or [each["mean"]] * 2 for each in points]
            lengths = [
                [abs(m - 100 * e[k]) for m, e in zip(means, ends, strict=True)] for k in (0, 1)
            ]
            shots = [each["shots"] for each in points]
            axes.errorbar(
                shots,
                means,
                lengths,
                marker=".",
                capsize=2,
                label=curve["method"],
                **_look(i),
            )
        axes.set_xscale("log", base=2)
        every = sorted({each["shots"] for curve in found for each in curve["points"]})
        axes.set_xticks(every, [str(shots) for shots in every])
        axes.set(xlabel="images per class", ylabel="classes trained on, % right")
        axes.legend(**BESIDE)

    return png(draw, size=(7.6, 4.2))
