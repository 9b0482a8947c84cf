"""Locate the members of a zip archive, and check its directory.

The format is PKWARE's APPNOTE 6.3, as far as torch writes it: stored or deflated, one disk, no
comment, zip64 or not.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

MOST_MEMBERS = 100_000
MOST_DIRECTORY = 32 << 20  # bytes
STORED, DEFLATED = 0, 8
SECRET = 0x1 | 0x40 | 0x2000  # flags of members and directories that are encrypted
UNSAID = 0xFFFF_FFFF  # where the number is in an extra field of zip64
ZIP64 = 1
END = struct.Struct("<4s4H2LH")
END64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR = struct.Struct("<4sLQL")
ENTRY = struct.Struct("<4s6H3L5H2L")
LOCAL = struct.Struct("<4s5H3L2H")
SIGNATURES = {
    END: b"PK\5\6", END64: b"PK\6\6", LOCATOR: b"PK\6\7", ENTRY: b"PK\1\2", LOCAL: b"PK\3\4",
}  # fmt: skip


@dataclass(frozen=True)
class Member:
    """One member of an archive.

    Attributes:
        name: in the directory.
        header: place of its header in the archive.
        start: place of its bytes.
        stop: place of the first byte after them.
        size: how many bytes they are once inflated.
        deflated: whether they have to be.
    """

    name: str
    header: int
    start: int
    stop: int
    size: int
    deflated: bool


def members(archive: memoryview) -> dict[str, Member]:
    """The members of an archive by name.

    Raises:
        ValueError: the directory is cut off or damaged, or a member is encrypted, lies about its
            size, shares a name or bytes with another, or has a name that leads out of a folder.
    """
    directory, count = _directory(archive)
    found: dict[str, Member] = {}
    for member in _entries(archive, directory, count):
        _check_name(member.name)
        if member.name in found:
            raise ValueError(f"has two members {member.name!r}")
        found[member.name] = member
    order = sorted(found.values(), key=lambda member: member.header)
    ends = [member.header for member in order[1:]] + [directory.start]
    for member, after in zip(order, ends, strict=True):
        if member.stop > after:
            raise ValueError(f"member {member.name!r} reaches into the next one")
    return found


def content(archive: memoryview, member: Member, *, most: int) -> bytes:
    """What a member holds, inflated.

    Raises:
        ValueError: more than `most` bytes, or other bytes than the directory says.
    """
    if max(member.size, member.stop - member.start) > most:
        raise ValueError(f"member {member.name!r} has {member.size} bytes; expected at most {most}")
    held = bytes(archive[member.start : member.stop])
    if member.deflated:
        try:
            held = zlib.decompressobj(-zlib.MAX_WBITS).decompress(held, member.size + 1)
        except zlib.error as error:
            raise ValueError(f"member {member.name!r} is damaged ({error})") from error
    if len(held) != member.size:
        raise ValueError(f"member {member.name!r} is not of the {member.size} bytes that it says")
    return held


def _directory(archive: memoryview) -> tuple[range, int]:
    """Where the directory is, and how many entries it has."""
    end = len(archive) - END.size
    if end < 0 or bytes(archive[end : end + 4]) != SIGNATURES[END]:
        raise ValueError("has no zip directory at its end; is the file whole?")
    _, _, _, _, count, size, offset, comment = END.unpack_from(archive, end)
    locator = end - LOCATOR.size
    if locator >= 0 and bytes(archive[locator : locator + 4]) == SIGNATURES[LOCATOR]:
        end = LOCATOR.unpack_from(archive, locator)[2]
        *_, count, size, offset = _unpack(END64, archive, end)
    if comment:
        raise ValueError("its zip directory is damaged")
    if count > MOST_MEMBERS or size > MOST_DIRECTORY:
        raise ValueError(f"has {count} members; expected at most {MOST_MEMBERS}")
    return range(offset, offset + size), count


def _entries(archive: memoryview, directory: range, count: int) -> Iterator[Member]:
    at = directory.start
    for _ in range(count):
        fields = _unpack(ENTRY, archive, at)
        flags, method, packed, size = fields[3], fields[4], fields[8], fields[9]
        lengths, header = fields[10:13], fields[16]
        name_end = at + ENTRY.size + lengths[0]
        extra_end = name_end + lengths[1]
        at += ENTRY.size + sum(lengths)
        if at > directory.stop:
            raise ValueError("its zip directory is damaged")
        name = bytes(archive[name_end - lengths[0] : name_end])
        numbers = _long(bytes(archive[name_end:extra_end]), size, packed, header)
        yield _member(archive, name, flags, method, *numbers)
    if at != directory.stop:
        raise ValueError("its zip directory is damaged")


def _long(extra: bytes, *numbers: int) -> list[int]:
    """The numbers, those that do not fit 32 bits from the extra field of zip64."""
    if UNSAID not in numbers:
        return list(numbers)
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        field = extra[at + 4 : at + 4 + length]
        if kind == ZIP64 and len(field) >= 8 * numbers.count(UNSAID):
            longer = iter(struct.unpack_from(f"<{len(field) // 8}Q", field))
            return [next(longer) if number == UNSAID else number for number in numbers]
        at += 4 + length
    raise ValueError("its zip directory is damaged")


def _member(
    archive: memoryview, name: bytes, flags: int, method: int, size: int, packed: int, header: int
) -> Member:
    text = name.decode("utf-8")
    if flags & SECRET:
        raise ValueError(f"member {text!r} is encrypted")
    if method not in (STORED, DEFLATED):
        raise ValueError(f"member {text!r} is packed by method {method}; expected 0 or 8")
    if method == STORED and packed != size:
        raise ValueError(f"member {text!r} is not of the {size} bytes that it says")
    *_, name_length, extra_length = _unpack(LOCAL, archive, header)
    start = header + LOCAL.size + name_length + extra_length
    if bytes(archive[header + LOCAL.size :][:name_length]) != name:
        raise ValueError(f"member {text!r} has another name at its place")
    return Member(text, header, start, start + packed, size, method == DEFLATED)


def _check_name(name: str) -> None:
    if name.startswith("/") or ".." in name.split("/") or "\\" in name or "\0" in name:
        raise ValueError(f"has a member {name!r}, which is no name in a folder")


def _unpack(layout: struct.Struct, archive: memoryview, at: int) -> tuple:
    if at + layout.size > len(archive):
        raise ValueError("its zip directory is damaged")
    fields = layout.unpack_from(archive, at)
    if fields[0] != SIGNATURES[layout]:
        raise ValueError("its zip directory is damaged")
    return fields
