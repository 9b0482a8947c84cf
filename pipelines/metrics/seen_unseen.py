"""Accuracy on seen classes, on held-out classes, and on both together.

Notation: n images, C classes of the data set, some seen and the others held out; `labels` is int
[n], `logits` float [n, C], with NaN in the columns of classes that the model cannot predict.
"""

import numpy as np

from pipelines.metrics import bootstrap

#: The metrics, in display order.
FIGURES = (
    "seen_top1",
    "unseen_top1",
    "seen_among_all",
    "unseen_among_all",
    "generalized_top1",
    "harmonic_mean",
)


def figures(
    labels: np.ndarray,
    logits: np.ndarray,
    *,
    seen: tuple[int, ...],
    held_out: tuple[int, ...],
    comparable: bool = True,
) -> dict[str, float | None]:
    """Returns the metrics of `FIGURES`, fractions of 1; None for undefined ones.

    - `seen_top1`: images of seen classes, among the seen classes.
    - `unseen_top1`: images of held-out classes, among the held-out classes; of two or more, as
      among one class every answer is right.
    - `seen_among_all`, `unseen_among_all`, `generalized_top1`: images of seen classes, of
    held-out classes, and all of them, among all classes that the model can predict.
    - `harmonic_mean`: of the first two (Zhou et al. 2022, arXiv:2203.05557, section 4.1).

    The Food-101 study's "extended accuracy" is `unseen_among_all`: it lists the same 79.8 % for a
    base CLIP as among all 101 classes, where a choice among ten would give far more.

    Args:
        comparable: whether logits of seen and held-out classes share one scale. Otherwise only
            the first two and their mean are defined.
    """
    answers = _answers(labels, logits, seen=seen, held_out=held_out, comparable=comparable)
    return _counted(answers, np.ones(len(labels), int))


def intervals(
    labels: np.ndarray,
    logits: np.ndarray,
    *,
    seen: tuple[int, ...],
    held_out: tuple[int, ...],
    comparable: bool = True,
    resamples: int,
    seed: int,
) -> dict[str, list[float]]:
    """Returns 95 % bootstrap intervals, over images, of the defined metrics of `figures`."""
    answers = _answers(labels, logits, seen=seen, held_out=held_out, comparable=comparable)
    everything = _counted(answers, np.ones(len(labels), int))
    whole = {name: value for name, value in everything.items() if value is not None}

    def drawn(counts: np.ndarray) -> list[float]:
        again = _counted(answers, counts)
        found = {name: again[name] for name in whole}  # None if a resample has no such image
        return [whole[name] if value is None else value for name, value in found.items()]

    return bootstrap.percentiles(
        drawn, len(labels), names=list(whole), resamples=resamples, seed=seed
    )


def harmonic_mean(a: float, b: float) -> float:
    """Returns 2ab / (a + b); 0 if both are 0."""
    return 2 * a * b / (a + b) if a + b else 0.0


def _answers(
    labels: np.ndarray,
    logits: np.ndarray,
    *,
    seen: tuple[int, ...],
    held_out: tuple[int, ...],
    comparable: bool,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns for each accuracy of `figures` which images count, bool [n], and which of these are
    answered rightly, bool [n]."""
    is_seen, everything = np.isin(labels, seen), np.ones(len(labels), bool)
    known = [c for c in (*seen, *held_out) if not np.isnan(logits[:, c]).any()]
    names_held_out = bool(held_out) and set(held_out) <= set(known)
    found = {"seen_top1": (is_seen, _right(labels, logits, seen))}
    if names_held_out and len(held_out) > 1:
        found["unseen_top1"] = (~is_seen, _right(labels, logits, held_out))
    if held_out and (comparable or not names_held_out):
        right = _right(labels, logits, known)
        found["seen_among_all"] = (is_seen, right)
        found["unseen_among_all"] = (~is_seen, right)
        found["generalized_top1"] = (everything, right)
    return {name: (which, which & right) for name, (which, right) in found.items()}


def _right(
    labels: np.ndarray, logits: np.ndarray, classes: tuple[int, ...] | list[int]
) -> np.ndarray:
    """Returns whether each image's best of some classes is its own, bool [n]."""
    return np.array(classes)[logits[:, list(classes)].argmax(axis=1)] == labels


def _counted(
    answers: dict[str, tuple[np.ndarray, np.ndarray]], counts: np.ndarray
) -> dict[str, float | None]:
    """Returns the metrics of `FIGURES` where image i counts `counts[i]` times; None without any."""
    found: dict[str, float | None] = dict.fromkeys(FIGURES)
    for name, (which, right) in answers.items():
        if total := int(counts @ which):
            found[name] = int(counts @ right) / total
    if found["unseen_top1"] is not None:
        found["harmonic_mean"] = harmonic_mean(found["seen_top1"] or 0.0, found["unseen_top1"])
    return found
