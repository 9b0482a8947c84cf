"""Image embeddings and augmented views for few-shot runs, computed once."""

import hashlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from pipelines.fewshot import batches as fewshot_batches
from pipelines.runs import features as runs_features

if TYPE_CHECKING:
    from dual_encoder import DualEncoder
    from pipelines.fewshot.grid import Cell, Task
    from tfrecords import Manifest


CROP_SCALE = (0.08, 1.0)  # of augmented views, as in CoOp

BATCH = 64


class Embedder:
    """Embeds the images of some records with one model; keeps them in the grid's folder."""

    def __init__(self, options: Any, manifest: "Manifest", model: "DualEncoder", name: str):
        import dual_encoder

        self.options, self.manifest, self.model = options, manifest, model
        self.fingerprint = dual_encoder.fingerprint(model)
        self.folder = Path(options.out) / "features"
        self.name = name

    def images(self, split: str, ids: np.ndarray) -> runs_features.Features:
        """Of some images of a split, in stored order."""
        return self._cached(split, ids=tuple(ids.tolist()))

    def split(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Of a whole split: embeddings [n, e] and labels [n]."""
        found = self._cached(split)
        return found.values, found.labels

    def _cached(self, split: str, ids: tuple[int, ...] | None = None) -> runs_features.Features:
        import tfrecords

        count = self.manifest.split(split).count if ids is None else len(ids)
        which = "all" if ids is None else hashlib.sha256(repr(ids).encode()).hexdigest()[:16]
        key = {
            "model": self.fingerprint,
            "shards": [shard.sha256 for shard in self.manifest.split(split).shards],
            "images": which,
        }

        def make() -> runs_features.Features:
            load = partial(tfrecords.load, self.options.data, split, batch_size=BATCH, ids=ids)
            with tfrecords.naming_damage(self.options.data):
                return runs_features.compute(
                    self.model.encode_image,
                    load(**self.model.preprocessing),
                    count=count,
                    what=f"embedding split {split}",
                )

        name = f"{self.fingerprint[:12]}-{split}-{which}.safetensors"
        return runs_features.cached(self.folder / name, key, make)


def views(task: "Task", places: np.ndarray, cell: "Cell") -> tuple[np.ndarray, np.ndarray]:
    """Augmented views of the images of a sample: embeddings [v, m, e] and classes [v, m].

    Other crops in every view, of other images too where a class has fewer than shots.
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
        found = runs_features.compute(
            task.model.encode_image, batches, count=count * len(ids), what="embedding views"
        )
    values = found.values.reshape(count, len(ids), -1)
    labels = found.labels.reshape(count, len(ids)).astype(np.int32)
    return fewshot_batches.resampled(values, labels, classes=len(task.seen), shots=cell.shots)
