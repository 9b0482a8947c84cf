"""Read the examples of a WebDataset shard: the members of a tar file with the same stem."""

from __future__ import annotations

import os
import posixpath
import tarfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tfrecords.images.formats import IMAGE_SUFFIXES
from tfrecords.non_utf8_names import escaped
from tfrecords.sources.walk import is_left_out, why_left_out
from tfrecords.text_files import parse_json

CAPTION = ("txt", "text", "caption")

LABEL = ("cls", "label")

Place = tuple[str, int, int]  # tar file, offset and number of a member's bytes

_CHUNK = 1 << 20

_MOST_LINKS = 40  # one after another, as Linux follows them


@dataclass(frozen=True)
class Found:
    """The parts of one example in a shard; `fault` says which text of it cannot be read.

    lines: whether the captions are the lines of one text.
    texts: whether the captions are those of texts, before which those of JSON stand back.
    other: whether another label stands beside `label`.
    """

    image: Place | None = None
    ending: str = ""
    captions: tuple[str, ...] = ()
    lines: bool = False
    texts: bool = False
    label: str | None = None
    other: bool = False
    fault: str = ""


def examples(shard: Path, passed: Counter[str]) -> dict[str, Found]:
    """Returns the examples of a shard by key: the members' name without its extension.

    WebDataset's own keys end at the first dot. So `1.left.jpg` belongs to `1.txt`, and of
    `v2.1.jpg` and `v2.2.jpg`, which WebDataset cannot tell apart, each to its own text. A link is
    the file that it leads to; those that lead to none are counted in `passed`.
    """
    found: dict[str, Found] = {}
    try:
        with tarfile.open(shard, "r:") as tar:
            members = tar.getmembers()
            named = {member.name: member for member in members}
            for member in members:
                parts = member.name.removeprefix("./").split("/")
                if left_out := [part for part in parts if is_left_out(part)]:
                    if not member.isdir():
                        passed[why_left_out(left_out[0])] += 1
                    continue
                key, ending = os.path.splitext(member.name)
                if member.islnk() or member.issym():
                    if (target := _target(named, member)) is None:
                        passed["links to no file of their shard"] += 1
                        continue
                    member = target
                if not member.isfile():
                    continue
                before = found.get(key, Found())
                found[key] = _with(before, tar, member, ending.lower().removeprefix("."), shard)
            _check_end(shard, tar.offset)
    except tarfile.TarError as error:
        raise ValueError(f"{shard} is no tar file that can be read (unpack .gz): {error}") from None
    return _joined(shard, found)


def _joined(shard: Path, found: dict[str, Found]) -> dict[str, Found]:
    """Gives an image called `1.left.jpg`, without a text of its own, the texts of `1`."""
    joined = dict(found)
    for key, parts in found.items():
        folder, slash, base = key.rpartition("/")
        short = f"{folder}{slash}{base.partition('.')[0]}"
        if short == key or parts.image is None or parts != Found(parts.image, parts.ending):
            continue
        texts = joined.pop(short, None)
        if texts is None and short not in found:
            continue
        if texts is None or texts.image is not None:
            raise ValueError(f"{shard}: {key}.{parts.ending} is a second image of its example")
        joined[key] = replace(texts, image=parts.image, ending=parts.ending)
    return joined


def _target(
    named: Mapping[str, tarfile.TarInfo], member: tarfile.TarInfo
) -> tarfile.TarInfo | None:
    """Returns the file that a link leads to, among those of the same archive."""
    for _ in range(_MOST_LINKS):
        name = member.linkname
        if member.issym():
            name = posixpath.normpath(posixpath.join(posixpath.dirname(member.name), name))
        found = named.get(name) or named.get(f"./{name}")
        if found is None:
            return None
        member = found
        if not member.islnk() and not member.issym():
            return member if member.isfile() else None
    return None


def _check_end(shard: Path, end: int) -> None:
    """Raises ValueError unless the block of zeros that ends every tar file comes next, and last.

    `tarfile` takes a file that was cut off between two members for a whole one, and reads the first
    of two that were put together, as by `cat`.
    """
    with open(shard, "rb") as file:
        file.seek(max(0, end - tarfile.BLOCKSIZE))
        if not file.read(2 * tarfile.BLOCKSIZE).count(bytes(tarfile.BLOCKSIZE)):
            raise ValueError(f"{shard} is cut off: a tar file ends with a block of zeros")
        while rest := file.read(_CHUNK):
            if rest.strip(b"\0"):
                raise ValueError(f"{shard}: expected one tar file; more follows its end")


def _with(
    parts: Found, tar: tarfile.TarFile, member: tarfile.TarInfo, ending: str, shard: Path
) -> Found:
    if f".{ending}" in IMAGE_SUFFIXES:
        if parts.image is not None:
            raise ValueError(f"{shard}: {member.name} is a second image of its example")
        return replace(parts, image=(str(shard), member.offset_data, member.size), ending=ending)
    if ending not in (*CAPTION, *LABEL, "json"):
        return parts
    file = tar.extractfile(member)
    try:
        return _with_text(parts, file.read().decode("utf-8-sig") if file else "", ending)
    except UnicodeDecodeError:
        reason = "not UTF-8"
    except ValueError as error:
        reason = str(error)
    return replace(parts, fault=f"{shard.name}: {escaped(member.name)}: {reason}")


def _with_text(parts: Found, text: str, ending: str) -> Found:
    """Adds the captions and the label of a text member; ValueError if it has neither's form."""
    if ending in LABEL:
        if not text.strip():
            raise ValueError("expected a label; it is empty")
        own = text.strip()
        return replace(parts, label=own, other=parts.other or _differs(parts.label, own))
    if ending != "json":
        lines, before = _texts(text.splitlines()), parts.captions if parts.texts else ()
        captions = (*before, *(line for line in lines if line not in before))
        is_list = parts.lines or len(lines) > 1
        return replace(parts, captions=captions, lines=is_list, texts=True)
    document = parse_json(text, name="it")
    document = document if isinstance(document, dict) else {}
    said = next((document[k] for k in ("caption", "text") if document.get(k) is not None), ())
    label = next((document[k] for k in LABEL if document.get(k) is not None), None)
    if isinstance(label, dict | list):
        raise ValueError(f"expected a label; got {label!r:.60}")
    return replace(
        parts,
        captions=parts.captions or _texts(said),
        label=str(label) if parts.label is None and label is not None else parts.label,
        other=parts.other or (label is not None and _differs(parts.label, str(label))),
    )


def _differs(label: str | None, other: str) -> bool:
    """Whether two labels are two classes; a name beside a number may be the same."""
    kinds = {text.strip().replace(".", "").isdecimal() for text in (label or other, other)}
    return label is not None and len(kinds) == 1 and label.strip() != other.strip()


def _texts(value: Any) -> tuple[str, ...]:
    several = value if isinstance(value, list | tuple) else [value]
    if any(isinstance(each, dict | list) for each in several):
        raise ValueError(f"expected a caption or a list of captions; got {value!r:.60}")
    plain = (" ".join(str(each).split()) for each in several if each is not None)
    return tuple(text for text in plain if text)
