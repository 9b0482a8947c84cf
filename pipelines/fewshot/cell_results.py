"""The results document of one cell of the grid, and its summary."""

from dataclasses import asdict
from typing import Any

import numpy as np

from pipelines.evaluation import measure
from pipelines.fewshot.grid import Cell
from pipelines.fewshot.options import Options
from pipelines.fewshot.shared_features import Grid
from pipelines.methods.method import Fitted
from pipelines.metrics import classification, seen_unseen
from pipelines.reporting import number_format as reporting_text
from pipelines.runs import class_name_options, results, resume_check


def results_of(
    cell: Cell,
    shared: Grid,
    fitted: Fitted,
    *,
    labels: np.ndarray,
    logits: np.ndarray,
    cost: dict[str, float],
) -> dict[str, Any]:
    """The results of a cell."""
    options = shared.options
    rows = np.isin(labels, shared.seen) if shared.unseen else np.ones(len(labels), bool)
    measured = measure.measure(
        np.searchsorted(shared.seen, labels[rows]),
        classification.softmax(logits[rows][:, list(shared.seen)]),
        [shared.names[label] for label in shared.seen],
        resamples=options.bootstrap,
        seed=cell.seed,
    )
    if shared.unseen:
        classes: dict[str, Any] = {
            "seen": shared.seen,
            "held_out": shared.unseen,
            "comparable": fitted.comparable,
        }
        found = seen_unseen.figures(labels, logits, **classes)
        measured["metrics"] |= {name: value for name, value in found.items() if value is not None}
        measured["intervals"] |= seen_unseen.intervals(
            labels, logits, **classes, resamples=options.bootstrap, seed=cell.seed
        )
    return results.document(
        measured,
        command="prompt",
        dataset=shared.manifest.dataset,
        split=options.split,
        model=cell.model,
        judged_by=measure.judged_by(shared.manifest),
        cost=cost,
        config=asdict(options),
        protocol=_protocol(options, shared),
        equal_names=class_name_options.equal_names(shared.names),
        **resume_check.noted(cell.grid),
        method=cell.method,
        shots=cell.shots,
        **{**fitted.more, "seed": cell.seed},
    )


def in_words(document: dict[str, Any]) -> str:
    """The main figures of a cell."""
    figures = document["metrics"]
    words = [reporting_text.percent(figures["top1"])]
    if figures.get("unseen_top1") is not None:
        words.append(f"unseen {reporting_text.percent(figures['unseen_top1'])}")
    return ", ".join(words)


def _protocol(options: Options, shared: Grid) -> str:
    if options.base_to_new:
        return "base-to-new"
    return "held-out classes" if shared.unseen else "few-shot"
