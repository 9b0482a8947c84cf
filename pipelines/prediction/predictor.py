"""A common interface to all models: pixels in, class probabilities out."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipelines.metrics import multilabel
from pipelines.prediction.stored_calibration import Sure, sure_of
from pipelines.runs import results

Probabilities = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Predictor:
    """A classifier of images, wherever it comes from.

    Attributes:
        class_names: c names.
        multi_label: whether an image may have several classes, or none.
        preprocessing: what `tfrecords.read_images` has to know.
        probabilities: pixels uint8 [b, s, s, 3] -> float32 [b, c].
        name: what was loaded, for people.
        sure: how sure it may be, where that was asked for and is known.
        thresholds: from which probability on an image has each class, where images have several
            and the model's run chose them.
        checksum: computes one of its weights, which tells it from another of the same name.
    """

    class_names: tuple[str, ...]
    multi_label: bool
    preprocessing: dict[str, Any]
    probabilities: Probabilities
    name: str
    sure: Sure | None = None
    thresholds: tuple[float, ...] | None = None
    checksum: Callable[[], str] | None = None

    def knowing(self, document: dict[str, Any] | None, *, sure: bool) -> "Predictor":
        """With what its run, or its export, says of it, if that is of these classes."""
        if document is not None and not results.is_of(document, self.class_names):
            document = None
        is_same = document is None or results.is_of(document, self.class_names, exactly=True)
        chosen = (multilabel.thresholds_in(document) if self.multi_label else None) or {}
        known = chosen and set(self.class_names) <= set(chosen)
        return replace(
            self,
            sure=sure_of(document) if sure and is_same else None,
            thresholds=tuple(chosen[name] for name in self.class_names) if known else None,
        )
