"""Small indexes of made-up embeddings."""

import numpy as np

from dual_encoder import Index, IndexFacts, IndexRows
from dual_encoder.index.files import Shard, write_rows


def unit(count, dim, seed=0):
    """Rows of unit length."""
    rows = np.random.default_rng(seed).standard_normal((count, dim), np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def make_index(folder, rows, *, shard=100):
    """An index of rows called after their numbers."""
    folder.mkdir()
    shards = []
    for first in range(0, len(rows), shard):
        part = rows[first : first + shard]
        names = [f"p/{first + i}.jpg" for i in range(len(part))]
        stamps = np.arange(3 * len(part)).reshape(-1, 3) + first
        built = IndexRows.of(names, stamps, part)
        name = f"embeddings-{len(shards):05d}.safetensors"
        shards.append(Shard(name, len(part), built.crc32))
        write_rows(folder / name, built, {})
    source = {"kind": "folder", "path": "/images"}
    IndexFacts("model", "abc", rows.shape[1], source, tuple(shards)).write(folder)
    return Index.open(folder)
