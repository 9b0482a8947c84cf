"""Write named arrays to a safetensors file with a checksum, and read them back unchanged."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from duet import array_checksums, atomic_files, regular_files


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """In whole or not at all; see `duet.atomic_files.atomic`."""
    with atomic_files.atomic(path) as unfinished:
        save_file(dict(arrays), unfinished, metadata=array_checksums.metadata(arrays))


def read(path: Path) -> dict[str, np.ndarray]:
    """What `write` wrote; files without a checksum are older ones.

    Raises:
        ValueError: it is damaged.
    """
    regular_files.check_regular(path)
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            kept = file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged ({error}); delete it") from None
    if not array_checksums.fit(kept, arrays):
        raise ValueError(f"{path} is damaged (its checksum is another); delete it")
    return arrays
