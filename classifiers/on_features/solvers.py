"""Fit a linear classifier to cached features: L-BFGS to convergence, or AdamW for fixed steps."""

from collections.abc import Callable

import numpy as np

ITERATIONS = 100
TOLERANCE = 1e-6  # relative decrease of the objective in one iteration that ends it

# A parameter of any shape to the objective and its gradient.
Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]


def minimise(
    objective: Objective,
    start: np.ndarray,
    *,
    iterations: int = ITERATIONS,
    tolerance: float = TOLERANCE,
) -> np.ndarray:
    """Return the minimum near `start` by SciPy's L-BFGS, the same in every run."""
    from scipy.optimize import minimize

    def flat(values: np.ndarray) -> tuple[float, np.ndarray]:
        cost, gradient = objective(values.reshape(start.shape))
        return cost, np.asarray(gradient, np.float64).ravel()

    options = {"maxiter": iterations, "ftol": tolerance}
    found = minimize(flat, start.ravel(), jac=True, method="L-BFGS-B", options=options)
    return found.x.reshape(start.shape)


def adam(
    objective: Objective,
    start: np.ndarray,
    *,
    steps: int,
    rate: float,
    decay: float = 0.0,
    watch: Callable[[int, np.ndarray], None] | None = None,
) -> np.ndarray:
    """Return `start` after full-batch AdamW steps, the rate falling to 0 along a cosine.

    Args:
        decay: decoupled weight decay (Loshchilov and Hutter 2019).
        watch: called with the number of steps done and the values, before each and at the end.
    """
    values = np.array(start, np.float64)
    first, second = np.zeros_like(values), np.zeros_like(values)
    for step in range(steps):
        if watch:
            watch(step, values)
        now = rate * 0.5 * (1 + np.cos(np.pi * step / steps))
        gradient = np.asarray(objective(values)[1], np.float64)
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        unbiased = first / (1 - 0.9 ** (step + 1))
        spread = np.sqrt(second / (1 - 0.999 ** (step + 1)))
        values = values - now * (unbiased / (spread + 1e-8) + decay * values)
    if watch:
        watch(steps, values)
    return values


def cross_entropy(
    logits: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> tuple[float, np.ndarray]:
    """Weighted sum of the cross-entropies, and its gradient by the logits, float32 [n, c]."""
    gradient = logits - logits.max(axis=1, keepdims=True)  # what is made of it is in its place
    rows = np.arange(len(labels))
    own = gradient[rows, labels]
    np.exp(gradient, out=gradient)
    total = gradient.sum(axis=1, keepdims=True)
    found = np.log(total[:, 0], dtype=np.float64) - own
    gradient /= total
    gradient[rows, labels] -= 1
    gradient *= weights[:, None].astype(gradient.dtype)
    return float(weights @ found), gradient
