"""Read weights split into several files, by their index."""

import json
from pathlib import Path


def shards(index: Path) -> list[Path]:
    """The files that an index lists, beside it, as `transformers` writes both.

    It is JSON, `{"weight_map": {tensor: file}}`, whatever format the files have:
    `model.safetensors.index.json`, `pytorch_model.bin.index.json`.

    Raises:
        FileNotFoundError: one of the files is not there.
        ValueError: it is no such index, or lists a file of another folder.
    """
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        files = [index.parent / name for name in names]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{index}: expected a weight_map of tensors to files") from error
    if not files:
        raise ValueError(f"{index}: expected a weight_map of tensors to files; it is empty")
    for name, file in zip(names, files, strict=True):
        if file.name != name or file.parent != index.parent or name == "..":
            raise ValueError(f"{index}: expected files beside it; got {name!r}")
        if not file.is_file():
            raise FileNotFoundError(f"{index.parent}: {index.name} lists {name}, which is not here")
    return files
