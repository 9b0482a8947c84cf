"""Read weights split into several files, by their index."""

from pathlib import Path

from dual_encoder.checkpoints.json_schemas import WEIGHT_MAP, read_json


def shards(index: Path) -> dict[Path, set[str]]:
    """The files that an index lists, beside it, with the tensors that count in each.

    It is JSON, `{"weight_map": {tensor: file}}`, whatever format the files have:
    `model.safetensors.index.json`, `pytorch_model.bin.index.json`.

    Raises:
        FileNotFoundError: one of the files is not there.
        ValueError: it is no such index, or lists a file of another folder.
    """
    file_of = read_json(index.parent, index.name, WEIGHT_MAP)["weight_map"]
    if not file_of:
        raise ValueError(f"{index}: expected a weight_map of tensors to files; it is empty")
    files: dict[Path, set[str]] = {}
    for tensor, name in sorted(file_of.items(), key=lambda item: item[1]):
        if not (index.parent / name).is_file():
            raise FileNotFoundError(f"{index.parent}: {index.name} lists {name}, which is not here")
        files.setdefault(index.parent / name, set()).add(tensor)
    return files
