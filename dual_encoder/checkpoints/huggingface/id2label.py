"""Read what a `transformers` configuration says of a classifier: names, and if several apply."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

# `problem_type`, left out by most, and whether an image may have several classes.
_MULTI_LABEL = {
    None: False,
    "single_label_classification": False,
    "multi_label_classification": True,
}


def of_classifier(folder: Path, config: Mapping[str, Any], units: int) -> dict[str, Any]:
    """What `ImageEncoder` takes beside a head of so many outputs.

    Raises:
        ValueError: outputs that are no classes: of a regression, which one output alone is to
            `transformers` where nothing else is said.
    """
    kind = config.get("problem_type")
    if kind not in _MULTI_LABEL:
        raise ValueError(
            f"{folder}: expected problem_type {' or '.join(filter(None, _MULTI_LABEL))} in "
            f"config.json; got {kind!r}"
        )
    if units == 1 and not _MULTI_LABEL[kind]:
        raise ValueError(
            f"{folder}: expected 2 classes or more, or problem_type multi_label_classification in "
            "config.json; got one output, whose probability would always be 1"
        )
    names = class_names(folder, config.get("id2label"), units)
    return {"class_names": names, "multi_label": _MULTI_LABEL[kind]}


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
