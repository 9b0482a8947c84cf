"""The feature cache: image features of a frozen tower, computed once and stored.

A folder of it holds a folder for each model, split and view. Inside are pieces, each a safetensors
file of the ids and features of some images, written whole or not at all: a computation that was
stopped goes on, and a request for other images of the split computes only those that are missing.
View 0 of an image is what evaluation sees; the others are cut out and flipped at random, by the
number of the view and the image alone, so that all rows, seeds and numbers of shots share them.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from duet import disk_errors
from pipelines.runs import safetensors_files
from pipelines.runs.image_features import Features, encoded, encoder

if TYPE_CHECKING:
    import keras

    from tfrecords import Manifest

PIECE = 1024  # images per file

UNTOLD = ("name", "trainable", "dtype", "dropout")  # what the features do not depend on

CROP_SCALE = (0.5, 1.0)  # of views but the first, as in Tip-Adapter and ProLIP


@dataclass(frozen=True)
class FeatureCache:
    """Features of the images of one folder of records.

    Args:
        folder: of the cache; None to keep nothing.
        data: folder of the records; manifest: theirs.
        batch_size: images that are encoded at a time.
    """

    folder: Path | None
    data: str
    manifest: "Manifest"
    batch_size: int = 64
    _labels: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict, repr=False)
    _fingerprints: dict[int, tuple[Any, str]] = field(default_factory=dict, repr=False)

    def labels(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Ids and labels of a split in stored order; see `tfrecords.labels`.

        Images of a split without labels are their own: the ids again.
        """
        import tfrecords

        if split not in self._labels:
            if self.manifest.split(split).labels:
                self._labels[split] = tfrecords.labels(self.data, split)
            else:
                self._labels[split] = (tfrecords.image_ids(self.data, split),) * 2
        return self._labels[split]

    def read(
        self,
        model: "keras.Model",
        split: str,
        ids: Sequence[int] | np.ndarray | None = None,
        *,
        views: int = 1,
    ) -> Features:
        """Returns features of a split's images in the order of `ids`, computing missing ones.

        Args:
            model: with an image tower, and perhaps an image projection.
            split: of the records.
            ids: of images, as `labels` gives them; all of the split in stored order without.
            views: of each image, the first as evaluation sees it; of more than one the values are
                [v, n, d].
        """
        found = [self._read(model, split, ids, view) for view in range(max(views, 1))]
        if len(found) == 1:
            return found[0]
        seconds = sum(each.seconds for each in found)
        return Features(np.stack([each.values for each in found]), found[0].labels, seconds)

    def _read(
        self, model: Any, split: str, ids: Sequence[int] | np.ndarray | None, view: int
    ) -> Features:
        every, labels = self.labels(split)
        wanted = every if ids is None else np.asarray(ids, np.int64)
        folder = self._folder(model, split, view)
        pieces = list(_kept(folder))
        known = np.concatenate([np.empty(0, np.int64), *(piece[0] for piece in pieces)])
        missing = every[np.isin(every, np.setdiff1d(wanted, known))]  # in stored order
        if len(missing):
            pieces += self._computed(model, split, missing, view=view, folder=folder)
        found = np.concatenate([piece[0] for piece in pieces])
        values = np.concatenate([piece[1] for piece in pieces])
        seconds = np.concatenate([np.full(len(p[0]), p[2] / len(p[0])) for p in pieces])
        rows = _places(wanted, among=found)
        return Features(
            values[rows], labels[_places(wanted, among=every)], float(seconds[rows].sum())
        )

    def fingerprint(self, model: Any) -> str:
        """Returns a hash of everything that determines a model's image features."""
        tower = model.image_tower
        kept = self._fingerprints.get(id(tower))
        if kept is None or kept[0] is not tower:
            self._fingerprints[id(tower)] = (tower, _fingerprint(model))
        return self._fingerprints[id(tower)][1]

    def _folder(self, model: Any, split: str, view: int) -> Path | None:
        if self.folder is None:
            return None
        name = f"view-{view}" if view else "embedding"
        key = {
            "model": self.fingerprint(model),
            "shards": [shard.sha256 for shard in self.manifest.split(split).shards],
            "preprocessing": model.preprocessing,
            "view": {name: CROP_SCALE} if view else name,
        }
        return self.folder / f"{split}-{name}-{_digest(key)}"

    def _computed(
        self, model: Any, split: str, ids: np.ndarray, *, view: int, folder: Path | None
    ) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
        import tfrecords

        if folder is not None:
            width = max(getattr(model, "embed_dim", 0), model.image_tower.output_dim)
            disk_errors.room(folder, 4.0 * len(ids) * width, what=f"features of {split}")
        info = self.manifest.split(split)
        which = None if len(ids) == info.count else tuple(ids.tolist())
        words = None if info.labels else getattr(model, "tokenizer", None)  # of captions
        load = partial(
            tfrecords.load, self.data, split, ids=which, tokenizer=words, **_of_view(view)
        )
        size = min(self.batch_size, len(ids) if view else info.count)
        what = f"embedding {split}" + (f", view {view + 1}" if view else "")
        with tfrecords.naming_damage(self.data):
            encode, batches = encoder(model), load(batch_size=size, **model.preprocessing)
            done, begun = 0, time.perf_counter()
            for found in _in_pieces(encode, batches, count=len(ids), what=what):
                piece, done = ids[done : done + len(found)], done + len(found)
                seconds, begun = time.perf_counter() - begun, time.perf_counter()
                if folder is not None:
                    arrays = {"ids": piece, "values": found, "seconds": np.array([seconds])}
                    safetensors_files.write(
                        folder / f"{_digest(piece.tolist())}.safetensors", arrays
                    )
                yield piece, found, seconds


def _of_view(view: int) -> dict[str, Any]:
    """What `tfrecords.load` is told to cut out and flip each image in stored order."""
    if not view:
        return {}
    cut = {"crop_scale": CROP_SCALE, "flip": True, "shuffle": False}
    return {"training": True, "epochs": 1, "seed": view, **cut}


def _in_pieces(encode: Any, batches: Any, *, count: int, what: str) -> Iterator[np.ndarray]:
    rows: list[np.ndarray] = []
    for values, _ in encoded(encode, batches, count=count, what=what):
        rows.append(values)
        if sum(map(len, rows)) >= PIECE:
            yield np.concatenate(rows)
            rows = []
    if rows:
        yield np.concatenate(rows)


def _kept(folder: Path | None) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    """Ids, features and seconds of the pieces in a folder; those that are damaged are removed."""
    for path in sorted(folder.glob("*.safetensors")) if folder is not None else ():
        try:
            found = safetensors_files.read(path)
            ids, values, seconds = (found[name] for name in ("ids", "values", "seconds"))
        except (KeyError, ValueError):
            path.unlink()
            continue
        yield ids, values, float(seconds[0])


def _places(wanted: np.ndarray, *, among: np.ndarray) -> np.ndarray:
    order = np.argsort(among, kind="stable")
    return order[np.searchsorted(among, wanted, sorter=order)]


def _digest(key: Any) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]


def _fingerprint(model: Any) -> str:
    """BLAKE2b of weights in order, settings, preprocessing, and precision but float32."""
    import keras

    tower, projection = model.image_tower, getattr(model, "image_projection", None)
    digest = hashlib.blake2b(digest_size=16)
    facts = [_settings(tower), _settings(projection), model.preprocessing]
    facts += [tower.compute_dtype] if tower.compute_dtype != "float32" else []
    digest.update(json.dumps(facts, sort_keys=True).encode())
    for weight in [*tower.weights, *(projection.weights if projection is not None else ())]:
        values = np.ascontiguousarray(keras.ops.convert_to_numpy(weight))
        digest.update(f"{values.dtype} {values.shape}\n".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def _settings(layer: Any) -> list[Any]:
    """The class of a layer and the plain values of its configuration, such as pixel statistics and
    activation: weights alone do not say what is computed with them."""
    own = layer.get_config() if layer is not None else {}
    plain = {key: value for key, value in own.items() if key not in UNTOLD and _is_plain(value)}
    return [type(layer).__name__, plain]


def _is_plain(value: Any) -> bool:
    """Whether it is a number, a text, a list of these, or a function by its name."""
    if isinstance(value, dict):
        return value.get("class_name") == "function"
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | int | float)
