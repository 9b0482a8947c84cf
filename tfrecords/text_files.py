"""Read text and JSON files in UTF-8 or UTF-16; report other encodings."""

from __future__ import annotations

import codecs
import json
import re
from pathlib import Path
from typing import Any

# Longer byte order marks first: UTF-32's begins like UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

# In a text that was put together from files, each with its own.
_BEGINNING_MARKS = re.compile("^\ufeff+", re.MULTILINE)

# The first two bytes of a letter beyond ASCII, as Windows-1252 has them.
_MISREAD = re.compile("[\u00c2-\u00f4][\u0080-\u00bf\u0152-\u0192\u02c6-\u2122]")

_SHOWN = 20  # characters shown around the invalid byte


def read_text(path: str | Path) -> str:
    """Returns the text of a file in UTF-8, with or without a byte order mark, or in UTF-16.

    Raises:
        OSError: it cannot be read.
        ValueError: it is in another encoding; the message names the line.
    """
    data = Path(path).read_bytes()
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), _unmarked(data))
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text in UTF-8: {_wrong(data, error)}") from None
    text = _BEGINNING_MARKS.sub("", text)
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise ValueError(f"{path} is not a text in UTF-8: line {line} has a zero byte in it")
    return text


def misread(text: str) -> str:
    """Returns what a text was before its UTF-8 was read as Windows-1252 or Latin-1 (`cafÃ©`)."""
    if not _MISREAD.search(text):
        return text
    for encoding in ("cp1252", "latin-1"):
        try:
            return text.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
    return text


def read_lines(path: str | Path) -> list[str]:
    """Returns the non-empty lines of a text file, stripped."""
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]


def read_json(path: str | Path) -> Any:
    """Returns the parsed content of a JSON file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not JSON, or an object in it has a duplicate key.
    """
    return parse_json(read_text(path), name=str(path))


def parse_json(text: str, *, name: str) -> Any:
    """Parses JSON text as `read_json` does; `name` identifies it in error messages.

    What Python writes for a value that pandas lacks, NaN, is null.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=lambda _: None)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name} is not JSON: {error}") from None
    except RecursionError:
        raise ValueError(f"{name} is nested too deep to be read") from None
    except ValueError as error:  # a duplicate key, or a number with too many digits
        raise ValueError(f"{name}: {error}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"expected each key of an object once; {twice!r} is there twice")
    return result


def _unmarked(data: bytes) -> str:
    """Detects UTF-16 without a mark: most byte pairs contain a zero, in UTF-8 none does."""
    pairs = len(data) // 2
    for zeros, encoding in ((data[1::2], "utf-16-le"), (data[::2], "utf-16-be")):
        if pairs and zeros.count(0) > 0.7 * pairs and len(data) % 2 == 0:
            return encoding
    return "utf-8"


def _wrong(data: bytes, error: UnicodeDecodeError) -> str:
    line = data[: error.start].count(b"\n") + 1
    begin = max(data.rfind(b"\n", 0, error.start) + 1, error.start - _SHOWN)
    ends = [at for at in (data.find(b"\n", error.start), error.start + _SHOWN) if at >= 0]
    around = data[begin : min(ends)].decode("cp1252", "replace").strip()
    reason = f"line {line} has the byte 0x{data[error.start]:02x}" if data[error.start :] else ""
    return (
        f"{reason or error.reason}, which would be {around!r} in Windows-1252; "
        f"save the file as UTF-8"
    )
