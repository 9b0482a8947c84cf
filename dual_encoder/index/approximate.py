"""Approximate search with faiss, with measured recall.

Graphs: Malkov and Yashunin 2018 (arXiv:1603.09320). Inverted lists: Jegou et al. 2011. Candidates
come from half-precision copies and are re-ranked by the index's float32 embeddings, so scores
equal those of exact search. Only some results are missed: recall is measured when building.
"""

import mmap
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dual_encoder.index.exact_search import Hits, Index, checked_queries
from dual_encoder.index.files import check_whole
from duet import atomic_files, extras

EXACT_UP_TO = 1_000_000  # images; above this, exact search takes seconds

TARGET, AT = 0.95, 10  # recall@10 relative to exact search, by which the search effort is chosen

# Per kind: faiss's name of the search effort, and its smallest and largest value.
KINDS = {"hnsw": ("efSearch", 32, 2048), "ivf": ("nprobe", 4, 4096)}

_HELD_OUT = 200

FEWEST = 5 * _HELD_OUT  # images

_ADDED_AT_ONCE = 10_000


@dataclass(frozen=True, eq=False)
class Approximate:
    """A faiss index of the rows of `index`.

    Attributes:
        facts: `kind`, `file`, `effort` (see `KINDS`), and `recall_at_10` as measured at build
            time over `queries` queries.
        mapped: its file, if it is on disk.
    """

    index: Index
    facts: dict[str, Any]
    faiss_index: Any
    mapped: mmap.mmap | None = None

    @classmethod
    def open(cls, index: Index) -> "Approximate":
        """Opens the faiss index of `index`, memory-mapped.

        Raises:
            ValueError: there is none, it is damaged, or faiss is not installed.
            FileNotFoundError: its file is missing.
        """
        if index.facts.approximate is None:
            if len(index) < FEWEST:
                raise ValueError(f"{index.folder}: {_too_few(len(index))}")
            raise ValueError(
                f"{index.folder} has no index for approximate search; make one with: python -m "
                f"pipelines retrieve --build --search hnsw --index {index.folder}"
            )
        faiss, path = _faiss(), index.folder / index.facts.approximate["file"]
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing; build the index again")
        if index.facts.approximate.get("crc32", found := _checksum(path)) != found:
            raise ValueError(f"{path} is damaged (its checksum is another); delete it, build again")
        try:
            index_file = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError:
            raise ValueError(f"{path} is damaged; delete it and build the index again") from None
        if index_file.ntotal != len(index):
            raise ValueError(f"{path} is of {index_file.ntotal} images; build the index again")
        with open(path, "rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return cls(index, index.facts.approximate, index_file, mapped)

    def search(self, queries: np.ndarray, k: int) -> Hits:
        """Searches as `Index.search`; fills up with rows -1 and scores -inf if fewer than k.

        ValueError as of `top_k`.
        Raises CutShortError if one of the index's files got shorter since it was opened.
        """
        queries = checked_queries(queries, k, width=self.index.facts.embed_dim)
        check_whole(self.mapped)
        faiss, kind = _faiss(), self.facts["kind"]
        inner = faiss.downcast_index(self.faiss_index.index)
        setattr(inner.hnsw if kind == "hnsw" else inner, KINDS[kind][0], self.facts["effort"])
        _, rows = self.faiss_index.search(queries, min(k, len(self.index)))
        embeddings = self.index.embeddings(np.maximum(rows, 0).ravel()).reshape(*rows.shape, -1)
        scores = np.einsum("qe,qke->qk", queries, embeddings).astype(np.float32)
        scores[rows < 0] = -np.inf
        order = np.lexsort((rows, -scores))
        return Hits(*(np.take_along_axis(each, order, axis=1) for each in (scores, rows)))


def build_approximate(
    index: Index, kind: str, *, advance: Callable[[int], object] = lambda count: None
) -> Approximate:
    """Builds a faiss index of all rows, stores it beside them, and measures its recall.

    200 images, drawn with a fixed seed, are added last: before that they serve as queries, and the
    search effort is raised by quarters until recall@10 reaches 0.95. Queries that are in the index
    would overestimate recall, as the graph leads directly to them.

    Args:
        kind: "hnsw", a graph: fastest search, slow to build; or "ivf", inverted lists.
        advance: called with the number of rows added since the last call.

    Raises:
        ValueError: an unknown kind, fewer than 1,000 rows, or faiss is not installed.
    """
    check_approximate(kind, len(index))
    rng, built = np.random.default_rng(0), _trained(index, kind)
    held = np.sort(rng.choice(len(index), _HELD_OUT, replace=False))
    others = np.setdiff1d(np.arange(len(index)), held)
    for first in range(0, len(others), _ADDED_AT_ONCE):
        rows = others[first : first + _ADDED_AT_ONCE]
        built.add_with_ids(index.embeddings(rows), rows)
        advance(len(rows))
    file = f"approximate-{kind}.faiss"
    measured = _with_effort(Approximate(index, {"kind": kind, "file": file}, built), held)
    built.add_with_ids(index.embeddings(held), held)
    advance(len(held))
    with atomic_files.atomic(index.folder / file) as unfinished:
        _faiss().write_index(built, str(unfinished))
    approximate = {**measured.facts, "crc32": _checksum(index.folder / file)}
    facts = replace(index.facts, approximate=approximate)
    facts.write(index.folder)
    return replace(measured, index=replace(index, facts=facts), facts=approximate)


def check_approximate(kind: str, images: int) -> None:
    """Raises ValueError for an unknown kind of search, or one that so many images cannot have."""
    if kind not in KINDS:
        raise ValueError(f"search: expected one of exact, {', '.join(KINDS)}; got {kind!r}")
    if images < FEWEST:
        raise ValueError(f"search: {_too_few(images, kind)}")


def _too_few(images: int, kind: str = "approximate search") -> str:
    return (
        f"{kind} needs {FEWEST:,} images or more; there are {images:,}, few enough for exact search"
    )


def _checksum(path: Path) -> int:
    found = 0
    with open(path, "rb") as file:
        while part := file.read(1 << 20):
            found = zlib.crc32(part, found)
    return found


def recall(found: np.ndarray, exact: np.ndarray) -> float:
    """Returns the share of exact results [q, k] that are among the found ones [q, k]."""
    hits = [len(set(a) & set(b)) for a, b in zip(found.tolist(), exact.tolist(), strict=True)]
    return sum(hits) / exact.size


def _trained(index: Index, kind: str) -> Any:
    """Returns a trained, empty faiss index that stores rows with their numbers."""
    faiss, count = _faiss(), len(index)
    lists = max(1, min(4 * int(count**0.5), count // 40))
    recipe = "HNSW32_SQfp16" if kind == "hnsw" else f"IVF{lists},SQfp16"
    made = faiss.index_factory(index.facts.embed_dim, recipe, faiss.METRIC_INNER_PRODUCT)
    if kind == "hnsw":
        made.hnsw.efConstruction = 100
    drawn = np.random.default_rng(1).choice(count, min(count, 64 * lists), replace=False)
    made.train(index.embeddings(drawn))
    return faiss.IndexIDMap(made)


def _with_effort(candidate: Approximate, held: np.ndarray) -> Approximate:
    """Returns it with the smallest effort that reaches `TARGET`, and the measured recall."""
    queries, index = candidate.index.embeddings(held), candidate.index
    every = index.search(queries, AT + len(held)).rows
    exact = np.stack([row[~np.isin(row, held)][:AT] for row in every])
    _, effort, most = KINDS[candidate.facts["kind"]]
    while True:
        candidate = replace(candidate, facts={**candidate.facts, "effort": effort})
        reached = recall(candidate.search(queries, AT).rows, exact)
        if reached >= TARGET or effort >= most:
            measured = {"recall_at_10": round(reached, 4), "queries": len(held)}
            return replace(candidate, facts={**candidate.facts, **measured})
        effort += -(-effort // 4)


def _faiss() -> Any:
    try:
        import faiss
    except ModuleNotFoundError:
        raise ValueError(extras.missing("approximate search (faiss)", "faiss")) from None
    return faiss
