"""File names that are not UTF-8, as Python reads them and as text that can be stored anywhere."""

from __future__ import annotations

import re

_SURROGATE = re.compile("[\ud800-\udfff]")

_ESCAPED = re.compile(r"\\x([89a-f][0-9a-f])")


def escaped(name: str) -> str:
    r"""The name with bytes that are not UTF-8 as `\xe9`; any other name as it is.

    Python stands such bytes as lone surrogates into a name (PEP 383), which no file takes. Other
    lone surrogates, halves of a character, become `\ud83d`.
    """
    return _SURROGATE.sub(_written, name)


def _written(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def unescaped(name: str) -> str:
    """The name that `escaped` made this of, for looking up a file."""
    if "\\x" not in name:
        return name
    parts = _ESCAPED.split(name)
    data = b"".join(
        bytes([int(part, 16)]) if i % 2 else part.encode() for i, part in enumerate(parts)
    )
    return data.decode("utf-8", "surrogateescape")
