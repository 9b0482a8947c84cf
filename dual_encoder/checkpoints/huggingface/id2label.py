"""Read the class names of a `transformers` classifier from its configuration."""

from pathlib import Path
from typing import Any


def class_names(folder: Path, labels: Any, units: int) -> list[str] | None:
    """The names of a classifier's outputs, None where there are none, or not as many."""
    if labels is None:
        return None
    if isinstance(labels, list):
        labels = {str(index): name for index, name in enumerate(labels)}
    if not isinstance(labels, dict) or not all(isinstance(n, str) for n in labels.values()):
        raise ValueError(f"{folder}: expected id2label with a name for each class in config.json")
    if len(labels) != units:
        return None
    if set(labels) != {str(index) for index in range(units)}:
        raise ValueError(
            f"{folder}: expected id2label with the numbers 0 to {units - 1} in config.json; got "
            f"{', '.join(list(labels)[:5])}{', ...' if units > 5 else ''}"
        )
    return [labels[str(index)] for index in range(units)]
