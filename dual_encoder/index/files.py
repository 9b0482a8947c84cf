"""The files of an index: memory-mapped embeddings in safetensors, and `index.json`.

A file of rows holds `embeddings` float32 [n, e]; the n ids as concatenated UTF-8 (`id_bytes`
uint8, and `id_ends` int64 [n], the end of each); and `stamps` int64 [n, 3]: two numbers that
change when the image does, and its position if it is not a separate file.
"""

import json
import mmap
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from dual_encoder.checkpoints.weights.safetensors_mmap import map_tensors
from duet import array_checksums, atomic_files, json_validation

FILE = "index.json"

WORK_FOLDER = ".unfinished"  # parts of an unfinished index

SCHEMA = 1

_KEY, _SUM = "duet", "crc32"  # in the metadata of a file of rows

_CRC = (None, json_validation.COUNT)

_SHARD = {
    "name": json_validation.FILE_NAME,
    "count": json_validation.COUNT,
    "crc32?": _CRC,
    "*": json_validation.NO_OTHERS,
}

_FACTS = {
    "model": str,
    "fingerprint": str,
    "embed_dim": json_validation.up_to(1 << 24),
    "source": {"path": str, "splits?": [str]},
    "shards": [_SHARD],
    "*": json_validation.NO_OTHERS,
}

PART = {"begun": _FACTS, "unreadable": [[str]]}  # of the facts of an unfinished index's part

TABLE = _FACTS | {
    "schema": json_validation.one_of(SCHEMA),
    "unreadable?": json_validation.COUNT,
    "approximate?": (
        None,
        {
            "kind": json_validation.one_of("hnsw", "ivf"),
            "file": json_validation.FILE_NAME,
            "effort": json_validation.COUNT,
            "crc32?": json_validation.COUNT,
        },
    ),
}


class CutShortError(OSError):
    """A file of an index that got shorter while it was in use: to read it on ends the process."""

    def __init__(self) -> None:
        super().__init__("a file of the index was cut short in use; build the index again")


def check_whole(mapped: mmap.mmap | None) -> None:
    """Raises CutShortError if the file got shorter since it was mapped."""
    if mapped is not None and mapped.size() < len(mapped):
        raise CutShortError


@dataclass(frozen=True, eq=False)
class IndexRows:
    """Rows of an index: `embeddings` float32 [n, e], `id_bytes`, `id_ends` and `stamps`."""

    embeddings: np.ndarray
    id_bytes: np.ndarray
    id_ends: np.ndarray
    stamps: np.ndarray

    @classmethod
    def of(cls, ids: Sequence[str], stamps: Any, embeddings: Any) -> "IndexRows":
        """Builds rows from n ids, stamps [n, 3] and embeddings [n, e]; ValueError for others."""
        embeddings = np.ascontiguousarray(embeddings, np.float32)
        if embeddings.ndim != 2 or not len(ids) == len(stamps) == len(embeddings):
            raise ValueError(
                f"embeddings: expected [n, e] with n ids and n stamps; got "
                f"{list(embeddings.shape)}, {len(ids)} and {len(stamps)}"
            )
        if not np.isfinite(embeddings).all():
            raise ValueError("embeddings: expected finite numbers; got NaN or infinity among them")
        encoded = [name.encode("utf-8", "surrogateescape") for name in ids]
        return cls(
            embeddings,
            np.frombuffer(b"".join(encoded), np.uint8),
            np.cumsum([len(each) for each in encoded], dtype=np.int64),
            np.asarray(stamps, np.int64).reshape(-1, 3),
        )

    @classmethod
    def gathered(cls, places: Sequence[tuple["IndexRows", int]], stamps: Any) -> "IndexRows":
        """Collects single rows of other tables, in this order, with these stamps."""
        embeddings = np.stack([rows.embeddings[row] for rows, row in places])
        return cls.of([rows.id(row) for rows, row in places], stamps, embeddings)

    def __len__(self) -> int:
        return len(self.id_ends)

    def check_whole(self) -> None:
        """Raises CutShortError if the file got shorter since it was mapped."""
        check_whole(getattr(self.embeddings, "_mmap", None))  # of np.memmap

    def check_shapes(self) -> None:
        """Raises ValueError if the arrays are not those of n rows."""
        count, ends = len(self.stamps), self.id_ends
        kinds = {"embeddings": "float32", "id_bytes": "uint8", "id_ends": "int64"}
        found = {name: str(getattr(self, name).dtype) for name in kinds}
        if found != kinds or self.embeddings.ndim != 2 or self.stamps.shape != (count, 3):
            raise ValueError(f"expected {kinds}; got {found} of other shapes")
        if len(self.embeddings) != count or ends.shape != (count,):
            raise ValueError("as many embeddings, ids and stamps were expected")
        if count and (np.diff(ends, prepend=0).min() < 0 or ends[-1] != len(self.id_bytes)):
            raise ValueError("its ids do not end where they should")

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """What a file of them holds, by name."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @cached_property
    def crc32(self) -> int:
        """Checksum of all arrays, 2 GB/s: any byte that changed on the disk changes it."""
        found = 0
        for array in self.arrays.values():
            found = array_checksums.crc32(array, found)
        return found

    def release(self) -> None:
        """Gives back the memory of the pages read, which stay in the system's file cache."""
        mapped: Any = self.embeddings
        while isinstance(mapped, np.ndarray):
            mapped = mapped.base
        if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)

    def id(self, row: int) -> str:
        """Returns the id of one row."""
        start = self.id_ends[row - 1] if row else 0
        encoded = self.id_bytes[start : self.id_ends[row]].tobytes()
        return encoded.decode("utf-8", "surrogateescape")

    def ids(self) -> list[str]:
        """Returns the ids of all rows."""
        return [self.id(row) for row in range(len(self))]


@dataclass(frozen=True)
class Shard:
    """A file of rows: its name, number of rows, and their checksum; None of an older Duet's."""

    name: str
    count: int
    crc32: int | None = None


@dataclass(frozen=True)
class IndexFacts:
    """The content of `index.json`.

    Attributes:
        model: name of the model when the index was built.
        fingerprint: of that model.
        embed_dim: size of an embedding.
        source: description of the image source.
        shards: the files of rows, in order.
        unreadable: number of images that could not be read.
        approximate: facts of the faiss index, or null.
    """

    model: str
    fingerprint: str
    embed_dim: int
    source: dict[str, Any]
    shards: tuple[Shard, ...]
    unreadable: int = 0
    approximate: dict[str, Any] | None = None
    schema: int = field(default=SCHEMA)

    @property
    def count(self) -> int:
        """Number of images."""
        return sum(shard.count for shard in self.shards)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "IndexFacts":
        """Of what `TABLE` describes."""
        shards = tuple(Shard(**shard) for shard in content["shards"])
        return cls(**{**content, "shards": shards})

    def write(self, folder: Path) -> None:
        """Write the folder's `index.json`, atomically."""
        atomic_files.write(folder / FILE, json.dumps(asdict(self), indent=2) + "\n")


def read_facts(folder: Path) -> IndexFacts:
    """Reads the folder's `index.json`.

    Raises:
        FileNotFoundError: there is no index.
        ValueError: it is unfinished, damaged, or of another schema.
    """
    path = folder / FILE
    try:
        content = json_validation.read(path, TABLE, hint="delete it and build again")
    except (FileNotFoundError, NotADirectoryError):
        if (folder / WORK_FOLDER).is_dir():
            raise ValueError(
                f"{folder} holds an index half built; the command that began it goes on with it"
            ) from None
        raise FileNotFoundError(
            f"{folder} holds no index ({FILE} is missing); make one with: python -m pipelines "
            f"retrieve --build --folder IMAGES --model MODEL --index {folder}"
        ) from None
    return IndexFacts.from_json(content)


def write_rows(path: Path, rows: IndexRows, facts: dict[str, Any]) -> None:
    """Write rows atomically, with `facts` and a checksum in the metadata."""
    metadata = {_KEY: json.dumps(facts), _SUM: str(rows.crc32)}
    try:
        with atomic_files.atomic(path) as unfinished:
            save_file(rows.arrays, unfinished, metadata=metadata)
    except SafetensorError as error:
        raise OSError(f"{path} could not be written: {error}") from None


def map_rows(path: Path) -> tuple[IndexRows, dict[str, Any]]:
    """Returns memory-mapped rows and the facts stored with them, after reading them all once.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is damaged or not a file of rows.
    """
    try:
        arrays, metadata = map_tensors(path)
        rows = IndexRows(**arrays)
        rows.check_shapes()
        if metadata.get(_SUM, str(rows.crc32)) != str(rows.crc32):
            raise ValueError("its checksum is another")
        rows.release()
        return rows, json_validation.parse(metadata[_KEY], name="its facts")
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing; delete the index and build it again") from None
    except (KeyError, TypeError, ValueError) as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise ValueError(f"{path} is damaged ({reason}); delete the index, build again") from None
