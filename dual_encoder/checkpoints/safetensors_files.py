"""The tensors of a checkpoint's folder, by name."""

import json
from collections.abc import Callable
from pathlib import Path

from dual_encoder.checkpoints.safetensors_mmap import Tensors, map_tensors


def open_tensors(
    folder: Path, stem: str = "model", *, rename: Callable[[str], str] = str
) -> Tensors:
    """Those of `STEM.safetensors`, or of the parts that `STEM.safetensors.index.json` lists.

    They stay on disk until they are used, and are read-only. `rename` goes from a name in a file
    to the name here.

    Raises:
        FileNotFoundError: neither is there, or a part is missing.
        ValueError: a file is damaged, or only weights that need unpickling are there, which could
            run anything.
    """
    index = folder / f"{stem}.safetensors.index.json"
    if (folder / f"{stem}.safetensors").is_file():
        return _read([folder / f"{stem}.safetensors"], rename)
    if index.is_file():
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise FileNotFoundError(f"{folder}: {index.name} lists {missing[0]}, which is not here")
        return _read([folder / name for name in names], rename)
    pickled = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLED)
    if pickled:
        raise ValueError(
            f"{folder}: {pickled[0]} would have to be unpickled, which can run any code; "
            f"expected {stem}.safetensors"
        )
    raise FileNotFoundError(f"{folder}: no weights here; expected {stem}.safetensors")


def _read(files: list[Path], rename: Callable[[str], str]) -> Tensors:
    maps = (map_tensors(path)[0] for path in files)
    return {rename(name): array for arrays in maps for name, array in arrays.items()}


PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")


def read_json(folder: Path, name: str) -> dict:
    """A JSON file of the folder.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is not JSON.
    """
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(f"{folder}: no {name} here")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected a JSON object; got {found!r:.60}")
    return found
