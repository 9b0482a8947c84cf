"""The result of a method: logits of trained classes and of new class names."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from classifiers.on_features.task import unit

FEATURES, BEFORE = "features", "before"  # which of the cached numbers are read


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A classifier of cached features.

    A class that it was fitted on has its own column; a name it never saw gets the column of its
    text, on the same temperature. (The rule of Farina et al. 2025, arXiv:2503.11609, section 4.)

    Attributes:
        text_scale: times the cosine of a new name's text gives its logit; None where the
            classifier says nothing of new names.
        reads: `"features"`, or `"before"` for what enters the last projection.
        trained: how many numbers were learnt from images.
        chosen: settings and how they were found, for a report.
        settings: arguments by which the method is fitted again as it was, without choosing.
        offset: added to the logits of new names, see `with_new_names`.
    """

    text_scale: float | None
    reads: str = FEATURES
    trained: int = 0
    chosen: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    offset: float = 0.0

    @property
    def answers_new_names(self) -> bool:
        """Whether `logits` takes texts of names that were not fitted."""
        return self.text_scale is not None

    def logits(self, features: np.ndarray, new_texts: np.ndarray | None = None) -> np.ndarray:
        """Logits float32 [n, c + m] of features [n, d] of any length.

        Args:
            features: [n, d], or [n, w] where `reads` is `"before"`.
            new_texts: embeddings [m, d] of names that were not fitted; their columns are last.

        Raises:
            ValueError: new names for a classifier that has none.
        """
        features = np.asarray(features, np.float32)
        known = self.known(features)
        if new_texts is None or not len(new_texts):
            return known.astype(np.float32)
        if self.text_scale is None:
            raise ValueError("new_texts: this classifier knows the classes it was fitted on alone")
        new = self.new(features, unit(new_texts)) + self.offset
        return np.concatenate([known, new], axis=1).astype(np.float32)

    def known(self, features: np.ndarray) -> np.ndarray:
        """Logits [n, c] over the classes that were fitted."""
        raise NotImplementedError

    def new(self, features: np.ndarray, texts: np.ndarray) -> np.ndarray:
        """Logits [n, m] over the unit texts of new names, before the offset."""
        return np.float32(self.text_scale) * (unit(features) @ texts.T)

    def placed(self, offset: float) -> "Fitted":
        """The same with another offset of the new names."""
        return replace(self, offset=offset)


@dataclass(frozen=True, kw_only=True)
class LinearFit(Fitted):
    """Logits are `unit(features) @ rows.T + bias`; what an exported classifier holds.

    Attributes:
        rows: float32 [c, d]; bias: float32 [c].
    """

    rows: np.ndarray
    bias: np.ndarray

    def known(self, features: np.ndarray) -> np.ndarray:
        """Logits [n, c] over the classes that were fitted."""
        return unit(features) @ self.rows.T + self.bias


def linear(rows: np.ndarray, bias: np.ndarray | None = None, **more: Any) -> LinearFit:
    """A `LinearFit` of rows [c, d] of any dtype."""
    bias = np.zeros(len(rows)) if bias is None else bias
    return LinearFit(rows=np.asarray(rows, np.float32), bias=np.asarray(bias, np.float32), **more)
