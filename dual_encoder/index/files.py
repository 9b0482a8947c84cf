"""The files of an index: rows of embeddings in safetensors, mapped into memory, and `index.json`.

A file of rows holds `embeddings` float32 [n, e]; the n ids as UTF-8 one after the other (`id_bytes`
uint8, and `id_ends` int64 [n], where each ends); and `stamps` int64 [n, 3]: two numbers by which a
image is known to be unchanged, and its place where it is not a file of its own.
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

WORK_FOLDER = ".unfinished"  # parts of an index that is being built

SCHEMA = 1

_KEY = "duet"


@dataclass(frozen=True, eq=False)
class IndexRows:
    """Some images: `embeddings` float32 [n, e], `id_bytes`, `id_ends` and `stamps`."""

    embeddings: np.ndarray
    id_bytes: np.ndarray
    id_ends: np.ndarray
    stamps: np.ndarray

    @classmethod
    def of(cls, ids: Sequence[str], stamps: Any, embeddings: Any) -> "IndexRows":
        """From n ids, stamps [n, 3] and embeddings [n, e]."""
        encoded = [name.encode("utf-8", "surrogateescape") for name in ids]
        return cls(
            np.ascontiguousarray(embeddings, np.float32),
            np.frombuffer(b"".join(encoded), np.uint8),
            np.cumsum([len(each) for each in encoded], dtype=np.int64),
            np.asarray(stamps, np.int64).reshape(-1, 3),
        )

    @classmethod
    def gathered(cls, places: Sequence[tuple["IndexRows", int]], stamps: Any) -> "IndexRows":
        """Single rows of others, in that order, with these stamps."""
        embeddings = np.stack([rows.embeddings[row] for rows, row in places])
        return cls.of([rows.id(row) for rows, row in places], stamps, embeddings)

    def __len__(self) -> int:
        return len(self.id_ends)

    def id(self, row: int) -> str:
        """The id of one row."""
        start = self.id_ends[row - 1] if row else 0
        encoded = self.id_bytes[start : self.id_ends[row]].tobytes()
        return encoded.decode("utf-8", "surrogateescape")

    def ids(self) -> list[str]:
        """The ids of all rows."""
        return [self.id(row) for row in range(len(self))]


@dataclass(frozen=True)
class Shard:
    """A file of rows: its name and how many."""

    name: str
    count: int


@dataclass(frozen=True)
class IndexFacts:
    """What `index.json` says.

    Attributes:
        model: as it was named when the index was made.
        fingerprint: of that model.
        embed_dim: numbers in an embedding.
        source: where the images are, as whoever built the index describes it.
        shards: the files of rows, in order.
        unreadable: images that could not be read.
        approximate: what `approximate.build` found, or null.
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
        """Images."""
        return sum(shard.count for shard in self.shards)

    def write(self, folder: Path) -> None:
        """As the folder's `index.json`, in whole or not at all."""
        files.write(folder / FILE, json.dumps(asdict(self), indent=2) + "\n")


def read_facts(folder: Path) -> IndexFacts:
    """What the folder's `index.json` says.

    Raises:
        FileNotFoundError: there is no index.
        ValueError: it is half built, damaged, or of another schema.
    """
    path = folder / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["schema"] != SCHEMA:
            raise ValueError(f"schema {found['schema']}, expected {SCHEMA}")
        shards = tuple(Shard(**shard) for shard in found.pop("shards"))
        return IndexFacts(shards=shards, **found)
    except (FileNotFoundError, NotADirectoryError):
        if (folder / WORK_FOLDER).is_dir():
            raise ValueError(
                f"{folder} holds an index half built; the command that began it goes on with it"
            ) from None
        raise FileNotFoundError(
            f"{folder} holds no index ({FILE} is missing); make one with: python -m pipelines "
            f"retrieve --build --folder IMAGES --model MODEL --index {folder}"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not readable ({error}); delete it and build again") from None


def write_rows(path: Path, rows: IndexRows, facts: dict[str, Any]) -> None:
    """Write rows under their final name once they are whole, with `facts` in the metadata."""
    try:
        with files.atomic(path) as unfinished:
            save_file(vars(rows), unfinished, metadata={_KEY: json.dumps(facts)})
    except SafetensorError as error:
        raise OSError(f"{path} could not be written: {error}") from None


def map_rows(path: Path) -> tuple[IndexRows, dict[str, Any]]:
    """Rows that stay on disk until they are looked at, and the facts written with them.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is damaged or not a file of rows.
    """
    try:
        arrays, metadata = map_tensors(path)
        return IndexRows(**arrays), json.loads(metadata[_KEY])
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing; delete the index and build it again") from None
    except (KeyError, TypeError, ValueError) as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise ValueError(f"{path} is damaged ({reason}); delete the index, build again") from None
