"""Find duplicate images: identical files, near duplicates, and nearly equal embeddings."""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipelines.inspection import perceptual_hashes
from pipelines.inspection.image_quality import is_blank
from pipelines.inspection.scan import Scan
from pipelines.inspection.suspects_table import Suspect

if TYPE_CHECKING:
    from dual_encoder import Hits

ALIKE = 0.92  # correlation of thumbnails of copies; of unrelated images with like hashes less

CLOSE = 0.15  # distance of copies, as a share of the usual distance of neighbours

NEIGHBOURS = 6

LONG = 60  # seconds of a search from which on they are said

_AT_ONCE = 1024  # queries, or pairs

Groups = list[list[int]]


def exact(scan: Scan) -> Groups:
    """Rows of images with the very same bytes."""
    rows = defaultdict(list)
    for row, digest in enumerate(scan.digests):
        rows[digest].append(row)
    return [group for group in rows.values() if len(group) > 1]


def near(scan: Scan) -> list[tuple[int, int]]:
    """Pairs of rows that are one image encoded, scaled or edited slightly otherwise.

    Hashes propose pairs, and the correlation of colour thumbnails decides. Of images with the
    same bytes the first stands for all; blank ones, which are all alike, are left out.
    """
    first: dict[bytes, int] = {}
    for row in np.flatnonzero(~is_blank(scan)).tolist():
        first.setdefault(scan.digests[row], row)
    rows = np.array(list(first.values()), int)
    if len(rows) < 2:
        return []
    pairs = rows[perceptual_hashes.near_pairs(scan.hashes[rows])]
    found: list[tuple[int, int]] = []
    for start in range(0, len(pairs), _AT_ONCE):
        a, b = pairs[start : start + _AT_ONCE].T
        alike = _correlations(scan.thumbnails[a], scan.thumbnails[b]) >= ALIKE
        found += zip(a[alike].tolist(), b[alike].tolist(), strict=True)
    return found


def _correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of images [p, ...] with those in the same places, float [p]."""
    x, y = (v.reshape(len(v), -1).astype(np.float64) for v in (a, b))
    x, y = (v - v.mean(axis=1, keepdims=True) for v in (x, y))
    lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    return np.einsum("pi,pi->p", x, y) / np.maximum(lengths, 1e-12)


def similar(embeddings: np.ndarray) -> list[tuple[int, int, float]]:
    """Pairs of rows that a model can hardly tell apart, and their cosine, by exact search.

    A pair is one whose distance is below `CLOSE` of the median distance from an image to its
    nearest neighbour, so that no cosine need be known of a model beforehand, and below `CLOSE` of
    the distance from either to its furthest of `NEIGHBOURS`: images of a class that a model maps
    to one point are near each other, and no copies.

    Args:
        embeddings: float32 [n, e], of unit length.
    """
    if len(embeddings) < 3:
        return []
    found = _neighbours(embeddings)
    scores, rows = (np.concatenate(parts) for parts in zip(*found, strict=True))
    own = np.arange(len(embeddings))[:, None]
    scores = np.where(rows == own, -1, scores)
    distances = np.sqrt(np.maximum(2 - 2 * scores, 0))
    around = np.where(rows == own, 0, distances).max(axis=1)
    usual = np.minimum(np.median(distances.min(axis=1)), np.minimum(around[:, None], around[rows]))
    pairs = {}
    for query, place in zip(*np.nonzero(distances < CLOSE * usual), strict=True):
        a, b = sorted((int(query), int(rows[query, place])))
        pairs[a, b] = float(scores[query, place])
    return [(a, b, cosine) for (a, b), cosine in sorted(pairs.items())]


def _neighbours(embeddings: np.ndarray) -> "list[Hits]":
    """The `NEIGHBOURS` of each row, a block of rows at a time.

    The time grows with the square of the rows; where it is long, the first block tells, and it is
    said.
    """
    import dual_encoder

    begun, found = time.perf_counter(), []
    for first in range(0, len(embeddings), _AT_ONCE):
        queries = embeddings[first : first + _AT_ONCE]
        found.append(dual_encoder.top_k(queries, [embeddings], NEIGHBOURS))
        seconds = (time.perf_counter() - begun) * len(embeddings) / len(queries)
        if first == 0 and seconds > LONG:
            print(
                f"comparing {len(embeddings):,} embeddings with each other: about "
                f"{seconds / 60:,.0f} min",
                flush=True,
            )
    return found


def joined(count: int, *pairs: Iterable[Sequence[int]]) -> np.ndarray:
    """Pairs (or longer groups) as a number of a group for each of `count` rows: int [count]."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    edges = [(group[0], other) for some in pairs for group in some for other in group[1:]]
    a, b = np.array(edges, int).reshape(-1, 2).T
    graph = coo_matrix((np.ones(len(a)), (a, b)), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def groups(count: int, pairs: Collection[Sequence[int]]) -> Groups:
    """Those of `count` rows that some pairs join, each with its rows ascending."""
    group_of, found = joined(count, pairs), defaultdict(list)
    for row in sorted({row for pair in pairs for row in pair}):
        found[int(group_of[row])].append(row)
    return list(found.values())


def suspects(
    scan: Scan,
    groups: Iterable[Sequence[int]],
    *,
    kind: str,
    say: Callable[[int, int], tuple[float, str]],
    names: Sequence[str],
) -> list[Suspect]:
    """All images of each group but one, which is of test if any is, or else not of train.

    So a benchmark's test images stay what they are, and their copies leave what is trained on.

    Args:
        groups: rows of the scan.
        kind: of the suspects.
        say: score and reason, of a row and the one that stays.
        names: of the classes.
    """
    found = []
    for group in groups:
        stays, *copies = sorted(group, key=lambda row: (_leaves(scan.splits[row]), row))
        for row in copies:
            score, why = say(row, stays)
            ours, theirs = scan.labels[row], scan.labels[stays]
            if ours != theirs and isinstance(ours, int) and isinstance(theirs, int):
                why += f"; labelled {names[ours]} here and {names[theirs]} there"
            found.append(Suspect(row, kind, score, why, stays))
    return found


def _leaves(split: str) -> int:
    """Of copies in several splits the one with the least stays."""
    return {"test": 0, "train": 2}.get(split, 1)


def across(scan: Scan, group_of: np.ndarray) -> dict[str, int]:
    """Images of a split that also stand in another: "test in train" -> how many, if any."""
    members = defaultdict(set)
    for row, group in enumerate(group_of.tolist()):
        members[group].add(scan.splits[row])
    counts: dict[str, int] = defaultdict(int)
    for row, group in enumerate(group_of.tolist()):
        for other in members[group] - {scan.splits[row]}:
            counts[f"{scan.splits[row]} in {other}"] += 1
    order = list(dict.fromkeys(scan.splits))
    return {
        f"{own} in {other}": counts[f"{own} in {other}"]
        for other in order
        for own in order
        if order.index(own) > order.index(other) and counts[f"{own} in {other}"]
    }
