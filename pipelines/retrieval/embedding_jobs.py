"""Embed images in parts: in this process, through the feature cache, or on Beam workers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from duet import unit_rows
from pipelines.retrieval.encode import encode_images
from pipelines.runs.feature_cache import FeatureCache
from pipelines.runs.models import load_dual_encoder

if TYPE_CHECKING:
    from dual_encoder import DualEncoder, IndexFacts


PART = 1024  # images per part while an index is built

Named = tuple[str, tuple[int, ...]]  # an image's id and stamp


@dataclass(frozen=True)
class Job:
    """Settings for embedding images on a worker; can be pickled.

    Args:
        folder: of the index.
        facts: of the index; `model` and `source` define what to load.
        batch_size: images per batch.
        first_frame, max_pixels: see `tfrecords.read_images`.
    """

    folder: Path
    facts: "IndexFacts"
    batch_size: int
    first_frame: bool = False
    max_pixels: int | None = None


def embed_here(
    named: Sequence[Named], job: Job, model: "DualEncoder", *, advance: Callable[[int], object]
) -> None:
    """Embeds images in this process, saving after every `PART` of them."""
    import tfrecords

    store = tfrecords.images_of(**job.facts.source)
    stamps = dict(named)
    names: list[str] = []
    embeddings: list[np.ndarray] = []
    unreadable: list[tuple[str, str]] = []

    def keep() -> None:
        found = np.concatenate(embeddings) if embeddings else np.empty((0, model.embed_dim))
        _keep(job, names, [stamps[name] for name in names], found, unreadable)
        for each in (names, embeddings, unreadable):
            each.clear()

    loads = ((name, partial(store.load, name, stamp)) for name, stamp in named)
    batches = tfrecords.read_images(
        loads,
        batch_size=job.batch_size,
        first_frame=job.first_frame,
        max_pixels=job.max_pixels,
        **model.preprocessing,
    )
    try:
        for batch in batches:
            embeddings.append(encode_images(model, batch.images, rows=job.batch_size))
            names += batch.names
            unreadable += batch.unreadable
            if len(names) + len(unreadable) >= PART:
                keep()
            advance(len(batch.names) + len(batch.unreadable))
    finally:
        if names or unreadable:
            keep()


def embed_through_cache(
    named: Sequence[Named], job: Job, model: "DualEncoder", *, cache: Path
) -> None:
    """Embeds images of records by the feature cache in the folder `cache`, which keeps them."""
    import tfrecords

    source = job.facts.source
    store = tfrecords.ImageRecords(Path(source["path"]), tuple(source["splits"]))
    manifest = tfrecords.Manifest.read(store.path)
    kept = FeatureCache(cache, str(store.path), manifest, batch_size=job.batch_size)
    places = [store.place(stamp) for _, stamp in named]
    for split in dict.fromkeys(split for split, _ in places):
        rows = [row for row, place in enumerate(places) if place[0] == split]
        ids = kept.labels(split)[0][[places[row][1] for row in rows]]
        found = unit_rows.unit(kept.read(model, split, ids).values)
        for first in range(0, len(rows), PART):
            part = rows[first : first + PART]
            names, stamps = [named[row][0] for row in part], [named[row][1] for row in part]
            _keep(job, names, stamps, found[first : first + PART], [])


def embed_with_beam(named: Sequence[Named], job: Job, *, options: str) -> None:
    """Embeds images with Apache Beam, `PART` images per element.

    All workers must see images, index and model under the same path.
    """
    import tfrecords

    pieces = iter(named)
    tfrecords.run_beam(
        list(iter(lambda: list(islice(pieces, PART)), [])), job, options=options, work=_embed_piece
    )


def _embed_piece(named: list[Named], job: Job) -> None:
    """Embeds one element on a Beam worker."""
    from pipelines.runs import runtime

    runtime.import_tensorflow()
    import dual_encoder

    model = _loaded(job.facts.model)
    dual_encoder.check_fingerprint(job.folder, job.facts, dual_encoder.fingerprint(model))
    embed_here(named, job, model, advance=lambda count: None)


_loaded = cache(load_dual_encoder)


def _keep(
    job: Job, names: list[str], stamps: list[Any], embeddings: np.ndarray, unreadable: list
) -> None:
    from dual_encoder import IndexRows, write_part

    rows = IndexRows.of(names, stamps, embeddings)
    write_part(job.folder, rows, job.facts, unreadable=unreadable)
