"""Stop at answers of a model that are no numbers."""

import numpy as np


def checked(answers: np.ndarray, *, of: str = "images") -> np.ndarray:
    """A model's answers [n, ...] as they are.

    Args:
        of: what was asked about, in words.

    Raises:
        RuntimeError: some are NaN or infinite: the model is broken.
    """
    bad = ~np.isfinite(answers).all(axis=tuple(range(1, answers.ndim)))
    if bad.any():
        raise RuntimeError(
            f"the model is broken: it answers {bad.sum():,} of {len(answers):,} {of} with NaN or "
            "infinity"
        )
    return answers
