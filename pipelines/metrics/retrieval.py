"""Retrieval metrics in both directions: pure functions of embeddings.

Notation: p images, c captions, e the embedding size; `owner` int [c] is the row of a caption's
image. As in CLIP_benchmark (`zeroshot_retrieval.py`), a query is answered if any of its right
answers is among the first k, since an image has several captions.
"""

from collections.abc import Sequence

import numpy as np

from pipelines.metrics.bootstrap import percentiles

RECALLS = (1, 5, 10)

HITS = 100  # as in the keras-io example

DIRECTIONS = ("text_to_image", "image_to_text")

#: The metrics of an evaluation, in display order.
METRICS = (
    *(f"{way}_{what}" for way in DIRECTIONS for what in ("recall1", "recall5", "recall10")),
    *(f"{way}_median_rank" for way in DIRECTIONS),
    "first_caption_hit100",
)

CHUNK_BYTES = 64 << 20  # similarities held at once


def ranks(
    queries: np.ndarray,
    gallery: np.ndarray,
    query_ids: np.ndarray,
    gallery_ids: np.ndarray,
    *,
    chunk_bytes: int = CHUNK_BYTES,
) -> np.ndarray:
    """Returns the rank of the first right answer to each query, from 1: int64 [q].

    Answers are sorted by their dot product with the query. Wrong answers rank before an equally
    similar right one: a model with constant embeddings finds nothing.

    Args:
        queries: float [q, e]; gallery: float [g, e].
        query_ids, gallery_ids: int [q] and [g]; an answer is right if they are equal.
        chunk_bytes: memory for similarities; at most about three times as much is used.

    Raises:
        ValueError: inconsistent shapes, non-finite numbers, or a query without a right answer.
    """
    _check(queries, gallery, query_ids, gallery_ids)
    rows = max(1, chunk_bytes // (4 * len(gallery)))
    order = np.argsort(gallery_ids, kind="stable")
    sorted_ids = gallery_ids[order]
    found = []
    for i in range(0, len(queries), rows):
        ids = query_ids[i : i + rows]
        first = np.searchsorted(sorted_ids, ids)
        right = np.searchsorted(sorted_ids, ids, side="right") - first  # answers of each query
        starts = np.cumsum(right) - right
        answers = order[np.arange(right.sum()) + np.repeat(first - starts, right)]
        found.append(_ranks(queries[i : i + rows] @ gallery.T, answers, right, starts))
    return np.concatenate(found)


def _ranks(
    similarity: np.ndarray, answers: np.ndarray, right: np.ndarray, starts: np.ndarray
) -> np.ndarray:
    """Returns the ranks of a few queries from their similarities [q, g].

    answers: columns of the right ones, query by query: `right` of each, from `starts` on.
    """
    row = np.repeat(np.arange(len(similarity)), right)
    own = similarity[row, answers]
    best = np.maximum.reduceat(own, starts)
    ahead = np.count_nonzero(similarity >= best[:, None], axis=1)
    return 1 + ahead - np.add.reduceat((own >= best[row]).astype(int), starts)


def both_ways(
    images: np.ndarray,
    captions: np.ndarray,
    owner: np.ndarray,
    *,
    distractors: np.ndarray | None = None,
    chunk_bytes: int = CHUNK_BYTES,
) -> dict[str, np.ndarray]:
    """Returns `ranks` by direction: captions among images [c], and images among captions [p].

    Args:
        images: float [p, e]; captions: float [c, e]; owner: int [c].
        distractors: float [d, e], additional images that match no caption.

    Raises:
        ValueError: see `ranks`; also for an image without captions.
    """
    numbers = np.arange(len(images))
    gallery, gallery_ids = images, numbers
    if distractors is not None:
        gallery = np.concatenate([images, distractors])
        gallery_ids = np.concatenate([numbers, np.full(len(distractors), -1)])
    return {
        "text_to_image": ranks(captions, gallery, owner, gallery_ids, chunk_bytes=chunk_bytes),
        "image_to_text": ranks(images, captions, numbers, owner, chunk_bytes=chunk_bytes),
    }


def recall(places: np.ndarray, k: int) -> float:
    """Returns the share of queries with a right answer among the first k."""
    return float(np.mean(places <= k))


def first_captions(owner: np.ndarray) -> np.ndarray:
    """Returns the row of each image's first caption: int [p]."""
    return np.unique(owner, return_index=True)[1]


def summary(found: dict[str, np.ndarray], owner: np.ndarray) -> dict[str, float]:
    """Returns the metrics of `METRICS` from the ranks of `both_ways`.

    `first_caption_hit100` follows the keras-io example "Natural language image search with a Dual
    Encoder": the share of images among the first 100 results of their first caption.
    """
    figures: dict[str, float] = {}
    for way in DIRECTIONS:
        figures |= {f"{way}_recall{k}": recall(found[way], k) for k in RECALLS}
        figures[f"{way}_median_rank"] = float(np.median(found[way]))
    first = found["text_to_image"][first_captions(owner)]
    figures["first_caption_hit100"] = recall(first, HITS)
    return {name: figures[name] for name in METRICS}


def intervals(
    found: dict[str, np.ndarray],
    owner: np.ndarray,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, list[float]]:
    """Returns [low, high] of every share of `summary`; medians have none.

    Percentile bootstrap over images together with their captions, whose results are correlated. {}
    for 0 resamples.
    """
    images = len(found["image_to_text"])
    captions = np.bincount(owner, minlength=images)  # per image
    hits, counts, names = [], [], []
    for way, per_query in (("text_to_image", owner), ("image_to_text", np.arange(images))):
        for k in RECALLS:
            hits.append(np.bincount(per_query, found[way] <= k, images))
            counts.append(captions if way == "text_to_image" else np.ones(images))
            names.append(f"{way}_recall{k}")
    hits.append(found["text_to_image"][first_captions(owner)] <= HITS)
    counts.append(np.ones(images))
    names.append("first_caption_hit100")
    top, bottom = np.stack(hits, axis=1).astype(float), np.stack(counts, axis=1).astype(float)
    return percentiles(
        lambda drawn: ((drawn @ top) / (drawn @ bottom)).tolist(),
        images,
        names=names,
        resamples=resamples,
        seed=seed,
    )


def top(queries: np.ndarray, gallery: np.ndarray, k: int) -> np.ndarray:
    """Returns the k best answers to a few queries, best first: int [q, k]."""
    return np.argsort(-(queries @ gallery.T), axis=1, kind="stable")[:, :k]


def _check(*arrays: np.ndarray) -> None:
    queries, gallery, query_ids, gallery_ids = arrays
    shapes: Sequence[tuple[int, ...]] = [array.shape for array in arrays]
    fit = (
        queries.ndim == gallery.ndim == 2
        and queries.shape[1] == gallery.shape[1]
        and query_ids.shape == queries.shape[:1]
        and gallery_ids.shape == gallery.shape[:1]
    )
    if not fit:
        raise ValueError(
            "expected queries [q, e], gallery [g, e], ids [q] and ids [g], received "
            + ", ".join(str(list(shape)) for shape in shapes)
        )
    if not len(queries):
        raise ValueError("expected at least one query; got none")
    for what, values in (("query", queries), ("gallery", gallery)):
        finite = np.isfinite(values).all(axis=1)
        if not finite.all():
            raise ValueError(f"{what} {int(np.argmin(finite))}: its embedding is not finite")
    answered = np.isin(query_ids, gallery_ids)
    if not answered.all():
        raise ValueError(f"query {int(np.argmin(answered))} has no right answer to be found")
