"""The rows of each class, found by one sort: comparing all labels with each class would grow with
images times classes."""

from typing import Any

import numpy as np


def of(labels: Any) -> list[np.ndarray]:
    """Returns the rows of each class of labels [n], ascending int64 arrays, the classes ascending.

    Classes without a row are left out.
    """
    labels = np.asarray(labels)
    order = np.argsort(labels, kind="stable")
    classes, starts = np.unique(labels[order], return_index=True)
    return np.split(order, starts[1:]) if len(classes) else []
