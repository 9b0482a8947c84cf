"""Matches the class names of a model with those of the records."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tfrecords import Manifest


def match_classes(own: list[str], manifest: "Manifest", *, model: str) -> np.ndarray:
    """Where each class of the records is among the model's own, int [C]; -1 where it is not."""
    where = {_plain(name): place for place, name in enumerate(own)}
    pairs = zip(manifest.class_names, manifest.spoken_names, strict=True)
    found = np.array([where.get(_plain(a), where.get(_plain(b), -1)) for a, b in pairs])
    if (found < 0).all():
        raise ValueError(
            f"{model} has none of the classes of {manifest.dataset}: expected "
            f"{_few(manifest.spoken_names)}; it has {_few(own)}"
        )
    return found


def _plain(name: str) -> str:
    return name.replace("_", " ").casefold().strip()


def _few(names: Any) -> str:
    return ", ".join(list(names)[:3]) + (", ..." if len(names) > 3 else "")
