"""Names and counts in a sentence: lists, cut where long, and the nearest to a mistyped one."""

import difflib
from collections.abc import Iterable, Sequence


def first_of(names: Sequence[str], most: int = 5) -> str:
    """Returns "a, b, c", and "a, b and 5 more" of more than `most`."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def counted(count: int, noun: str) -> str:
    """Returns "1 image", "2,000 images", "3 classes"."""
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns "; did you mean NAME?", or "" where none is near."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
