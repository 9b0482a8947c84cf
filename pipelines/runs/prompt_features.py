"""Embeddings of pictures for few-shot runs, computed once, and the schedule they are learnt by."""

import hashlib
import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from pipelines.runs import features, few_shot

if TYPE_CHECKING:
    from dual_encoder import DualEncoder
    from pipelines.runs.prompt_grid import Cell, Task
    from tfrecords import Manifest

CROP_SCALE = (0.08, 1.0)  # of augmented views, as in CoOp
BATCH = 64


class Embedder:
    """Embeds the pictures of some records with one model; keeps them in the grid's folder."""

    def __init__(self, options: Any, manifest: "Manifest", model: "DualEncoder", name: str):
        import dual_encoder

        self.options, self.manifest, self.model = options, manifest, model
        self.fingerprint = dual_encoder.fingerprint(model)
        self.folder = Path(options.out) / "features"
        self.name = name

    def pictures(self, split: str, ids: np.ndarray) -> features.Features:
        """Of some pictures of a split, in stored order."""
        return self._cached(split, ids=tuple(ids.tolist()))

    def split(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Of a whole split: embeddings [n, e] and labels [n]."""
        found = self._cached(split)
        return found.values, found.labels

    def _cached(self, split: str, ids: tuple[int, ...] | None = None) -> features.Features:
        import tfrecords

        count = self.manifest.split(split).count if ids is None else len(ids)
        which = "all" if ids is None else hashlib.sha256(repr(ids).encode()).hexdigest()[:16]
        key = {
            "model": self.fingerprint,
            "shards": [shard.sha256 for shard in self.manifest.split(split).shards],
            "pictures": which,
        }

        def make() -> features.Features:
            load = partial(tfrecords.load, self.options.data, split, batch_size=BATCH, ids=ids)
            with tfrecords.naming_damage(self.options.data):
                return features.compute(
                    self.model.encode_image,
                    load(**self.model.preprocessing),
                    count=count,
                    what=f"embedding split {split}",
                )

        name = f"{self.fingerprint[:12]}-{split}-{which}.safetensors"
        return features.cached(self.folder / name, key, make)


def views(task: "Task", places: np.ndarray, cell: "Cell") -> tuple[np.ndarray, np.ndarray]:
    """Augmented views of the pictures of a sample: embeddings [v, m, e] and classes [v, m].

    Other crops in every view, of other pictures too where a class has fewer than shots.
    """
    import tfrecords

    ids = task.ids[np.unique(places)]
    count = task.options.views
    batches = tfrecords.load(
        task.options.data,
        "train",
        batch_size=min(BATCH, len(ids)),
        ids=tuple(ids.tolist()),
        classes=task.seen,
        training=True,
        crop_scale=CROP_SCALE,
        augment=keras.layers.RandomFlip("horizontal", seed=cell.seed),
        seed=cell.seed,
        epochs=count,
        **task.model.preprocessing,
    )
    with tfrecords.naming_damage(task.options.data):
        found = features.compute(
            task.model.encode_image, batches, count=count * len(ids), what="embedding views"
        )
    values = found.values.reshape(count, len(ids), -1)
    labels = found.labels.reshape(count, len(ids)).astype(np.int32)
    return few_shot.resampled(values, labels, classes=len(task.seen), shots=cell.shots)


class CoOpSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """One epoch at 1e-5, then a cosine that is stepped once per epoch.

    In epoch e of T the rate is half the highest times 1 + cos(pi (e - 1) / T), as CoOp's own
    configuration has it.

    Args:
        learning_rate: the highest.
        steps: of one epoch.
        epochs: T.
    """

    WARMUP = 1e-5

    def __init__(self, learning_rate: float, *, steps: int, epochs: int):
        self.learning_rate, self.steps, self.epochs = learning_rate, steps, epochs

    def __call__(self, step):
        ops = keras.ops
        epoch = ops.floor(ops.cast(step, "float32") / self.steps)
        cosine = ops.cos(math.pi * (epoch - 1) / self.epochs)
        return ops.where(epoch < 1, self.WARMUP, 0.5 * self.learning_rate * (1 + cosine))

    def get_config(self):
        return {"learning_rate": self.learning_rate, "steps": self.steps, "epochs": self.epochs}
