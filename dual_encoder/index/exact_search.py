"""Exact search in an index of embeddings on disk, by matrix product.

Needs neither a model nor TensorFlow. Embeddings have unit length, so a dot product is a cosine.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dual_encoder.index.files import FILE, IndexFacts, IndexRows, map_rows, read_facts

# IndexRows whose products are looked at together: some megabytes of them, which a cache holds.
CHUNK = 16_384


class Hits(NamedTuple):
    """Results of q queries, best first: `scores` float32 [q, k] and `rows` int64 [q, k]."""

    scores: np.ndarray
    rows: np.ndarray


def top_k(queries: np.ndarray, shards: Iterable[np.ndarray], k: int) -> Hits:
    """Returns the k best rows per query, exactly; ties go to the earlier row.

    Args:
        queries: float32 [q, e].
        shards: arrays float32 [n, e], the rows of the index in order.
        k: number of results; fewer if there are fewer rows.

    Raises:
        ValueError: queries of another shape or with NaN, or k below 1.

    Example:
        >>> top_k(np.eye(2, dtype="float32"), [np.eye(2, dtype="float32")], k=1).rows
        array([[0],
               [1]])
    """
    queries = checked_queries(queries, k)
    scores = np.full((len(queries), k), -np.inf, np.float32)
    best, start = Hits(scores, np.full(scores.shape, -1, np.int64)), 0
    for shard in shards:
        if shard.ndim != 2:
            raise ValueError(f"shards: expected a list of arrays [n, e]; got {list(shard.shape)}")
        _check_width(queries, shard.shape[1])
        for first in range(0, len(shard), CHUNK):
            chunk = np.asarray(shard[first : first + CHUNK])
            best = _merged(best, queries @ chunk.T, start=start + first)
        start += len(shard)
    found = min(k, start)
    return Hits(best.scores[:, :found], best.rows[:, :found])


def checked_queries(queries: Any, k: int, *, width: int | None = None) -> np.ndarray:
    """Returns queries as float32 [q, width]; ValueError for others, or a k that is no number."""
    if not isinstance(k, Integral) or k < 1:
        raise ValueError(f"k: expected 1 or more; got {k!r}")
    queries = np.asarray(queries)
    if queries.ndim != 2 or queries.dtype.kind in "USO":
        raise ValueError(
            f"queries: expected finite numbers [q, e]; got {list(queries.shape)} of {queries.dtype}"
        )
    queries = np.ascontiguousarray(queries, np.float32)
    if not np.isfinite(queries).all():
        raise ValueError("queries: expected finite numbers [q, e]; got NaN or infinity among them")
    if width is not None:
        _check_width(queries, width)
    return queries


def _check_width(queries: np.ndarray, width: int) -> None:
    if queries.shape[1] != width:
        raise ValueError(f"queries: expected embeddings of {width} numbers; got {queries.shape[1]}")


def _merged(best: Hits, scores: np.ndarray, *, start: int) -> Hits:
    """Merges the best results so far with a chunk's scores [q, c], whose first row is `start`.

    Only scores above the k-th best so far are sorted: comparing costs a small part of the matrix
    product, whereas sorting or partitioning all scores would cost more than it.
    """
    q, k = best.scores.shape
    is_first = (best.rows[:1, -1] < 0).any()  # there is no k-th best yet
    if is_first and scores.shape[1] > k:
        columns = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        threshold = np.take_along_axis(scores, columns, axis=1).min(axis=1, keepdims=True)
        query, column = np.nonzero(scores >= np.maximum(threshold, best.scores[:, -1:]))
    else:
        query, column = np.divmod(
            np.flatnonzero(scores > best.scores[:, -1:]), max(scores.shape[1], 1)
        )
    if not len(query):
        return best
    everyone = np.concatenate([np.repeat(np.arange(q), k), query])
    values = np.concatenate([best.scores.ravel(), scores[query, column]])
    rows = np.concatenate([best.rows.ravel(), column + start])
    # Until there are k results, placeholders have row -1 and the lowest score.
    order = np.lexsort((rows, -values, everyone))
    firsts = np.searchsorted(everyone[order], np.arange(q))
    taken = order[firsts[:, None] + np.arange(k)]
    return Hits(values[taken], rows[taken])


@dataclass(frozen=True, eq=False)
class Index:
    """A memory-mapped index on disk: a search reads only what it needs.

    Attributes:
        folder: its folder.
        facts: its `index.json`.
        shards: its rows.
    """

    folder: Path
    facts: IndexFacts
    shards: tuple[IndexRows, ...]

    @classmethod
    def open(cls, folder: str | Path, *, fingerprint: str | None = None) -> "Index":
        """Opens the finished index in `folder`, checking the model's `fingerprint` if given.

        Raises:
            FileNotFoundError: there is no index, or one of its files is missing.
            ValueError: it is unfinished, damaged, or of another model.
        """
        folder = Path(folder)
        facts = read_facts(folder)
        if fingerprint is not None:
            check_fingerprint(folder, facts, fingerprint)
        shards = tuple(map_rows(folder / shard.name)[0] for shard in facts.shards)  # all are read
        for shard, rows in zip(facts.shards, shards, strict=True):
            if rows.embeddings.shape != (shard.count, facts.embed_dim):
                raise ValueError(
                    f"{folder / shard.name}: expected embeddings "
                    f"{[shard.count, facts.embed_dim]}; got {list(rows.embeddings.shape)}"
                )
            if shard.crc32 not in (None, rows.crc32):
                raise ValueError(
                    f"{folder / shard.name} is another file of rows than {FILE} lists; "
                    "delete the index, build again"
                )
        return cls(folder, facts, shards)

    def __len__(self) -> int:
        return self.facts.count

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.cumsum([0, *map(len, self.shards)])

    def _place(self, row: int) -> tuple[IndexRows, int]:
        self._check_rows(np.asarray(row))
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        self.shards[number].check_whole()
        return self.shards[number], int(row - self._starts[number])

    def _check_rows(self, rows: np.ndarray) -> None:
        wrong = (rows < 0) | (rows >= len(self))
        if wrong.any():
            raise IndexError(
                f"row: expected 0 to {len(self) - 1}, those of the index; got {rows[wrong].flat[0]}"
            )

    def id(self, row: int) -> str:
        """Returns the id of the image in a row; IndexError for one that the index has not."""
        shard, place = self._place(row)
        return shard.id(place)

    def stamp(self, row: int) -> tuple[int, ...]:
        """Returns the image's stamp; see `dual_encoder.index.files`."""
        shard, place = self._place(row)
        return tuple(map(int, shard.stamps[place]))

    def embeddings(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Returns the embeddings of some rows, float32 [len(rows), e]."""
        places = np.asarray(rows, np.int64)
        self._check_rows(places)
        result = np.empty((len(places), self.facts.embed_dim), np.float32)
        numbers = np.searchsorted(self._starts, places, side="right") - 1
        for number in np.unique(numbers):
            in_shard = numbers == number
            self.shards[number].check_whole()
            result[in_shard] = self.shards[number].embeddings[
                places[in_shard] - self._starts[number]
            ]
        return result

    def search(self, queries: np.ndarray, k: int) -> Hits:
        """Returns the k nearest images of each query [q, e], exactly: see `top_k`.

        Raises CutShortError if one of the index's files got shorter since it was opened.
        """
        return top_k(queries, self._embeddings_in_turn(), k)

    def _embeddings_in_turn(self) -> Iterator[np.ndarray]:
        """Yields the embeddings of each shard, then releases its pages from this process's memory.

        They stay in the system's file cache, from which the next search maps them again.
        """
        for shard in self.shards:
            shard.check_whole()
            yield shard.embeddings
            shard.release()


def check_fingerprint(folder: Path, facts: IndexFacts, fingerprint: str) -> None:
    """Raises ValueError if the index was built by another model."""
    if facts.fingerprint != fingerprint:
        raise ValueError(
            f"{folder} was made by another model ({facts.model}, fingerprint "
            f"{facts.fingerprint[:8]}; this one has {fingerprint[:8]}): embeddings of two models "
            "cannot be compared. Give the model that made it, or build another index"
        )
