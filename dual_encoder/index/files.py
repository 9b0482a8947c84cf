"""The files of an index: memory-mapped embeddings in safetensors, and `index.json`.

A file of rows holds `embeddings` float32 [n, e]; the n ids as concatenated UTF-8 (`id_bytes`
uint8, and `id_ends` int64 [n], the end of each); and `stamps` int64 [n, 3]: two numbers that
change when the image does, and its position if it is not a separate file.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from dual_encoder.checkpoints.safetensors_mmap import map_tensors
from duet import files

FILE = "index.json"

WORK_FOLDER = ".unfinished"  # parts of an unfinished index

SCHEMA = 1

_KEY = "duet"


class CutShortError(OSError):
    """A file of an index that got shorter while it was in use."""


@dataclass(frozen=True, eq=False)
class IndexRows:
    """Rows of an index: `embeddings` float32 [n, e], `id_bytes`, `id_ends` and `stamps`."""

    embeddings: np.ndarray
    id_bytes: np.ndarray
    id_ends: np.ndarray
    stamps: np.ndarray

    @classmethod
    def of(cls, ids: Sequence[str], stamps: Any, embeddings: Any) -> "IndexRows":
        """Builds rows from n ids, stamps [n, 3] and embeddings [n, e]."""
        encoded = [name.encode("utf-8", "surrogateescape") for name in ids]
        return cls(
            np.ascontiguousarray(embeddings, np.float32),
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
        """Raises CutShortError if the file got shorter: to read it on would end the process."""
        mapped = getattr(self.embeddings, "_mmap", None)  # of np.memmap
        if mapped is not None and mapped.size() < len(mapped):
            raise CutShortError("a file of the index was cut short in use; build the index again")

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
    """A file of rows: its name and number of rows."""

    name: str
    count: int


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

    def write(self, folder: Path) -> None:
        """Write the folder's `index.json`, atomically."""
        files.write(folder / FILE, json.dumps(asdict(self), indent=2) + "\n")


def read_facts(folder: Path) -> IndexFacts:
    """Reads the folder's `index.json`.

    Raises:
        FileNotFoundError: there is no index.
        ValueError: it is unfinished, damaged, or of another schema.
    """
    path = folder / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise ValueError(f"schema {content['schema']}, expected {SCHEMA}")
        shards = tuple(Shard(**shard) for shard in content.pop("shards"))
        outside = [shard.name for shard in shards if Path(shard.name).name != shard.name]
        if outside:
            raise ValueError(f"expected a file in the folder; got {outside[0]!r}")
        return IndexFacts(shards=shards, **content)
    except (FileNotFoundError, NotADirectoryError):
        if (folder / WORK_FOLDER).is_dir():
            raise ValueError(
                f"{folder} holds an index half built; the command that began it goes on with it"
            ) from None
        raise FileNotFoundError(
            f"{folder} holds no index ({FILE} is missing); make one with: python -m pipelines "
            f"retrieve --build --folder IMAGES --model MODEL --index {folder}"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is not readable ({error}); delete it and build again") from None


def write_rows(path: Path, rows: IndexRows, facts: dict[str, Any]) -> None:
    """Write rows atomically, with `facts` in the metadata."""
    try:
        with files.atomic(path) as unfinished:
            save_file(vars(rows), unfinished, metadata={_KEY: json.dumps(facts)})
    except SafetensorError as error:
        raise OSError(f"{path} could not be written: {error}") from None


def map_rows(path: Path) -> tuple[IndexRows, dict[str, Any]]:
    """Returns memory-mapped rows and the facts stored with them.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is damaged or not a file of rows.
    """
    try:
        arrays, metadata = map_tensors(path)
        return IndexRows(**arrays), json.loads(metadata[_KEY])
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing; delete the index and build it again") from None
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise ValueError(f"{path} is damaged ({reason}); delete the index, build again") from None
