"""An index with its model and images, as used by `retrieve` and `serve`.

What a query in words or images becomes is decided in `encode.encode_queries` alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pipelines.retrieval import encode as retrieval_encode
from pipelines.retrieval.answers import Query
from pipelines.runs import models

if TYPE_CHECKING:
    from dual_encoder import Approximate, DualEncoder, Hits, Index
    from tfrecords import ImageStore


class Asked(Protocol):
    """The options that define the search: see `retrieve.Options`."""

    @property
    def index(self) -> str: ...
    @property
    def model(self) -> str | None: ...
    @property
    def folder(self) -> str | None: ...
    @property
    def data(self) -> str | None: ...
    @property
    def search(self) -> str: ...
    @property
    def first_frame(self) -> bool: ...
    @property
    def max_pixels(self) -> int | None: ...


@dataclass(frozen=True)
class Searcher:
    """Answers queries.

    Attributes:
        index: the index to search.
        model: the model that built it.
        images: the store of its images; None if missing.
        approximate: the faiss index used for searching, if any.
        first_frame, max_pixels: how images that are asked about are read; see
            `tfrecords.read_image`.
    """

    index: "Index"
    model: "DualEncoder"
    images: "ImageStore | None"
    approximate: "Approximate | None"
    first_frame: bool = False
    max_pixels: int | None = None

    @classmethod
    def open(cls, options: Asked, model: "DualEncoder | None" = None) -> "Searcher":
        """Opens the index of `options` and loads its model unless given.

        Raises:
            FileNotFoundError: there is no index.
            ValueError: the index is unfinished, damaged or of another model, or does not support
                this search.
        """
        import dual_encoder

        index = dual_encoder.Index.open(options.index)
        model = model or models.load_dual_encoder(options.model or index.facts.model)
        dual_encoder.check_fingerprint(index.folder, index.facts, dual_encoder.fingerprint(model))
        return cls(
            index,
            model,
            _images(index, options),
            _approximate(index, options.search),
            options.first_frame,
            options.max_pixels,
        )

    @property
    def kind(self) -> str:
        """The kind of search."""
        return self.approximate.facts["kind"] if self.approximate else "exact"

    def encode(self, queries: Sequence[Query], *, prompts: str | None = None) -> np.ndarray:
        """Queries -> embeddings [q, e]: see `encoded`."""
        return encoded(
            self.model,
            queries,
            prompts=prompts,
            backbone=self.index.facts.model,
            first_frame=self.first_frame,
            max_pixels=self.max_pixels,
        )

    def read_image(self, image: Path | bytes) -> np.ndarray:
        """Pixels uint8 [s, s, 3] of an image file, or of its bytes, as the model wants them."""
        import tfrecords

        return tfrecords.read_image(
            image,
            first_frame=self.first_frame,
            max_pixels=self.max_pixels,
            **self.model.preprocessing,
        )

    def search(self, embeddings: np.ndarray, k: int) -> "Hits":
        """Returns the k nearest images of each query [q, e], or all if there are fewer."""
        return (self.approximate or self.index).search(embeddings, k)

    def recall_of(self, embeddings: np.ndarray, hits: "Hits") -> float:
        """Returns the recall of hits [q, k] relative to exact search."""
        import dual_encoder

        exact = self.index.search(embeddings, hits.rows.shape[1])
        return dual_encoder.recall(hits.rows, exact.rows)


def encoded(
    model: "DualEncoder",
    queries: Sequence[Query],
    *,
    prompts: str | None,
    backbone: str,
    **reading: Any,
) -> np.ndarray:
    """Queries -> embeddings [q, e]: see `encode.encode_queries`.

    Args:
        model: the dual encoder, `backbone` its name.
        queries: q texts and image files.
        prompts: a file of prompts learnt with this very model, or ValueError says why not.
        reading: first_frame and max_pixels of `tfrecords.read_image`.
    """
    import dual_encoder
    import tfrecords

    learnt = dual_encoder.load_prompts(prompts, model, backbone=backbone) if prompts else None
    read = partial(tfrecords.read_image, **reading, **model.preprocessing)
    return retrieval_encode.encode_queries(model, queries, read=read, prompts=learnt)


def _images(index: "Index", options: Asked) -> "ImageStore | None":
    """Returns the store of the images, at the index's or the options' location."""
    import tfrecords

    source, moved = index.facts.source, options.folder or options.data
    if moved:
        kind = "records" if options.data else "folder"
        if kind != source["kind"]:
            raise ValueError(f"{index.folder} is an index of a {source['kind']}: {source['path']}")
        return tfrecords.images_of(**source | {"path": moved})
    try:
        return tfrecords.images_of(**source)
    except FileNotFoundError:
        return None  # results still have ids and scores


def _approximate(index: "Index", search: str) -> "Approximate | None":
    """Returns the faiss index to use; None for exact search."""
    import dual_encoder

    there = (index.facts.approximate or {}).get("kind")
    if search == "exact" or (search == "auto" and there is None):
        return None
    if search not in ("auto", there):
        raise ValueError(
            f"--search {search}: {index.folder} has {there or 'exact search alone'}; "
            f"make it with: --build --search {search}"
        )
    return dual_encoder.Approximate.open(index)
