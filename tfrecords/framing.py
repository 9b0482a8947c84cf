"""Read and write the TFRecord file format: length, checksum, data, checksum per record.

Implemented here on a CRC library, so that writing shards and reading those of TensorFlow
Datasets do not import TensorFlow. The format is described at
https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import google_crc32c

_HEADER = struct.Struct("<QI")  # length of the data, masked checksum of those eight bytes

_FOOTER = struct.Struct("<I")  # masked checksum of the data


def frame(data: bytes) -> bytes:
    """Returns one record in TFRecord format: header, data and footer."""
    length = struct.pack("<Q", len(data))
    return b"".join([length, _checksum(length), data, _checksum(data)])


def read_records(path: str | Path, start: int, stop: int) -> Iterator[bytes]:
    """Yields records `start` to `stop` of an uncompressed TFRecord file, seeking over earlier ones.

    Raises ValueError, naming file and record, if the file is damaged or truncated.
    """
    return records_at(path, range(start, stop))


def records_at(path: str | Path, places: Sequence[int]) -> Iterator[bytes]:
    """Yields the records at ascending places of such a file in one pass, seeking over others.

    Raises ValueError as `read_records`.
    """
    wanted = iter(places)
    next_one = next(wanted, None)
    with open(path, "rb") as file:
        for index in itertools.count():
            if next_one is None:
                return
            header = file.read(_HEADER.size)
            if len(header) < _HEADER.size or _checksum(header[:8]) != header[8:]:
                raise ValueError(f"{path} is damaged: no whole record {index}")
            length, _ = _HEADER.unpack(header)
            if index < next_one:
                file.seek(length + _FOOTER.size, 1)
                continue
            data = file.read(length)
            if _checksum(data) != file.read(_FOOTER.size):
                raise ValueError(f"{path} is damaged: record {index} does not match its checksum")
            yield data
            next_one = next(wanted, None)


def _checksum(data: bytes) -> bytes:
    """Returns TFRecord's masked CRC-32C; the mask keeps checksums of checksums meaningful."""
    crc = google_crc32c.value(data)
    return _FOOTER.pack(((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
