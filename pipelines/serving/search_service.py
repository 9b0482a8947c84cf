"""The queries of `serve`: images for a text or an image, and class names for an image.

The model runs in one thread. Waiting queries are encoded in one call and searched together, which
costs hardly more than a single query.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.retrieval import answers, encode
from pipelines.runs import results
from pipelines.serving.batcher import Batcher

if TYPE_CHECKING:
    from pipelines.retrieval.searcher import Searcher


MOST_AT_ONCE = 64  # queries per batch

MOST_IMAGES = 200  # per answer

MOST_NAMES = 200

IMAGES_AT_ONCE = 4  # images per model call; smaller batches are padded


@dataclass(frozen=True)
class Wanted:
    """A queued query: text, or pixels uint8 [s, s, 3]."""

    content: str | np.ndarray
    k: int


@dataclass(frozen=True)
class Found:
    """The query's embedding float32 [e], and the scores and rows of its results, best first."""

    embedding: np.ndarray
    scores: np.ndarray
    rows: np.ndarray


class Finder:
    """Answers concurrent queries.

    Args:
        searcher: index, model and images.
        templates: prompt templates with {} for candidate class names.
    """

    def __init__(self, searcher: Searcher, templates: Sequence[str]):
        self.searcher, self.templates = searcher, list(templates)
        self.created = results.now()
        self._model_thread = ThreadPoolExecutor(1, "model")
        self._readers = ThreadPoolExecutor(2, "images")
        self.batches = Batcher(self._find, self._model_thread, most=MOST_AT_ONCE)
        self._class_embeddings = lru_cache(32)(self._encode_names)

    def warm_up(self) -> None:
        """Encode one text, several, and an image, so that no query waits for compilation."""
        size = self.searcher.model.image_size
        self._find([Wanted("a", 1), Wanted(np.zeros((size, size, 3), np.uint8), 1)])
        self._find([Wanted("a", 1), Wanted("b", 1)])

    async def words(self, text: str, k: int) -> answers.Answer:
        """Returns the k nearest images; ValueError for a text that is empty or too long."""
        encode.token_ids(self.searcher.model, [text])  # fails before joining a batch
        found = await self.batches(Wanted(text, _checked(k)))
        return self._answer(answers.Query("text", text), found)

    async def image(
        self, data: bytes, k: int, names: Sequence[str] = ()
    ) -> tuple[answers.Answer, list[tuple[str, float]]]:
        """Returns the k nearest images, and class names with probabilities, most likely first.

        Raises:
            ValueError: not an image, or damaged or animated; a single name, or too many.
        """
        _check_names(names)
        loop = asyncio.get_running_loop()
        pixels = await loop.run_in_executor(self._readers, self.searcher.read_image, data)
        found = await self.batches(Wanted(pixels, _checked(k)))
        labels = []
        if names:
            labels = await loop.run_in_executor(self._model_thread, self._label, found, names)
        return self._answer(answers.Query("image", "your image"), found), labels

    async def like(self, row: int, k: int) -> answers.Answer:
        """Returns the k images nearest to that of a row, itself first; the model is not asked.

        Raises IndexError: there is no such row.
        """
        self._check_row(row)
        embedding, k = self.searcher.index.embeddings([row]), _checked(k)
        hits = await asyncio.get_running_loop().run_in_executor(
            self._readers, self.searcher.search, embedding, k
        )
        query = answers.Query("image", answers.readable(self.searcher.index.id(row)))
        return self._answer(query, Found(embedding[0], hits.scores[0], hits.rows[0]))

    def _check_row(self, row: int) -> None:
        if not 0 <= row < len(self.searcher.index):
            raise IndexError(f"the index has images 0 to {len(self.searcher.index) - 1}")

    async def thumbnail(self, row: int, *, side: int) -> bytes:
        """Returns the image of a row as JPEG.

        Raises:
            IndexError: there is no such row.
            FileNotFoundError: the image has been removed, or is unreadable.
        """
        import tfrecords

        index, images = self.searcher.index, self.searcher.images
        self._check_row(row)

        def read() -> bytes:
            if images is None:
                raise FileNotFoundError("the folder of the images is gone")
            try:
                if not images.has(index.id(row), index.stamp(row)):
                    raise FileNotFoundError
                data = images.load(index.id(row), index.stamp(row))
                return tfrecords.thumbnail(data, side=side, max_pixels=self.searcher.max_pixels)
            except (OSError, ValueError):
                raise FileNotFoundError("this image is no longer there") from None

        return await asyncio.get_running_loop().run_in_executor(self._readers, read)

    def _find(self, wanted: list[Wanted]) -> list[Found]:
        """Encodes a batch and searches it for its largest k."""
        model = self.searcher.model
        embeddings = np.empty((len(wanted), model.embed_dim), np.float32)
        texts = {i: w.content for i, w in enumerate(wanted) if isinstance(w.content, str)}
        images = {i: w.content for i, w in enumerate(wanted) if not isinstance(w.content, str)}
        if texts:
            embeddings[list(texts)] = encode.encode_texts(model, list(texts.values()))
        if images:
            pixels, rows = np.stack(list(images.values())), IMAGES_AT_ONCE
            embeddings[list(images)] = encode.encode_images(model, pixels, rows=rows)
        hits = self.searcher.search(embeddings, max(each.k for each in wanted))
        return [
            Found(embeddings[i], hits.scores[i, : each.k], hits.rows[i, : each.k])
            for i, each in enumerate(wanted)
        ]

    def _answer(self, query: answers.Query, found: Found) -> answers.Answer:
        hits: Any = ([found.scores], [found.rows])
        (answer,) = answers.answers([query], hits, self.searcher.index, self.searcher.images)
        return answer

    def _label(self, found: Found, names: Sequence[str]) -> list[tuple[str, float]]:
        """Classifies an existing image embedding zero-shot."""
        logits = self._class_embeddings(tuple(names)) @ found.embedding
        logits *= float(self.searcher.model.logit_scale)
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        order = np.argsort(-shares, kind="stable")
        return [(names[i], float(shares[i])) for i in order]

    def _encode_names(self, names: tuple[str, ...]) -> np.ndarray:
        import dual_encoder

        return dual_encoder.class_embeddings(self.searcher.model, names, self.templates)


def _checked(k: int) -> int:
    if not 1 <= k <= MOST_IMAGES:
        raise ValueError(f"k: expected 1 to {MOST_IMAGES}; got {k}")
    return k


def _check_names(names: Sequence[str]) -> None:
    if len(names) == 1:
        raise ValueError(f"names: expected two or more, to choose between; got {names[0]!r} alone")
    if len(names) > MOST_NAMES:
        raise ValueError(f"names: expected at most {MOST_NAMES}; got {len(names)}")
    if len(set(names)) < len(names):
        raise ValueError("names: expected each name once")
