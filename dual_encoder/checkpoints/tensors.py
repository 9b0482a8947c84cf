"""The tensors of a checkpoint's folder, by name, read one at a time."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  NumPy learns bfloat16
import numpy as np
from safetensors import SafetensorError, safe_open


class Tensors(Mapping[str, np.ndarray]):
    """All tensors of one or several safetensors files; each is read when it is asked for.

    Args:
        files: of which no two have a tensor of the same name.
        rename: from a name in a file to the name here.

    Raises:
        ValueError: a file that is not safetensors, or is damaged.
    """

    def __init__(self, files: list[Path], *, rename: Callable[[str], str] = str):
        self._places: dict[str, tuple[Any, str]] = {}
        for path in files:
            try:
                opened = safe_open(path, framework="numpy")
            except SafetensorError as error:
                raise ValueError(f"{path}: not a readable safetensors file ({error})") from error
            self._places |= {rename(name): (opened, name) for name in opened.keys()}  # noqa: SIM118

    def __getitem__(self, name: str) -> np.ndarray:
        file, original = self._places[name]
        return file.get_tensor(original)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def shape(self, name: str) -> tuple[int, ...]:
        """Without reading the numbers."""
        file, original = self._places[name]
        return tuple(file.get_slice(original).get_shape())


def open_tensors(
    folder: Path, stem: str = "model", *, rename: Callable[[str], str] = str
) -> Tensors:
    """Those of `STEM.safetensors`, or of the parts that `STEM.safetensors.index.json` lists.

    Raises:
        FileNotFoundError: neither is there, or a part is missing.
        ValueError: only weights that need unpickling are there, which could run anything.
    """
    index = folder / f"{stem}.safetensors.index.json"
    if (folder / f"{stem}.safetensors").is_file():
        return Tensors([folder / f"{stem}.safetensors"], rename=rename)
    if index.is_file():
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise FileNotFoundError(f"{folder}: {index.name} lists {missing[0]}, which is not here")
        return Tensors([folder / name for name in names], rename=rename)
    pickled = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLED)
    if pickled:
        raise ValueError(
            f"{folder}: {pickled[0]} would have to be unpickled, which can run any code; "
            f"expected {stem}.safetensors"
        )
    raise FileNotFoundError(f"{folder}: no weights here; expected {stem}.safetensors")


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
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not readable as JSON ({error})") from error
