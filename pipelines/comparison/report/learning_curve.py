"""Accuracy against images per class: points, a fitted curve, and what more would bring."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.reporting.number_format import percent
from pipelines.runs import results

LEAST = 3  # points that a curve is fitted to
USUAL, SPREAD = 0.5, 0.5  # prior on the exponent
SURE = 0.95  # of the intervals over seeds


def curves(cells: Iterable[tuple[str, int, Path]], judged_by: str = "top1") -> list[dict[str, Any]]:
    """A curve for every method that was measured at two numbers of images per class or more.

    Args:
        cells: method, images per class and the folder of the results of each seed.
        judged_by: the metric of the results that is drawn.

    Returns:
        `method`; `points`: `shots`, the `mean` accuracy on the classes trained on and its
        `interval` over seeds (null of one seed); `twice`: the accuracy expected of twice as many
        images as the last point has, null of fewer than `LEAST` points; `off`: by how much the
        curve through the points before expects more at the last one than was measured, null of
        fewer than `LEAST` before it.
    """
    found: dict[str, dict[int, list[float]]] = {}
    for method, shots, folder in cells:
        if (folder / results.FILE).is_file():
            value = results.read(folder)["metrics"][judged_by]
            found.setdefault(method, {}).setdefault(shots, []).append(value)
    made = []
    for method, measured in found.items():
        if len(measured) < 2:
            continue
        points = [_point(shots, measured[shots]) for shots in sorted(measured)]
        counts, means = ([each[key] for each in points] for key in ("shots", "mean"))
        last = _forecast(counts[:-1], means[:-1], at=counts[-1])
        made.append(
            {
                "method": method,
                "points": points,
                "twice": _forecast(counts, means, at=2 * counts[-1]),
                "off": None if last is None else last - means[-1],
            }
        )
    return made


def _forecast(shots: Sequence[int], accuracies: Sequence[float], *, at: float) -> float | None:
    return expected(shots, accuracies, at=at) if len(shots) >= LEAST else None


def expected(shots: Sequence[int], accuracies: Sequence[float], *, at: float) -> float:
    """Return the accuracy at a number of images, by a power law: top - fall * images ** -exponent.

    The form of Hestness et al. 2017, arXiv:1712.00409, with a prior on the exponent, as there
    are hardly more points than parameters.
    """
    from scipy.optimize import least_squares

    images, known = np.asarray(shots, np.float64), np.asarray(accuracies, np.float64)

    def law(values: np.ndarray, n: Any) -> Any:
        top, fall, exponent = values
        return top - fall * n**-exponent

    def off(values: np.ndarray) -> np.ndarray:
        apart = (law(values, images) - known) / 0.01
        return np.append(apart, (values[2] - USUAL) / SPREAD)

    start = min(known.max() + 0.05, 1.0), max(known.max() - known.min(), 0.01), USUAL
    bounds = [0.0, 0.0, 0.05], [1.0, 2.0, 3.0]
    best = least_squares(off, np.clip(start, *bounds), bounds=bounds)
    return float(np.clip(law(best.x, float(at)), 0, 1))


def lines(found: list[dict[str, Any]]) -> list[str]:
    """A line for each curve, for people."""
    return [f"{each['method']}: {_in_words(each)}" for each in found]


def _in_words(curve: dict[str, Any]) -> str:
    last = curve["points"][-1]
    said = ", ".join(f"{percent(each['mean'])} with {each['shots']}" for each in curve["points"])
    said += " images per class"
    if curve["twice"] is not None:
        gain = 100 * (curve["twice"] - last["mean"])
        said += f"; {2 * last['shots']} would bring about {gain:+.1f} points"
    if curve["off"] is not None:
        said += f" (the same forecast of {last['shots']} was {100 * abs(curve['off']):.1f} off)"
    return said


def _point(shots: int, values: list[float]) -> dict[str, Any]:
    from scipy import stats

    mean, interval = float(np.mean(values)), None
    if len(values) > 1:
        error = float(np.std(values, ddof=1)) / len(values) ** 0.5
        half = float(stats.t.ppf((1 + SURE) / 2, len(values) - 1)) * error
        interval = [max(mean - half, 0.0), min(mean + half, 1.0)]
    return {"shots": shots, "mean": mean, "interval": interval}
