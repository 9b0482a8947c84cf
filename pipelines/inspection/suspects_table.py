"""Suspicious images, as rows of `suspects.csv`."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

KINDS = {  # in the order of the page
    "exact-duplicate": "Exact duplicates",
    "near-duplicate": "Near duplicates",
    "similar": "The same to the model",
    "wrong-label": "Labels that look wrong",
    "blank": "Blank images",
    "tiny": "Tiny images",
    "blurred": "Blurred images",
    "odd-shape": "Very long or very tall images",
}

COLUMNS = ("file", "split", "kind", "score", "why", "other_file", "other_split")


@dataclass(frozen=True)
class Suspect:
    """One finding.

    Attributes:
        row: of the image in the scan.
        kind: one of `KINDS`.
        score: the larger, the surer; comparable within a kind alone.
        why: in a few words.
        other: row of the image that it is to be compared with; that one stays.
    """

    row: int
    kind: str
    score: float
    why: str
    other: int | None = None


def ordered(found: Sequence[Suspect]) -> list[Suspect]:
    """By kind, the most certain first."""
    kinds = list(KINDS)
    return sorted(found, key=lambda each: (kinds.index(each.kind), -each.score, each.row))


def table(found: Sequence[Suspect], files: Sequence[str], splits: Sequence[str]) -> str:
    """The CSV of suspects, which `prepare --exclude` takes.

    Args:
        found: suspects in the order wanted.
        files, splits: of every row of the scan.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for each in found:
        other = ("", "") if each.other is None else (files[each.other], splits[each.other])
        own = (files[each.row], splits[each.row], each.kind, f"{each.score:.4f}", each.why)
        rows.writerow((*own, *other))
    return text.getvalue()
