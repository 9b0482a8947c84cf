"""Finding images: an index of embeddings on disk, and exact search by matrix product.

Nothing here needs a model, or TensorFlow. Embeddings have unit length, so a product is a cosine.
"""

import mmap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dual_encoder.index.files import IndexFacts, IndexRows, map_rows, read_facts

# IndexRows whose products are looked at together: some megabytes of them, which a cache holds.
CHUNK = 16_384


class Hits(NamedTuple):
    """Found for q queries, best first: `scores` float32 [q, k] and `rows` int64 [q, k]."""

    scores: np.ndarray
    rows: np.ndarray


def top_k(queries: np.ndarray, shards: Iterable[np.ndarray], k: int) -> Hits:
    """The k best rows for every query, exactly; of equal scores the earlier row comes first.

    Args:
        queries: float32 [q, e].
        shards: arrays float32 [n, e], one after the other the rows of the index.
        k: how many; fewer come back where there are fewer rows.

    Raises:
        ValueError: queries of another shape or with a value that is no number, or k below 1.

    Example:
        >>> top_k(np.eye(2, dtype="float32"), [np.eye(2, dtype="float32")], k=1).rows
        array([[0],
               [1]])
    """
    queries = np.ascontiguousarray(queries, np.float32)
    if k < 1:
        raise ValueError(f"k: expected 1 or more; got {k}")
    if queries.ndim != 2 or not np.isfinite(queries).all():
        raise ValueError(f"queries: expected finite numbers [q, e]; got {list(queries.shape)}")
    scores = np.full((len(queries), k), -np.inf, np.float32)
    best, start = Hits(scores, np.full(scores.shape, -1, np.int64)), 0
    for shard in shards:
        if shard.shape[1] != queries.shape[1]:
            raise ValueError(
                f"queries: expected embeddings of {shard.shape[1]} numbers; got {queries.shape[1]}"
            )
        for first in range(0, len(shard), CHUNK):
            chunk = np.asarray(shard[first : first + CHUNK])
            best = _merged(best, queries @ chunk.T, start=start + first)
        start += len(shard)
    found = min(k, start)
    return Hits(best.scores[:, :found], best.rows[:, :found])


def _merged(best: Hits, scores: np.ndarray, *, start: int) -> Hits:
    """The best of those before and of a chunk's, scores [q, c], whose first row is `start`.

    Only scores above the k-th best so far are looked at, which soon are few: comparing costs a
    small part of the matrix product, sorting or partitioning all of them would cost more than it.
    """
    q, k = best.scores.shape
    if best.rows[0, -1] < 0 and scores.shape[1] > k:  # the first chunk: no k-th best to compare
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
    # Before there are k, what fills the table up has row -1 and comes last by its score.
    order = np.lexsort((rows, -values, everyone))
    firsts = np.searchsorted(everyone[order], np.arange(q))
    taken = order[firsts[:, None] + np.arange(k)]
    return Hits(values[taken], rows[taken])


@dataclass(frozen=True, eq=False)
class Index:
    """An index on disk, mapped into memory: only what a search looks at is read.

    Attributes:
        folder: where it is.
        facts: its `index.json`.
        shards: its rows.
    """

    folder: Path
    facts: IndexFacts
    shards: tuple[IndexRows, ...]

    @classmethod
    def open(cls, folder: str | Path, *, fingerprint: str | None = None) -> "Index":
        """The finished index in `folder`; if given, `fingerprint` is of the model to be used.

        Raises:
            FileNotFoundError: no index there, or one of its files is missing.
            ValueError: it is half built, damaged, or another model's.
        """
        folder = Path(folder)
        facts = read_facts(folder)
        if fingerprint is not None:
            check_fingerprint(folder, facts, fingerprint)
        shards = tuple(map_rows(folder / shard.name)[0] for shard in facts.shards)
        for shard, rows in zip(facts.shards, shards, strict=True):
            if rows.embeddings.shape != (shard.count, facts.embed_dim):
                raise ValueError(
                    f"{folder / shard.name}: expected embeddings "
                    f"{[shard.count, facts.embed_dim]}; got {list(rows.embeddings.shape)}"
                )
        return cls(folder, facts, shards)

    def __len__(self) -> int:
        return self.facts.count

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.cumsum([0, *map(len, self.shards)])

    def _place(self, row: int) -> tuple[IndexRows, int]:
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self.shards[number], int(row - self._starts[number])

    def id(self, row: int) -> str:
        """The id of the image in a row."""
        shard, place = self._place(row)
        return shard.id(place)

    def stamp(self, row: int) -> tuple[int, ...]:
        """Its stamp: see `index_files`."""
        shard, place = self._place(row)
        return tuple(map(int, shard.stamps[place]))

    def embeddings(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Float32 [len(rows), e]."""
        places = np.asarray(rows, np.int64)
        found = np.empty((len(places), self.facts.embed_dim), np.float32)
        numbers = np.searchsorted(self._starts, places, side="right") - 1
        for number in np.unique(numbers):
            here = numbers == number
            found[here] = self.shards[number].embeddings[places[here] - self._starts[number]]
        return found

    def search(self, queries: np.ndarray, k: int) -> Hits:
        """The k nearest images of each query [q, e], exactly: see `top_k`."""
        return top_k(queries, self._embeddings_in_turn(), k)

    def _embeddings_in_turn(self) -> Iterator[np.ndarray]:
        """Of each shard. What was looked at is no longer counted as this process's memory.

        It stays in the system's cache of files, from where the next search maps it again.
        """
        for shard in self.shards:
            yield shard.embeddings
            mapped = getattr(shard.embeddings, "_mmap", None)  # of np.memmap
            if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
                mapped.madvise(mmap.MADV_DONTNEED)


def check_fingerprint(folder: Path, facts: IndexFacts, fingerprint: str) -> None:
    """Raise a ValueError where an index was made by another model than this one."""
    if facts.fingerprint != fingerprint:
        raise ValueError(
            f"{folder} was made by another model ({facts.model}, fingerprint "
            f"{facts.fingerprint[:8]}; this one has {fingerprint[:8]}): embeddings of two models "
            "cannot be compared. Give the model that made it, or build another index"
        )
