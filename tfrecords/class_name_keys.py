"""Compare class names: detect spellings that mean the same class, and sort numbered names."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

from tfrecords.text_files import misread

# Underscores are spaces; zero-width space and joiner, byte order mark and soft hyphen are nothing;
# what word processors and keyboards of East Asia write for ASCII's quotes, hyphens and letters.
_SAME = {
    ord("_"): " ",
    **dict.fromkeys((0x200B, 0x2060, 0xFEFF, 0xAD)),
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
    **dict.fromkeys(map(ord, "\u2018\u2019\u00b4`"), "'"),
    **dict.fromkeys(map(ord, "\u201c\u201d"), '"'),
    **dict.fromkeys(range(0x2010, 0x2016), "-"),
}

# Of WordNet, as ImageNet's folders are called, and what libraries write for classes without names.
_CODE = re.compile(r"n\d{8}|(?:class|label|category|cls|id)[_ -]?\d+", re.IGNORECASE)

# In front of names: `001.Laysan_Albatross`, `n02085620-Chihuahua`; but `2 doors` is a name.
_CODE_BEFORE = re.compile(r"(?:n\d{8}[ ._-]|\d+[._]|0\d+[ -])\s*\D.*", re.DOTALL)

# What tools write of images that nobody has labelled, and NumPy of a cell that is missing.
_NONE = frozenset(
    (
        *("-", "?", "n/a", "na", "nan", "newfolder", "nolabel", "none", "notlabeled", "null"),
        *("undefined", "unlabeled", "unlabelled", "untitledfolder"),
    )
)

# What file managers and augmentation call a folder beside another one.
_COPY = re.compile(
    r"(.+?)(?:(?:[ _]?- ?| |_)(?:copy|copie|kopie|copia|aug|augmented)(?: ?\(?\d+\)?)?| \(\d+\))",
    re.IGNORECASE,
)

# Lines of lists that have more in them than a name: its place, quotes, or another column.
_PLACES = (
    re.compile(r"(?P<place>\d+)\W+(?P<name>\w.*)", re.DOTALL),  # `0 cat`, `1: dog`
    re.compile(r"(?P<name>.*\w)[^\w(]+(?P<place>\d+)", re.DOTALL),  # `cat 0`, `dog,1`
)

_QUOTED = re.compile(r"""(['"]).*\1[,;]?""")

_BETWEEN_LETTERS = re.compile(r"(?<=[^\W\d])-(?=[^\W\d])")

_WHOLE_NUMBER = re.compile(r"(-?)0*(\d+)(?:\.0+)?", re.ASCII)  # 007, and 7.0 as pandas writes it

_QUANTITY = re.compile(r"(-?\d+(?:\.\d+)?)(\D*)", re.ASCII)  # -5, 0.5, 10 %


def name_key(name: str) -> str:
    """Returns a key that is equal for different spellings of the same class name.

    Ignores case, underscore, space or hyphen between words, repeated spaces, invisible characters,
    typographic quotes, the Unicode form (NFC or NFD, fullwidth), and how a whole number is written.
    """
    folded = unicodedata.normalize("NFC", name).translate(_SAME).casefold()
    spaced = _BETWEEN_LETTERS.sub(" ", unicodedata.normalize("NFC", folded))
    key = " ".join(spaced.split())
    number = _WHOLE_NUMBER.fullmatch(key)
    return number[1] + number[2] if number else key


def merged(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Returns the groups of two or more names with the same `name_key`, in order."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name_key(name), []).append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def refuse_merged(names: Sequence[str], *, where: object) -> None:
    """Raises ValueError if differently spelt names mean the same class."""
    for group in merged(names):
        if len(set(group)) > 1:
            seen = " and ".join(told_apart(list(dict.fromkeys(group))))
            raise ValueError(f"{where}: several classes mean the same name: {seen}")


def told_apart(names: Sequence[str]) -> list[str]:
    """Returns names for a message, with escapes where two look the same."""
    looks = Counter(map(_look, names))
    return [ascii(name) if looks[_look(name)] > 1 else name for name in names]


def _look(name: str) -> str:
    """Returns what is seen of a name: letters however they are composed, and spaces as one."""
    seen = (c for c in unicodedata.normalize("NFC", name) if c.isprintable() or c.isspace())
    return " ".join("".join(seen).split())


def said_twice(names: Sequence[str]) -> list[str]:
    """Returns a note for each name of several classes, as some published lists have."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    return [f"several classes are called {name}: --allow-equal-names" for name in twice]


def made_of_others(names: Sequence[str], *, between: str) -> list[str]:
    """Returns a note if labels seem to be several each, divided by another sign than `between`.

    Their parts are labels themselves, or, where a comma, a semicolon or a line end divides them,
    parts of two; or words, one or more in a label, of which there are twice as many labels.
    """
    known, made = set(names), []
    for sign in ",;\n /+&":
        parts_of = {name: [part.strip() for part in name.split(sign)] for name in names}
        often = Counter(part for parts in parts_of.values() for part in set(parts))
        counts = {len(parts) for parts in parts_of.values()}
        words = sign == " " and (len(counts) == 1 or 2 * len(often) > len(names))
        numbers = sign == " " and all(map(str.isdecimal, often))
        alone = (words and not numbers) or sign in "/+&"  # which names have in them, too
        shared = known | {part for part, n in often.items() if n > 1 and not alone}
        made += [n for n, parts in parts_of.items() if len(parts) > 1 and shared.issuperset(parts)]
    several = f"; several are divided by {between!r}, or --label-separator" if between else ""
    shown = ", ".join(" ".join(name.split()) for name in made[:3])
    return [f"labels made of others: {shown}{several}"] if made else []


def say_little(names: Sequence[str]) -> list[str]:
    """Returns notes on names that are codes, as a text model cannot read them, or say none."""
    notes, shown = [], ", ".join(names[:3])
    if names and all(map(_WHOLE_NUMBER.fullmatch, names)):
        notes.append(
            f"classes have numbers for names ({shown}): where these stand for others, "
            f"--class-names says which"
        )
    elif names and all(map(_CODE.fullmatch, names)):
        notes.append(f"classes have codes for names ({shown}): --class-names says what they are")
    elif names and all(map(_CODE_BEFORE.fullmatch, names)):
        notes.append(f"class names begin with codes ({shown}): --class-names says them without")
    elif more_than_name(names):
        notes.append(
            f"class names have numbers or quotes ({shown}): --class-names says them without"
        )
    numbers = [name for name in names if _WHOLE_NUMBER.fullmatch(name)]
    words = [name for name in names if len(name) > 1 and any(map(str.isalpha, name))]
    if numbers and words:
        notes.append(f"classes that are numbers beside names: {', '.join(numbers[:3])}")
    none = [name for name in names if name_key(name).replace(" ", "") in _NONE]
    if [name for name in names if name.startswith("-")] == ["-1"]:  # beside 0, 1, ...
        none.append("-1")
    if none:
        notes.append(f"classes whose names say that there is none: {', '.join(none)}")
    known = set(map(name_key, names))
    copies = [n for n in names if (copy := _COPY.fullmatch(n)) and name_key(copy[1]) in known]
    if copies:
        notes.append(f"classes called like copies of others: {', '.join(copies[:3])}")
    if broken := {name: read for name in names if (read := misread(name)) != name}:
        shown = ", ".join(f"{name} ({read})" for name, read in list(broken.items())[:3])
        notes.append(f"classes whose names were UTF-8, read in another encoding: {shown}")
    return notes


def more_than_name(lines: Sequence[str]) -> str | None:
    """Returns the first line of a list of names that has its place, quotes or a column in it, or
    None.

    Places are numbers from 0 or 1, each once, and the names around them differ: `zone 1` and
    `zone 2` are names.
    """
    count = len(lines)
    marked = [line for line in lines if _QUOTED.fullmatch(line) or "\t" in line]
    if count > 1 and all(line.endswith((",", ";")) for line in lines[:-1]):
        marked = [*lines]
    for pattern in _PLACES:
        found = [match for line in lines if (match := pattern.fullmatch(line))]
        places = sorted(int(match["place"]) for match in found)
        counted = places in ([*range(count)], [*range(1, count + 1)])
        if counted and len({match["name"] for match in found}) > 1:
            marked = [*lines]
    return next(iter(marked), None)


def by_number(names: Sequence[str]) -> list[str]:
    """Sorts names; by their first number (2 before 10) if nothing differs before it, and in
    nothing else (`fold 2`, -5, 0.25) or no number is there twice (`2.dog`)."""
    quantities = [found for name in names if (found := _QUANTITY.fullmatch(name))]
    if len(quantities) == len(names) and len({found[2] for found in quantities}) == 1:
        ordered = sorted(quantities, key=lambda found: (Decimal(found[1]), found[0]))
        return [found[0] for found in ordered]
    numbers = _numbers(names)
    if numbers is None:
        return sorted(names)
    return [name for _, name in sorted(zip(numbers, names, strict=True))]


def _numbers(names: Sequence[str]) -> list[int] | None:
    """Returns the number in each name, or None if the names are not in the order of these."""
    parts = [_around_digits(name) for name in names]
    if len({before for before, _, _ in parts}) != 1 or not all(digits for _, digits, _ in parts):
        return None
    numbers = [int(digits) for _, digits, _ in parts]
    alike = len({after for _, _, after in parts}) == 1
    return numbers if alike or len(set(numbers)) == len(numbers) else None


def _around_digits(name: str) -> tuple[str, str, str]:
    first = next((i for i, c in enumerate(name) if c in "0123456789"), len(name))
    last = first
    while last < len(name) and name[last] in "0123456789":
        last += 1
    return name[:first], name[first:last], name[last:]
