"""Read weights split into several files, by their index."""

from pathlib import Path

from dual_encoder.checkpoints.json_schemas import WEIGHT_MAP, read_json


def shards(index: Path) -> list[Path]:
    """The files that an index lists, beside it, as `transformers` writes both.

    It is JSON, `{"weight_map": {tensor: file}}`, whatever format the files have:
    `model.safetensors.index.json`, `pytorch_model.bin.index.json`.

    Raises:
        FileNotFoundError: one of the files is not there.
        ValueError: it is no such index, or lists a file of another folder.
    """
    names = sorted(set(read_json(index.parent, index.name, WEIGHT_MAP)["weight_map"].values()))
    if not names:
        raise ValueError(f"{index}: expected a weight_map of tensors to files; it is empty")
    for name in names:
        if not (index.parent / name).is_file():
            raise FileNotFoundError(f"{index.parent}: {index.name} lists {name}, which is not here")
    return [index.parent / name for name in names]
