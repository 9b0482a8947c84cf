"""A grid of few-shot runs: a cell is one model, method, number of shots and seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.methods.method import Method
from pipelines.methods.registry import METHODS


@dataclass(frozen=True)
class Cell:
    """One run of the grid; `shots` and `seed` are 0 where the method has neither."""

    grid: Path
    model: str
    method: str
    shots: int
    seed: int

    @property
    def row(self) -> Method:
        """The method, from the table."""
        return METHODS[self.method]

    @property
    def folder(self) -> Path:
        """Of its results, and of what was learnt."""
        model = self.grid / "cells" / folder_name(self.model)
        return model / self.method / f"{self.shots}-shot" / f"seed-{self.seed}"

    @property
    def finished(self) -> bool:
        """Whether it has results."""
        return (self.folder / "results.json").is_file()

    def __str__(self) -> str:
        return f"{self.model}, {self.method}" + (
            f", {self.shots}-shot, seed {self.seed}" if self.shots else ""
        )


def folder_name(model: str) -> str:
    """The folder of a model's cells; of several models it may be the same."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in model)


def cells(
    grid: Path, model: str, method: str, *, shots: Sequence[int], seeds: Sequence[int]
) -> list[Cell]:
    """Those of a method in the order of the table; one that learns from no image has one."""
    if not METHODS[method].learns:
        return [Cell(grid, model, method, 0, 0)]
    return [Cell(grid, model, method, count, seed) for count in sorted(shots) for seed in seeds]
