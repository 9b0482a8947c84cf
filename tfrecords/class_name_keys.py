"""When two class names are one: what later steps would merge or confuse."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def name_key(name: str) -> str:
    """A class name without what spelling alone decides: equal for names that mean the same.

    Underscores and spaces of any kind, upper and lower case, and composed and decomposed letters
    (Unicode's NFC and NFD) make no difference.
    """
    folded = unicodedata.normalize("NFC", name).casefold().replace("_", " ")
    return " ".join(unicodedata.normalize("NFC", folded).split())


def merged(names: Sequence[str]) -> list[tuple[str, ...]]:
    """The groups of two or more names that have the same key, in order."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name_key(name), []).append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def by_number(names: Sequence[str]) -> list[str]:
    """Names in order; by value where they differ in one number alone, as 2 before 10."""
    numbers = _numbers(names)
    if numbers is None:
        return sorted(names)
    return [name for _, name in sorted(zip(numbers, names, strict=True))]


def _numbers(names: Sequence[str]) -> list[int] | None:
    """The number in each name, if all else in them is the same."""
    parts = [_around_digits(name) for name in names]
    if len({(before, after) for before, _, after in parts}) != 1:
        return None
    if not all(digits for _, digits, _ in parts):
        return None
    return [int(digits) for _, digits, _ in parts]


def _around_digits(name: str) -> tuple[str, str, str]:
    first = next((i for i, c in enumerate(name) if c in "0123456789"), len(name))
    last = first
    while last < len(name) and name[last] in "0123456789":
        last += 1
    return name[:first], name[first:last], name[last:]
