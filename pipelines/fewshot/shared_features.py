"""The features and class texts shared by the cells of one model."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.fewshot import sampling
from pipelines.fewshot.grid import Cell
from pipelines.methods.few_shot_task import PromptOptions, Rows, Task
from pipelines.runs.feature_cache import FeatureCache
from pipelines.runs.image_features import Features

if TYPE_CHECKING:
    from dual_encoder import DualEncoder
    from pipelines.fewshot.options import Options
    from tfrecords import Manifest

BATCH = 64


@dataclass(frozen=True)
class Grid:
    """What the cells of one model share.

    Attributes:
        options: of the command; manifest: of its records.
        model: the dual encoder.
        names: of all classes; templates: prompts with {} for the name.
        seen: classes that are learnt; unseen: those that are measured all the same.
        features: the cache.
    """

    options: "Options"
    manifest: "Manifest"
    model: "DualEncoder"
    names: list[str]
    templates: list[str]
    seen: tuple[int, ...]
    unseen: tuple[int, ...]
    features: FeatureCache

    def task(self, cell: Cell) -> tuple[Task, float]:
        """What a cell learns from, and the seconds that computing its features took."""
        shared: dict[str, Any] = {
            "names": self.names,
            "seen": self.seen,
            "held_out": self.unseen,
            "templates": tuple(self.templates),
            "model": self.model,
            "backbone": cell.model,
            "dataset": self.manifest.dataset,
            "folder": cell.folder,
            "shots": cell.shots,
            "seed": cell.seed,
            "prompts": prompt_options(self.options),
        }
        nothing = np.empty((0, 0), np.float32), np.empty(0, np.int32)
        if not cell.row.learns:
            return Task(nothing, nothing, **shared), 0.0
        ids, labels = self.features.labels("train")
        drawn = sampling.sample(labels, classes=self.seen, shots=cell.shots, seed=cell.seed)
        views = self.options.views if cell.row.takes_views else 1
        train = self.features.read(self.model, "train", ids[drawn.train], views=views)
        validation = self.features.read(self.model, "train", ids[drawn.validation])
        task = Task(self._rows(train), self._rows(validation), **shared)
        return task, train.seconds + validation.seconds

    def measured(self) -> Features:
        """Of the split that is measured."""
        return self.features.read(self.model, self.options.split)

    def _rows(self, found: Features) -> Rows:
        return found.values, np.searchsorted(self.seen, found.labels).astype(np.int32)


def feature_folder(options: "Options") -> Path:
    """Of the feature cache: `--features`, or `features` in the folder of the grid."""
    return Path(options.features or Path(options.out) / "features")


def prompt_options(options: "Options") -> PromptOptions:
    """Those of the command that learnt prompts have."""
    names = [each.name for each in dataclasses.fields(PromptOptions)]
    return PromptOptions(**{name: getattr(options, name) for name in names if name != "pull"})
