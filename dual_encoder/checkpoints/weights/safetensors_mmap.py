"""Memory-map the arrays of a safetensors file."""

import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from duet import regular_files

Tensors = dict[str, np.ndarray]  # by name

# By their names in a header.
DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}

DTYPES |= {"I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8"}

DTYPES |= {"BOOL": "bool"}


def map_tensors(path: Path, *, private: bool = False) -> tuple[Tensors, dict[str, str]]:
    """Read-only arrays by name, and the metadata. (`safe_open` would copy what it gives.)

    Private ones can be written to: such a page becomes this process's own, the file stays.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is not safetensors, is damaged, or has numbers of a kind unknown here.
    """
    regular_files.check_regular(path)
    try:
        with safe_open(path, framework="numpy"), open(path, "rb") as file:  # checks the header
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
    except SafetensorError as error:
        raise ValueError(f"{path}: not a readable safetensors file ({error})") from error
    metadata = header.pop("__metadata__", {})
    unknown = sorted({place["dtype"] for place in header.values()} - set(DTYPES))
    if unknown:
        raise ValueError(f"{path}: expected numbers of {', '.join(DTYPES)}; got {unknown[0]}")
    data = np.memmap(path, np.uint8, mode="c" if private else "r")[8 + length :]
    arrays = {
        name: data[slice(*place["data_offsets"])]
        .view(DTYPES[place["dtype"]])
        .reshape(place["shape"])
        for name, place in header.items()
    }
    return arrays, metadata
