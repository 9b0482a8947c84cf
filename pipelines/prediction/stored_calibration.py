"""How sure a model may be: what a run found on its validation images, used on other images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from duet import json_validation


@dataclass(frozen=True)
class Sure:
    """Of the `certainty` of `results.json` and `export.json`.

    See `pipelines.metrics.calibration_conformal_rejection`.

    Attributes:
        temperature: logits are divided by it.
        least: probability that an image of a known class has; below it is none of these.
        in_set: probability of a class that may be the true one; None where there is no such set.
    """

    temperature: float
    least: float
    in_set: float | None

    def probabilities(self, of_model: np.ndarray) -> np.ndarray:
        """A model's probabilities [n, c] at the temperature."""
        from scipy import special

        logits = np.log(np.maximum(np.asarray(of_model, np.float64), 1e-30))
        return special.softmax(logits / self.temperature, axis=1)


TABLE = {
    "temperature": json_validation.POSITIVE,
    "none_of_these": {"threshold": json_validation.NUMBER},
    "sets": {"threshold": (None, json_validation.NUMBER)},
}


def sure_of(document: Mapping[str, Any] | None) -> Sure | None:
    """Of a document that has it; None of others. Raises ValueError where it is damaged."""
    found = (document or {}).get("certainty")
    if not found:
        return None
    json_validation.check(found, TABLE, where="certainty")
    return Sure(
        float(found["temperature"]),
        float(found["none_of_these"]["threshold"]),
        found["sets"]["threshold"],
    )
