"""The way from the zero-shot to the fine-tuned weights, measured; and where to stop on it."""

from typing import Any

from dual_encoder import weight_space
from pipelines.runs import forgetting
from pipelines.runs.adapted import Adapted

HEADS = ("zero-shot", "text")  # of methods that start from a model that knows all classes
ALLOWED_LOSS = 0.01  # of accuracy on classes set aside, against the start


def curve(
    adapted: Adapted, start: weight_space.Weights, end: weight_space.Weights
) -> list[dict[str, Any]]:
    """The figures on validation at every tenth of the way; the model is left at the end.

    Every point passes all pictures through the tower once more: all its weights differ.
    """
    batches, count = adapted.data.measured(adapted.model)
    rows = [
        {"alpha": alpha, **forgetting.measure(adapted, batches, count)}
        for alpha in weight_space.along(adapted.model, start, end)
    ]
    weight_space.interpolate(adapted.model, start, end, alpha=1)
    return rows


def choose(rows: list[dict[str, Any]]) -> float:
    """Where the accuracy on seen classes is best, among the points that forget little.

    Those lose at most `ALLOWED_LOSS` on pictures of classes that were not trained on, against
    alpha 0, both among these classes and among all. Of equals the smaller alpha. The classes not
    trained on have to be ones set aside for choosing.
    """
    kept = ("unseen_top1", "unseen_among_all")
    floor = {name: rows[0][name] - ALLOWED_LOSS for name in kept}
    allowed = [row for row in rows if all(row[name] >= floor[name] for name in kept)]
    return max(allowed, key=lambda row: (row["seen_top1"], -row["alpha"]))["alpha"]
