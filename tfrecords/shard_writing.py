"""Write one shard, the writer's unit of work, from its slice of the source."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from duet import atomic_files, json_validation
from tfrecords.framing import frame
from tfrecords.images.reencoding import UnreadableError, normalise
from tfrecords.manifest import WORK_FOLDER, ShardInfo
from tfrecords.manifest_validation import SHARD_FILE
from tfrecords.non_utf8_names import escaped
from tfrecords.schema import Example, Label, RawExample, serialize
from tfrecords.sources import Source


@dataclass(frozen=True)
class Job:
    """Settings shared by all shards."""

    source: Source
    directory: Path
    short_side: int | None = None
    first_frame: bool = False
    max_pixels: int | None = None

    @property
    def work(self) -> Path:
        return self.directory / WORK_FOLDER


@dataclass(frozen=True)
class Slice:
    """Images `start` to `stop` of a split, written to the shard `name`."""

    name: str
    split: str
    start: int
    stop: int


@dataclass(frozen=True)
class Shard:
    """A finished shard with its statistics.

    `class_counts` maps a class to its number of images. `labels` and `captions` count the images
    that have them. `rejected` holds (file, reason) pairs.
    """

    info: ShardInfo
    class_counts: dict[int, int]
    labels: int
    captions: int
    rejected: list[tuple[str, str]]


def slices(split: str, count: int, *, shard_size: int) -> list[Slice]:
    """Divide a split into shards, named with their total count as is usual for TFRecords."""
    shards = max(1, -(-count // shard_size))
    return [
        Slice(
            f"{split}-{index:05d}-of-{shards:05d}.tfrecord",
            split,
            index * shard_size,
            min((index + 1) * shard_size, count),
        )
        for index in range(shards)
    ]


def write_shard(
    piece: Slice, job: Job, *, tick: Callable[[], object] = lambda: None, threads: int = 1
) -> None:
    """Write one shard and, in the work folder, the note that `finished` reads.

    The shard is renamed to its final name once complete; its bytes depend only on source and
    options. `tick` is called after every image; an exception from it stops the shard. `threads`
    decode, shrink and encode images, for which Pillow frees Python's lock.

    Raises OSError if it cannot be written; no incomplete file remains.
    """
    digest, size, classes = hashlib.sha256(), 0, Counter[int]()
    records = labels = captions = 0
    rejected = []
    with (
        atomic_files.atomic(job.directory / piece.name) as unfinished,
        open(unfinished, "wb") as file,
    ):
        for filename, example in _examples(piece, job, threads=threads):
            if isinstance(example, UnreadableError):
                rejected.append((escaped(filename), escaped(str(example))))
            else:
                data = frame(serialize(example))
                file.write(data)
                digest.update(data)
                size += len(data)
                records += 1
                captions += bool(example.captions)
                if example.label is not None:
                    labels += 1
                    classes.update(_classes(example.label))
            tick()
    info = ShardInfo(piece.name, records, size, digest.hexdigest())
    shard = Shard(info, dict(sorted(classes.items())), labels, captions, rejected)
    atomic_files.write(_notes(piece, job), json.dumps(asdict(shard)))


def finished(piece: Slice, job: Job) -> Shard | None:
    """Returns the shard of this slice if it is finished, else None."""
    try:
        data = json_validation.read(_notes(piece, job), TABLE, hint="delete it")
        written = (job.directory / piece.name).stat().st_size
    except FileNotFoundError:
        return None
    info = ShardInfo(**data["info"])
    if written != info.bytes:
        return None
    return Shard(
        info=info,
        class_counts={int(label): count for label, count in data["class_counts"].items()},
        labels=data["labels"],
        captions=data["captions"],
        rejected=[(file, reason) for file, reason in data["rejected"]],
    )


TABLE = {
    "info": SHARD_FILE,
    "class_counts": {"*": json_validation.COUNT},
    "labels": json_validation.COUNT,
    "captions": json_validation.COUNT,
    "rejected": [[str]],
}


def _classes(label: Label | None) -> tuple[int, ...]:
    if label is None:
        return ()
    return label if isinstance(label, tuple) else (label,)


def _notes(piece: Slice, job: Job) -> Path:
    return job.work / f"{piece.name}.json"


def _examples(
    piece: Slice, job: Job, *, threads: int
) -> Iterator[tuple[str, Example | UnreadableError]]:
    """The names of a slice's images in order, with the record of each or why it has none."""

    def converted(
        raw: RawExample, data: bytes | UnreadableError, position: int
    ) -> Example | UnreadableError:
        try:
            return _example(raw, data, position, job)
        except UnreadableError as error:
            return error

    waiting: deque[tuple[str, Future]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            raws = job.source.read(piece.split, piece.start, piece.stop)
            position = piece.start - 1
            for position, raw in enumerate(raws, start=piece.start):
                data = _loaded(raw)  # by this thread alone, as images may share an open file
                waiting.append((raw.filename, pool.submit(converted, raw, data, position)))
                if len(waiting) > threads:
                    yield waiting[0][0], waiting.popleft()[1].result()
            while waiting:
                yield waiting[0][0], waiting.popleft()[1].result()
            if position + 1 != piece.stop:
                raise ValueError(
                    f"source: expected images {piece.start} to {piece.stop} of split "
                    f"{piece.split}, as many as it says; got {position + 1 - piece.start}"
                )
        finally:
            pool.shutdown(cancel_futures=True)


def _loaded(raw: RawExample) -> bytes | UnreadableError:
    try:
        data = raw.load()
    except OSError as error:
        return UnreadableError(f"cannot be read: {error.strerror or error}")
    if not isinstance(data, bytes | bytearray | memoryview):
        raise ValueError(
            f"{raw.filename}: load: expected the bytes of a file; got {type(data).__name__}"
        )
    return bytes(data)


def _check_label(raw: RawExample, *, classes: int, several: bool) -> None:
    """Raises ValueError for a label that no class has, or one of the other kind of data."""
    expected = "none, as there are no class names"
    if classes:
        expected = f"{'a tuple of numbers from ' * several}0 to {classes - 1}"
    wrong_kind = raw.label is not None and isinstance(raw.label, tuple) is not several
    if wrong_kind or any(not 0 <= label < classes for label in _classes(raw.label)):
        raise ValueError(f"{raw.filename}: label: expected {expected}; got {raw.label}")


def _example(raw: RawExample, data: bytes | UnreadableError, position: int, job: Job) -> Example:
    """Converts one image file to a record; raises UnreadableError if that fails."""
    if isinstance(data, UnreadableError):
        raise data
    names = job.source.class_names
    _check_label(raw, classes=len(names), several=bool(getattr(job.source, "multi_label", False)))
    for caption in raw.captions:
        if escaped(caption) != caption:
            raise UnreadableError(f"a caption has half a character in it: {escaped(caption)!r}")
    encoded = normalise(
        data,
        short_side=job.short_side,
        lossless=job.source.lossless,
        first_frame=job.first_frame,
        max_pixels=job.max_pixels,
    )
    return Example(
        image=encoded.data,
        format=encoded.format,
        height=encoded.height,
        width=encoded.width,
        id=position,
        filename=escaped(raw.filename),
        label=raw.label,
        captions=tuple(raw.captions),
        class_name="|".join(names[label] for label in _classes(raw.label)) if names else "",
    )
