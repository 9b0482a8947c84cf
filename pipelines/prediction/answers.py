"""The predictions of an image, and their table: CSV or JSON Lines."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

HALF = 0.5  # where images have several labels, those likelier than not
BETWEEN = ";"  # labels of one image in a CSV


class Classes(Protocol):
    """What has to be known of a model."""

    @property
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def multi_label(self) -> bool: ...


@dataclass(frozen=True)
class Answer:
    """What a model says of an image.

    Attributes:
        file: as it was asked for.
        labels: the class; none where the model is not sure enough, and any number where images
            have several labels.
        classes: names and probabilities, likeliest first.
        candidates: classes that may be the true one, likeliest first; None where that is not said.
    """

    file: str
    labels: tuple[str, ...]
    classes: tuple[tuple[str, float], ...]
    candidates: tuple[str, ...] | None = None

    @property
    def label(self) -> str:
        """The class, or the classes separated by semicolons; empty where there is none."""
        return BETWEEN.join(self.labels)

    @property
    def confidence(self) -> float:
        """The probability of the likeliest class."""
        return self.classes[0][1]


def answer(
    file: str,
    probabilities: np.ndarray,
    model: Classes,
    *,
    threshold: float | Sequence[float] | None = None,
    top_k: int | None = None,
    in_set: float | None = None,
) -> Answer:
    """Of the probabilities [c] of one image; candidates are those of at least `in_set`.

    threshold: of all classes, or of each; see the command `predict`.
    """
    order = np.argsort(-probabilities, kind="stable")
    usual = HALF if model.multi_label else 0.0
    least = np.broadcast_to(usual if threshold is None else threshold, probabilities.shape)
    chosen = order if model.multi_label else order[:1]
    labels = tuple(model.class_names[i] for i in chosen if probabilities[i] >= least[i])
    listed = ((model.class_names[i], round(float(probabilities[i]), 6)) for i in order[:top_k])
    may_be = None
    if in_set is not None:
        may_be = tuple(model.class_names[i] for i in order if probabilities[i] >= in_set)
    return Answer(file, labels, tuple(listed), may_be)


def to_json(found: Answer, *, multi_label: bool) -> dict[str, Any]:
    """As JSON takes it: `label`, or `labels` where there may be several."""
    one = found.labels[0] if found.labels else None
    return {
        "file": found.file,
        **({"labels": list(found.labels)} if multi_label else {"label": one}),
        **({} if found.candidates is None else {"candidates": list(found.candidates)}),
        "classes": [{"class": name, "probability": value} for name, value in found.classes],
    }


def from_json(row: dict[str, Any]) -> Answer:
    """What `to_json` made."""
    labels = row["labels"] if "labels" in row else [row["label"]] if row["label"] else []
    classes = tuple((each["class"], each["probability"]) for each in row["classes"])
    may_be = tuple(row["candidates"]) if "candidates" in row else None
    return Answer(row["file"], tuple(labels), classes, may_be)


def table(found: Iterable[Answer], path: Path, *, top_k: int, multi_label: bool) -> bytes:
    """All answers as the file of that name has them.

    A CSV has the columns `file`, `label` (or `labels`), and `class_1`, `probability_1` and so on
    up to `top_k`, and `candidates` where they are said. File names are written as the bytes that
    they are.
    """
    if path.suffix.lower() == ".csv":
        return _csv(found, top_k=top_k, multi_label=multi_label)
    lines = (json.dumps(to_json(each, multi_label=multi_label)) for each in found)
    return "".join(f"{line}\n" for line in lines).encode("ascii")


def check_names(model: Classes, path: Path, *, sets: bool) -> None:
    """Raises ValueError for a class whose name would be two in a CSV of several names a cell."""
    apart = [name for name in model.class_names if BETWEEN in name]
    if apart and (model.multi_label or sets) and path.suffix.lower() == ".csv":
        raise ValueError(
            f"--out: class {apart[0]!r} has a {BETWEEN!r} in it, which separates classes in a CSV; "
            f"expected a name that ends in .jsonl"
        )


def _csv(found: Iterable[Answer], *, top_k: int, multi_label: bool) -> bytes:
    columns = [name for i in range(1, top_k + 1) for name in (f"class_{i}", f"probability_{i}")]
    found = list(found)
    said = any(each.candidates is not None for each in found)
    more = ["candidates"] if said else []
    rows: list[list[Any]] = [["file", "labels" if multi_label else "label", *columns, *more]]
    for each in found:
        cells = [cell for name, value in each.classes for cell in (name, f"{value:.6f}")]
        candidates = [BETWEEN.join(each.candidates or ())] if said else []
        rows.append([each.file, each.label, *cells, *candidates])
    return csv_bytes(rows)


def csv_bytes(rows: Iterable[Iterable[Any]]) -> bytes:
    """Rows as CSV; what is no text in the names of files stays as it is."""
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue().encode("utf-8", "surrogateescape")
