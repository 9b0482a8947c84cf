"""Search results: as data, as text for a terminal, and as a contact sheet."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from duet import name_list, regular_files

if TYPE_CHECKING:
    from dual_encoder import Hits, Index
    from tfrecords import ImageStore


GONE = "  (no longer there)"

SIDE = 256  # pixels of an image on a contact sheet


@dataclass(frozen=True)
class Query:
    """A query: a text, or an image file."""

    kind: str  # "text" or "image"
    text: str  # the text, or the file's path


@dataclass(frozen=True)
class Hit:
    """One result: its row in the index, its id, and its cosine with the query.

    `there` is False if the image has since been moved, deleted or changed.
    """

    rank: int
    row: int
    id: str
    score: float
    there: bool


@dataclass(frozen=True)
class Answer:
    """The results of one query, best first."""

    query: Query
    hits: tuple[Hit, ...]


def answers(
    queries: Sequence[Query], hits: "Hits", index: "Index", images: "ImageStore | None"
) -> list[Answer]:
    """Converts rows and scores [q, k] to answers."""

    def hit(rank: int, row: int, score: float) -> Hit:
        name = index.id(row)
        there = images is not None and images.has(name, index.stamp(row))
        return Hit(rank, row, readable(name), round(score, 6), there)

    found = []
    for query, scores, rows in zip(queries, *hits, strict=True):
        best = zip(rows.tolist(), scores.tolist(), strict=True)
        found.append(
            Answer(
                query,
                tuple(
                    hit(rank, row, score)
                    for rank, (row, score) in enumerate(best, start=1)
                    if row >= 0  # approximate search may return fewer
                ),
            )
        )
    return found


def readable(name: str) -> str:
    """Returns an id as printable text: file names may contain bytes that are not UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def document(found: Sequence[Answer], index: "Index", **more: Any) -> dict[str, Any]:
    """Returns the answers as plain data, for `--json`."""
    return {
        "schema": 2,
        "command": "retrieve",
        "index": str(index.folder),
        "model": index.facts.model,
        "images": len(index),
        **more,
        "answers": [asdict(answer) for answer in found],
    }


def lines(found: Sequence[Answer]) -> str:
    """Returns the answers as text for a terminal."""
    blocks = []
    for answer in found:
        width = len(str(len(answer.hits)))
        rows = [
            f"  {hit.rank:>{width}}  {hit.score:.3f}  {hit.id}{'' if hit.there else GONE}"
            for hit in answer.hits
        ]
        blocks.append("\n".join([answer.query.text, *rows]))
    return "\n\n".join(blocks)


def contact_sheet(
    found: Sequence[Answer],
    index: "Index",
    images: "ImageStore | None",
    *,
    max_pixels: int | None = None,
) -> str:
    """Returns a self-contained page with the images of every answer.

    `max_pixels`: see `tfrecords.thumbnail`.
    """
    from pipelines.reporting import page as reporting_page
    from pipelines.runs import results

    sheet = []
    for answer in found:
        cells = [
            {**asdict(hit), "uri": _uri(hit, index, images, max_pixels)} for hit in answer.hits
        ]
        asked = None
        if answer.query.kind == "image":
            asked = _small(regular_files.read_regular(answer.query.text), max_pixels)
        sheet.append({"query": answer.query, "asked": asked, "hits": cells})
    queries = f"{len(found)} queries" if len(found) > 1 else found[0].query.text
    return reporting_page.render(
        "contact_sheet.html.j2",
        title=f"{index.facts.model} on {index.facts.source['path']}",
        headline=f"{queries}, among {name_list.counted(len(index), 'image')}",
        answers=sheet,
        results={
            "command": "retrieve",
            "created": results.now(),
            "versions": results.versions(),
        },
    )


def _uri(
    hit: Hit, index: "Index", images: "ImageStore | None", max_pixels: int | None
) -> str | None:
    """Returns the image as a data URI; None if it has been removed."""
    import tfrecords

    if images is None or not hit.there:
        return None
    try:
        return _small(images.load(index.id(hit.row), index.stamp(hit.row)), max_pixels)
    except (OSError, tfrecords.UnreadableError):
        return None


def _small(data: bytes, max_pixels: int | None) -> str:
    import tfrecords
    from pipelines.reporting import page as reporting_page

    small = tfrecords.thumbnail(data, side=SIDE, max_pixels=max_pixels)
    return reporting_page.data_uri(small, "jpeg")
