"""Check labels and class weights given to `fit` and `evaluate` before anything is computed.

On a GPU a label that no class has makes the loss NaN, without an error."""

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import keras
import numpy as np

FORMS: dict[type, tuple[str, ...]] = {
    keras.losses.SparseCategoricalCrossentropy: ("index",),
    keras.losses.CategoricalCrossentropy: ("columns",),
    keras.losses.CategoricalFocalCrossentropy: ("columns",),
    keras.losses.BinaryCrossentropy: ("columns",),
    keras.losses.BinaryFocalCrossentropy: ("columns",),
}

EXPECTED = {
    "index": "labels [b], 0 to {last}",
    "columns": "a column for each class, [b, {classes}]",
}


def check_labels(y: Any, *, classes: int, loss: Any) -> None:
    """Raises a one-line ValueError for labels that a cross-entropy over c classes cannot take.

    Args:
        y: an array or tensor of all labels, whose values are looked at; or the spec of a batch.
        classes: c.
        loss: as given to `compile`: only cross-entropies of Keras, and losses with `label_forms`,
            are checked.
    """
    forms = getattr(loss, "label_forms", FORMS.get(type(loss), ()))
    if not forms or classes < 2:
        return
    expected = " or ".join(EXPECTED[form] for form in forms)
    expected = expected.format(last=classes - 1, classes=classes)
    if y is None:
        raise ValueError(f"y: expected {expected}; got none")
    shape = getattr(y, "shape", None)
    if shape is None or getattr(shape, "rank", 0) is None:
        return  # a structure, or unknown until the first batch
    found = [None if n is None else int(n) for n in shape]
    is_index = len(found) == 1 or (len(found) == 2 and found[1] == 1)
    is_columns = len(found) == 2 and found[1] in (None, classes)
    if not (is_index and "index" in forms) and not (is_columns and "columns" in forms):
        raise ValueError(f"y: expected {expected}; got {found}")
    if not (hasattr(y, "__array__") or hasattr(y, "numpy")):
        return
    if is_columns and not is_index:
        _check_columns(np.asarray(y), expected)
    else:
        _check_values(np.asarray(y), classes, expected, ignored=getattr(loss, "ignore_class", None))


def _check_columns(columns: np.ndarray, expected: str) -> None:
    if columns.dtype.kind in "USO":
        raise ValueError(f"y: expected {expected}; got values of type {columns.dtype}")
    right = (columns >= 0) & (columns <= 1)
    if not right.all():
        raise ValueError(f"y: expected {expected}, from 0 to 1; got {columns[~right].flat[0]}")


def _check_values(labels: np.ndarray, classes: int, expected: str, *, ignored: Any) -> None:
    if labels.dtype.kind not in "iubf":
        raise ValueError(f"y: expected {expected}; got values of type {labels.dtype}")
    right = (labels >= 0) & (labels < classes) & (labels == np.floor(labels))
    if ignored is not None:
        right |= labels == ignored
    if not right.all():
        raise ValueError(f"y: expected {expected}; got {labels[~right].flat[0]}")


def check_class_weight(class_weight: Any) -> None:
    """Raises ValueError unless it is a dict of labels to weights; Keras passes over other keys."""
    expected = "class_weight: expected a dict of labels to weights, such as {0: 1.0, 1: 2.0}"
    if not isinstance(class_weight, Mapping):
        raise ValueError(
            f"{expected}; got {type(class_weight).__name__}, of which dict(enumerate(...)) makes it"
        )
    for label, weight in class_weight.items():
        if not isinstance(label, Integral) or not isinstance(weight, Real):
            raise ValueError(f"{expected}; got {{{label!r}: {weight!r}}}")
