"""Check shards against the manifest, and find the damaged record."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tfrecords.framing import read_records
from tfrecords.manifest import Manifest, ShardInfo, SplitInfo

WAYS = ("sha256", "size", None)

_State = tuple[str, int, int, int, int, str]

_WHOLE = set[_State]()  # files found whole in this process: they are not hashed again


def verify(directory: str | Path, split: SplitInfo, *, how: str | None = "sha256") -> None:
    """Compare the shards of a split with the manifest.

    Args:
        how: "sha256" reads every byte, in threads, once per process; "size" compares only sizes;
            None only checks that the files exist.

    Raises:
        FileNotFoundError: a shard is missing.
        ValueError: a shard is damaged. The message names the shard and the first bad record.
    """
    if how not in WAYS:
        raise ValueError(f"verify: expected one of {', '.join(map(repr, WAYS))}; got {how!r}")
    directory = Path(directory)
    states = {}
    for shard in split.shards:
        path = directory / shard.name
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing, with {shard.records} records")
        state = states[shard] = _state(path, shard)
        if how and state[1] != shard.bytes:
            raise ValueError(_describe(path, shard))
    if how == "sha256":
        left = [shard for shard in split.shards if states[shard] not in _WHOLE]
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:  # hashing frees the GIL
            digests = threads.map(lambda shard: _sha256(directory / shard.name), left)
            for shard, digest in zip(left, digests, strict=True):
                if digest != shard.sha256:
                    raise ValueError(_describe(directory / shard.name, shard))
                _WHOLE.add(states[shard])


def find_damage(directory: str | Path) -> str | None:
    """Returns a message naming the first missing or damaged shard and record; None if intact."""
    for split in Manifest.read(directory).splits.values():
        try:
            verify(directory, split)
        except (FileNotFoundError, ValueError) as error:
            return str(error)
    return None


@contextmanager
def naming_damage(directory: str | Path) -> Iterator[None]:
    """Context manager: damaged records read inside raise a ValueError naming the record.

    `load` checks shards before the first batch. If the disk fails later, TensorFlow's error gives
    the byte but not the file.

    Example:
        with tfrecords.naming_damage("records/food101"):
            model.fit(tfrecords.load("records/food101", "train", training=True))
    """
    import tensorflow as tf

    try:
        yield
    except (tf.errors.DataLossError, tf.errors.NotFoundError) as error:
        damage = find_damage(directory)
        if damage is None:
            raise
        raise ValueError(damage) from error


def _state(path: Path, shard: ShardInfo) -> _State:
    """The state of a file; it differs once the file is changed."""
    found = path.stat()
    times = found.st_mtime_ns, found.st_ctime_ns
    return (str(path.absolute()), found.st_size, found.st_ino, *times, shard.sha256)


def verify_splits(directory: str | Path, manifest: Manifest, *splits: str) -> None:
    """Compare every byte of these splits with the manifest; what is damaged is named.

    For commands, before they compute anything: files found whole are not hashed again in this
    process. Raises as `verify`, and a ValueError where there is no such split.
    """
    for name in dict.fromkeys(splits):
        verify(directory, manifest.split(name))


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _describe(path: Path, shard: ShardInfo) -> str:
    """Returns how a shard differs from the manifest, naming the first bad record."""
    try:
        for _ in read_records(path, 0, shard.records):
            pass
    except ValueError as error:
        return str(error)
    return (
        f"{path} is damaged: its {shard.records} records are whole, "
        f"but it is not the file of {shard.bytes} bytes that was written"
    )
