"""A grid of few-shot runs: a cell is one model, method, number of shots and seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from dual_encoder import DualEncoder
    from tfrecords import Manifest


@dataclass(frozen=True)
class Cell:
    """One run of the grid; `shots` and `seed` are 0 where the method has neither."""

    grid: Path
    model: str
    method: str
    shots: int
    seed: int

    @property
    def folder(self) -> Path:
        """Of its results, and of what was learnt."""
        model = "".join(c if c.isalnum() or c in "-_." else "_" for c in self.model)
        return (
            self.grid / "cells" / model / self.method / f"{self.shots}-shot" / f"seed-{self.seed}"
        )

    @property
    def finished(self) -> bool:
        """Whether it has results."""
        return (self.folder / "results.json").is_file()

    def __str__(self) -> str:
        return f"{self.model}, {self.method}" + (
            f", {self.shots}-shot, seed {self.seed}" if self.shots else ""
        )


def cells(
    grid: Path, model: str, method: str, *, shots: Sequence[int], seeds: Sequence[int]
) -> list[Cell]:
    """Those of a method in the order of the table; zero-shot draws nothing and has one."""
    if method == "zero-shot":
        return [Cell(grid, model, method, 0, 0)]
    return [Cell(grid, model, method, count, seed) for count in sorted(shots) for seed in seeds]


@dataclass(frozen=True)
class Task:
    """What the cells of one model share.

    Attributes:
        options: of the command; manifest: of its records.
        model: the dual encoder.
        names: of all classes; templates: prompts with {} for the name.
        seen: classes that are learnt; unseen: those that are measured all the same.
        labels: int [n], of split train.
        rows: places in split train to rows of `train`.
        train: embeddings of the images that some cell learns from or chooses by.
        test: embeddings and labels of the split that is measured.
    """

    options: Any
    manifest: "Manifest"
    model: "DualEncoder"
    names: list[str]
    templates: list[str]
    seen: tuple[int, ...]
    unseen: tuple[int, ...]
    ids: np.ndarray
    labels: np.ndarray
    rows: dict[int, int]
    train: np.ndarray
    test: tuple[np.ndarray, np.ndarray]

    @property
    def seen_names(self) -> list[str]:
        """Of the classes that are learnt."""
        return [self.names[label] for label in self.seen]

    def embedded(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Embeddings [m, e] of images of split train, and places [m] of their classes."""
        values = self.train[[self.rows[place] for place in places]]
        return values, np.searchsorted(self.seen, self.labels[places]).astype(np.int32)
