"""Cache of converted weights, memory-mapped on the next load.

A published file has most matrices the other way round, and none at an address that TensorFlow can
use. So what was made of it is written down once, and mapped into memory from then on: the second
time a model is loaded, its weights are pages of that file, shared by all processes that read it,
and a page is copied where training writes to it.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from dual_encoder.checkpoints.weights.safetensors_mmap import Tensors, map_tensors
from dual_encoder.checkpoints.weights.zero_copy import ALIGNMENT
from duet import array_checksums, atomic_files, cache_folder

LEAST = 64 << 20  # bytes of weights from which it pays

MADE_OF = "made_of"  # in a file's metadata: the published files' states, and the code's

SUMS = "crc32"  # in it too: of each array

WEIGHTS = ("*.safetensors", "*.bin", "*.pt")  # of a published checkpoint

Shapes = Mapping[str, tuple[int, ...]]  # of a model's variables, by path


def place(source: Path, tensors: Iterable[str], shapes: Shapes) -> Path | None:
    """The file of what a checkpoint's tensors become in these shapes, whether or not it is there.

    None for a small model, a checkpoint whose weights another library reads, or where the user
    wants none. Another
    file, layout, shape or way to read the checkpoint is another place.
    """
    folder, files = cache_folder.path(), _files(source)
    if not folder or not files or _bytes(shapes) < LEAST:
        return None
    what = f"{_state(files)} {sorted(tensors)} {sorted(shapes.items())}"
    key = hashlib.sha256(what.encode()).hexdigest()
    return folder / f"{key}.safetensors"


@dataclass(frozen=True)
class Kept:
    """Arrays by the path of their variable, private pages of a file, and their checksums."""

    path: Path
    arrays: Tensors
    sums: Mapping[str, int]

    def read(self, name: str) -> np.ndarray | None:
        """An array; None where it is damaged, and then the file is removed, to be made again."""
        array = self.arrays[name]
        if array_checksums.crc32(array) == self.sums.get(name):
            return array
        self.path.unlink(missing_ok=True)
        return None


def find(path: Path | None, shapes: Shapes) -> Kept | None:
    """What is kept, if it is there and of these shapes."""
    if path is None or not path.is_file():
        return None
    try:
        arrays, metadata = map_tensors(path, private=True)
        sums = json.loads(metadata.get(SUMS, "{}"))
    except (OSError, ValueError):  # damaged: made again
        return None
    same = {name: array.shape for name, array in arrays.items()} == dict(shapes)
    return Kept(path, arrays, sums) if same else None


def write(path: Path, values: Mapping[str, Any], source: Path) -> None:
    """Keep float32 tensors for the next time, and drop those of checkpoints that are gone.

    A folder that cannot be written to, or has little room left, stays as it is.
    """
    size = _bytes({name: tuple(value.shape) for name, value in values.items()})
    state = _state(_files(source))
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        _drop_outdated(path.parent)
        if shutil.disk_usage(path.parent).free < 2 * size:
            return
        with atomic_files.atomic(path) as unfinished, open(unfinished, "wb") as file:
            file.writelines(_pieces(values, state))


def _pieces(values: Mapping[str, Any], state: str) -> Iterator[bytes | memoryview]:
    """A safetensors file; what fills whole blocks of `ALIGNMENT` comes first and begins at one."""
    arrays = {name: np.ascontiguousarray(value, "float32") for name, value in values.items()}
    order = sorted(arrays, key=lambda name: (arrays[name].nbytes % ALIGNMENT != 0, name))
    sums = {name: array_checksums.crc32(arrays[name]) for name in order}
    header: dict[str, Any] = {"__metadata__": {MADE_OF: state, SUMS: json.dumps(sums)}}
    end = 0
    for name in order:
        start, end = end, end + arrays[name].nbytes
        shape = list(values[name].shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    yield len(text).to_bytes(8, "little")
    yield text
    for name in order:
        yield arrays[name].reshape(-1).view(np.uint8).data


def _files(source: Path) -> list[str]:
    paths = (path for pattern in WEIGHTS for path in source.glob(pattern))
    return sorted(str(path.resolve()) for path in paths)


def _state(files: list[str]) -> str:
    """What a published checkpoint is known by: files with size and time, and the code that reads.

    Raises OSError where a file is not there.
    """
    stats = [(file, os.stat(file).st_size, os.stat(file).st_mtime_ns) for file in files]
    return json.dumps({"files": stats, "code": _this_code()})


def _drop_outdated(folder: Path) -> None:
    """Removes files of a checkpoint that is gone or has changed, of other code, and halves."""
    for path in folder.glob("*.safetensors"):
        try:
            with safe_open(path, framework="numpy") as file:
                state = (file.metadata() or {})[MADE_OF]
        except (SafetensorError, KeyError):
            continue  # not one of these
        if not _is_current(state):
            path.unlink(missing_ok=True)
    atomic_files.sweep(folder)


def _is_current(state: str) -> bool:
    """Whether the published files are still there, as they were, and read by the same code."""
    try:
        return _state([file for file, *_ in json.loads(state)["files"]]) == state
    except (OSError, ValueError, KeyError, TypeError):  # gone, or the state is damaged
        return False


def _bytes(shapes: Shapes) -> int:
    return sum(4 * int(np.prod(shape)) for shape in shapes.values())


@cache
def _this_code() -> str:
    """Changes with whatever reads checkpoints."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
