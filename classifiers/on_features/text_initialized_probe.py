"""A linear probe initialised at the class names and regularised towards them."""

import numpy as np

from classifiers.on_features.choosing import choose, rose
from classifiers.on_features.fitted import LinearFit, linear
from classifiers.on_features.solvers import cross_entropy, minimise
from classifiers.on_features.task import Task
from classifiers.temperature_scaling import losses

# Times the default precision that validation may choose, from a strong pull to a weak one.
TIMES = (4.0, 2.0, 1.0, 0.5, 0.25, 0.12, 0.06, 0.03, 0.015)
TRUST = 2.0  # of the zero-shot probability, as the pull's precision


def fit(task: Task, seed: int = 0, *, precision: float | None = None) -> LinearFit:
    """Logistic regression whose prior mean is the zero-shot classifier: a convex problem.

    Rows are r_c = scale t_c + x_c; the x_c minimise the sum of the images' cross-entropies plus
    precision / 2 times their squared length. A class without an image keeps its text's direction
    but for what the other classes push it away.

    Two things are known of the prior before anything is trained, because the zero-shot classifier
    has not seen the images: the scale at which its probabilities fit their labels, and how
    probable it finds the right class. The first is the scale of the rows; `TRUST` times the
    second, a mean over the images, is the default precision: names that say much are trusted
    more. That is the rule of CLAP (Silva-Rodriguez et al. 2024, arXiv:2312.12730, equation 9)
    with one strength for all classes, and the problem solved to its optimum in place of 300
    epochs. The strength is one at which one image of each class gains and never loses much.

    Args:
        task: images; validation, where there is one, may choose a multiple of the default.
        seed: not used, nothing is drawn.
        precision: this one instead; infinity gives zero-shot.
    """
    scale = task.calibrated_scale()
    data = task.stacked()
    prior = np.float32(scale) * (data[0] @ task.class_texts.T)
    text_rows = scale * task.class_texts
    moved = np.zeros(task.class_texts.shape)
    default = TRUST * _confidence(task, scale)
    if precision is not None or task.validation is None:
        precision = default if precision is None else precision
        if np.isfinite(precision):
            moved = move(data, prior, precision, moved)
        return _fit(text_rows + moved, scale, {"precision": precision})
    tried, rows = {}, {}
    held, wanted = task.validation
    for times in TIMES:
        moved = move(data, prior, times * default, moved)
        rows[times] = text_rows + moved
        tried[times] = losses(held @ rows[times].T.astype(np.float32), wanted)
        if times < 1 and rose([found.mean() for found in tried.values()]):
            break
    best = choose(tried, 1.0)
    means = {times * default: float(found.mean()) for times, found in tried.items()}
    return _fit(rows[best], scale, {"precision": best * default, "tried": means})


def move(
    data: tuple[np.ndarray, np.ndarray, np.ndarray],
    prior: np.ndarray,
    precision: float,
    start: np.ndarray,
) -> np.ndarray:
    """Return the rows x [c, d] that, added to the prior's logits [k, c], minimise the objective."""
    features, labels, weights = data

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        logits = prior + features @ x.T.astype(np.float32)
        cost, gradient = cross_entropy(logits, labels, weights)
        pulled = cost + precision / 2 * float((x * x).sum())
        return pulled, gradient.T @ features + precision * x

    return minimise(objective, start)


def _fit(rows: np.ndarray, scale: float, chosen: dict) -> LinearFit:
    return linear(rows, text_scale=scale, trained=rows.size, chosen={"scale": scale, **chosen})


def _confidence(task: Task, scale: float) -> float:
    """Mean zero-shot probability, at this scale, of the true classes of the images."""
    logits = task.zero_shot(task.mean_features) * (scale / task.scale)
    right = np.exp(-losses(logits, task.labels))
    return float(np.average(right, weights=task.weights))
