"""Escape file names that are not UTF-8, so that they can be stored as text."""

from __future__ import annotations

import re

_SURROGATE = re.compile("[\ud800-\udfff]")

_ESCAPED = re.compile(r"\\x([89a-f][0-9a-f])")


def escaped(name: str) -> str:
    r"""Returns the name with non-UTF-8 bytes written as `\xe9`; other names are unchanged.

    Python represents such bytes as lone surrogates (PEP 383), which UTF-8 files cannot store.
    Other lone surrogates (half a character) become `\ud83d`.
    """
    return _SURROGATE.sub(_written, name)


def _written(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def unescaped(name: str) -> str:
    """Returns the original file name of an `escaped` one."""
    if "\\x" not in name:
        return name
    parts = _ESCAPED.split(name)
    data = b"".join(
        bytes([int(part, 16)]) if i % 2 else part.encode() for i, part in enumerate(parts)
    )
    return data.decode("utf-8", "surrogateescape")
