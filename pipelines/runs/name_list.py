"""Lists of names in a sentence, cut where they are long."""

from collections.abc import Sequence


def first_of(names: Sequence[str], most: int = 5) -> str:
    """Returns "a, b, c", and "a, b, ..." of more than `most`."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
