"""What must be the same in a folder after two runs of a command: all but times and memory."""

import csv
import hashlib
import io
import json
import re
import struct
import zipfile
from pathlib import Path

import numpy as np

# What is another at every run: times, memory, and what is made of them.
VOLATILE = {
    "created",
    "date_saved",
    "cost",
    "batches",  # of serving: as many requests as there is time for
    "shared_object_id",  # an address in memory
}

_TIMES = re.compile("seconds|rss|per_second|bytes|_ms|price")


def content(work: Path) -> dict[str, str]:
    """Name -> a digest of what must be the same, of all files and folders."""
    paths = sorted(path for path in work.rglob("*") if "tensorboard" not in path.parts)
    return {
        str(path.relative_to(work)): "folder"
        if path.is_dir()
        else _digest(path.name, path.read_bytes())
        for path in paths
    }


def _digest(name: str, data: bytes) -> str:
    """Of a file's content without times."""
    ending = name.rpartition(".")[2]
    if ending == "html" or name == "log.txt":
        return ""  # shows times
    if ending in ("pb", "onnx", "xml", "bin") or name.startswith("variables."):
        return ""  # other bytes at every run, undisturbed too: names made of addresses
    if name == "results.csv":
        data = _steady_columns(data)
    if ending == "json":
        data = json.dumps(_steady(json.loads(data)), sort_keys=True).encode()
    elif ending in ("keras", "npz"):
        with zipfile.ZipFile(io.BytesIO(data)) as members:
            inside = [(n, _digest(n, members.read(n))) for n in sorted(members.namelist())]
        data = json.dumps(inside).encode()
    elif ending == "h5":
        data = _arrays(data)
    elif ending == "safetensors":
        (size,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + size])
        header.pop("__metadata__", None)
        order = sorted(header)
        data = b"".join(
            name.encode() + data[8 + size + a : 8 + size + b]
            for name in order
            if "seconds" not in name
            for a, b in [header[name]["data_offsets"]]
        )
    return hashlib.sha256(data).hexdigest()[:16]


def _arrays(data: bytes) -> bytes:
    import h5py

    found: list[bytes] = []

    def visit(name: str, each: object) -> None:
        if isinstance(each, h5py.Dataset):
            found.append(name.encode() + np.asarray(each).tobytes())

    with h5py.File(io.BytesIO(data)) as file:
        file.visititems(visit)
    return b"".join(found)


def _steady_columns(data: bytes) -> bytes:
    """A table without the columns of times and memory."""
    rows = list(csv.reader(io.StringIO(data.decode())))
    kept = [i for i, name in enumerate(rows[0]) if not _TIMES.search(name)]
    return json.dumps([[row[i] for i in kept if i < len(row)] for row in rows]).encode()


def _steady(found: object) -> object:
    if isinstance(found, dict):
        return {
            key: _steady(value)
            for key, value in found.items()
            if key not in VOLATILE and not _TIMES.search(key)
        }
    if isinstance(found, str):
        return re.sub(r"takes [\d.,]+ (s|min|h)\b", "", found)  # of the recommendation
    return [_steady(each) for each in found] if isinstance(found, list) else found
