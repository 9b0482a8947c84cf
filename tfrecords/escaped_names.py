"""File names that are not UTF-8, as Python reads them and as text that can be stored anywhere."""

from __future__ import annotations

import re

_ESCAPED = re.compile(r"\\x([89a-f][0-9a-f])")


def escaped(name: str) -> str:
    r"""The name with bytes that are not UTF-8 as `\xe9`; any other name as it is.

    Python stands such bytes as lone surrogates into a name (PEP 383), which no file takes. Other
    lone surrogates become `\ud83d`.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        # fsencode only knows surrogates of PEP 383; those beyond them stay as they are until then.
        data = name.encode("utf-8", "surrogatepass" if _has_others(name) else "surrogateescape")
        return data.decode("utf-8", "backslashreplace")
    return name


def unescaped(name: str) -> str:
    """The name that `escaped` made this of, for looking up a file."""
    if "\\x" not in name:
        return name
    parts = _ESCAPED.split(name)
    data = b"".join(
        bytes([int(part, 16)]) if i % 2 else part.encode() for i, part in enumerate(parts)
    )
    return data.decode("utf-8", "surrogateescape")


def _has_others(name: str) -> bool:
    """Whether there are lone surrogates that are no byte of PEP 383."""
    return any("\ud800" <= c <= "\udfff" and not "\udc80" <= c <= "\udcff" for c in name)
