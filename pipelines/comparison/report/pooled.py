"""Pool the results of several folds into one."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipelines.evaluation import measure
from pipelines.metrics import bootstrap, calibration, seen_unseen
from pipelines.runs.predictions import LabelScores, Predictions, Said

UNKNOWN = {"metrics": ("top5", "ece"), "intervals": ("top5", "ece")}  # from predictions alone


def predictions(said: Sequence[Said]) -> Said:
    """Those of all folds, one fold behind the other; thresholds as each image's model has them."""
    if len(said) == 1:
        return said[0]
    kind = type(said[0])
    return kind(
        *(
            np.concatenate([np.broadcast_to(getattr(s, name), s.labels.shape) for s in said])
            for name in kind.__dataclass_fields__
        )
    )


def document(
    parts: Sequence[dict[str, Any]],
    said: Said,
    *,
    held_out: tuple[int, ...],
    resamples: int,
) -> dict[str, Any]:
    """The results of one seed: figures over all images, everything else of the first fold.

    Accuracies and their intervals are those of the predictions of all folds together, calibration
    is that of their bins; training takes the mean of the folds, and the most memory of them.

    Args:
        parts: results of each fold; said: what was predicted in all of them.
        resamples: for the intervals.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    names, cost = [row["name"] for row in first["per_class"]], _cost([p["cost"] for p in parts])
    if isinstance(said, LabelScores):
        measured = measure.measure_multi_label(
            said.labels,
            said.probabilities,
            names,
            thresholds=said.thresholds,
            resamples=resamples,
        )
        return {**first, **measured, "cost": cost}
    labels = [i for i in range(len(names) + len(held_out)) if i not in held_out]
    rows = np.isin(said.labels, labels)
    measured = measure.measure(
        np.searchsorted(labels, said.labels[rows]),
        np.eye(len(labels))[np.searchsorted(labels, said.own[rows])],
        names,
        resamples=resamples,
    )
    for key, unknown in UNKNOWN.items():
        measured[key] = {name: each for name, each in measured[key].items() if name not in unknown}
    measured["calibration"] = _bins([each["calibration"] for each in parts])
    measured["metrics"]["ece"] = calibration.calibration_error(measured["calibration"])
    known = [name for name in seen_unseen.FIGURES if all(name in p["metrics"] for p in parts)]
    figures = _Figures(said, held_out, known)
    every = np.ones(len(said.labels))
    measured["metrics"] |= dict(zip(known, figures(every), strict=True))
    measured["intervals"] |= bootstrap.percentiles(
        figures, len(every), names=known, resamples=resamples, seed=0
    )
    return {**first, **measured, "cost": cost}


class _Figures:
    """Those of `seen_unseen`, of how often each image is counted, [n]."""

    def __init__(self, said: Predictions, held_out: tuple[int, ...], names: list[str]) -> None:
        away, whole = np.isin(said.labels, held_out), said.among_all == said.labels
        self.names = names
        self.of = {
            "seen_top1": (said.right, ~away),
            "unseen_top1": (said.right, away),
            "seen_among_all": (whole, ~away),
            "unseen_among_all": (whole, away),
            "generalized_top1": (whole, np.ones_like(away)),
        }

    def __call__(self, counts: np.ndarray) -> list[float]:
        found = {
            name: float(counts[rows] @ right[rows]) / max(counts[rows].sum(), 1)
            for name, (right, rows) in self.of.items()
        }
        found["harmonic_mean"] = seen_unseen.harmonic_mean(found["seen_top1"], found["unseen_top1"])
        return [found[name] for name in self.names]


def _bins(parts: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Calibration bins of several folds together: counts add up, means are of all images."""
    found = []
    for bins in zip(*parts, strict=True):
        count = sum(each["count"] for each in bins)
        means = {
            name: sum(each["count"] * (each[name] or 0.0) for each in bins) / count
            if count
            else None
            for name in ("confidence", "accuracy")
        }
        found.append({**bins[0], "count": count, **means})
    return found


def _cost(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    seconds = [each["seconds"] for each in parts if each.get("seconds") is not None]
    peaks = [each["peak_rss_bytes"] for each in parts if each.get("peak_rss_bytes")]
    return {
        **parts[0],
        **({"seconds": float(np.mean(seconds))} if seconds else {}),
        **({"peak_rss_bytes": max(peaks)} if peaks else {}),
    }
