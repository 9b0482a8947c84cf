"""Save and restore the complete training state in one safetensors file, atomically.

It holds every variable of the model and the optimizer (weights, moments, dropout seeds, step
count, learning rate), the running means of the pass and, in its metadata, whatever else the caller
must not forget. The data need none: which images come at step n follows from (seed, n).
"""

import contextlib
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from duet import array_checksums, atomic_files

_STATE = "duet"  # in the metadata, beside the checksum

_NAME = re.compile(r"step-(?P<step>[0-9]{8,})\.safetensors")


def save(model: keras.Model, path: Path, state: dict[str, Any], *, writes: bool = True) -> bool:
    """Write all variables atomically.

    Under several workers all have to call this (their running means are added up), and one
    `writes`. Returns False, and writes nothing, if a variable is NaN or infinite.

    Raises:
        RuntimeError: it cannot be written, for example for lack of space.
    """
    variables = {**_variables(model), **_means(model)}
    arrays = {name: keras.ops.convert_to_numpy(v) for name, v in variables.items()}
    if not all(np.isfinite(a).all() for a in arrays.values() if a.dtype.kind == "f"):
        return False
    if writes:
        try:
            with atomic_files.atomic(path) as unfinished:
                text = json.dumps(state)
                metadata = {_STATE: text, **array_checksums.metadata(arrays, text)}
                save_file(arrays, unfinished, metadata=metadata)
        except (OSError, SafetensorError) as error:
            raise RuntimeError(f"{path} could not be written: {error}") from None
    return True


def size(model: keras.Model) -> int:
    """Bytes that a checkpoint has at most: no variable has more than four a number."""
    return sum(4 * math.prod(variable.shape) for variable in _variables(model).values())


def restore(model: keras.Model, path: Path) -> dict[str, Any]:
    """Restore all variables. Returns the state saved with them.

    Raises:
        ValueError: the file is damaged, or of another model.
    """
    variables = _variables(model)
    with _opened(path) as file:
        names, about = set(file.keys()), file.metadata() or {}
        own = {name for name in names if not name.startswith("mean/")}
        if (
            _STATE not in about
            or own != set(variables)
            or any(
                tuple(file.get_slice(name).get_shape()) != tuple(variable.shape)
                for name, variable in variables.items()
            )
        ):
            raise ValueError(f"{path}: a checkpoint of another model or optimizer")
        arrays = {name: file.get_tensor(name) for name in names}
        if not array_checksums.fit(about, arrays, about[_STATE]):
            raise ValueError(
                f"{path} is damaged (its checksum is another); remove it to go on from the "
                "checkpoint before it"
            )
        for name, variable in variables.items():
            variable.assign(arrays[name])
        return json.loads(about[_STATE])


def add_means(model: keras.Model, path: Path) -> None:
    """Add the saved running means of an interrupted pass to those of its remainder.

    They are sums and counts. `fit` sets them to zero as it starts, and makes some of them only in
    its first step, so this comes after that.
    """
    with _opened(path) as file:
        for name, variable in _means(model).items():
            variable.assign(keras.ops.convert_to_numpy(variable) + file.get_tensor(name))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except SafetensorError as error:
        raise ValueError(
            f"{path} is damaged ({error}); remove it to go on from the checkpoint before it"
        ) from None


def steps(directory: Path) -> list[int]:
    """The steps that have a checkpoint, in order; files and folders of other names are passed."""
    found = [(path, _NAME.fullmatch(path.name)) for path in directory.glob("step-*.safetensors")]
    return sorted(int(name["step"]) for path, name in found if name and path.is_file())


def path_of(directory: Path, step: int) -> Path:
    """Returns the path of a step's checkpoint."""
    return directory / f"step-{step:08d}.safetensors"


def _variables(model: keras.Model) -> dict[str, keras.Variable]:
    means = {id(variable) for variable in model.metrics_variables}
    kept = [variable for variable in model.variables if id(variable) not in means]
    return _named([*kept, *model.optimizer.variables])


def _means(model: keras.Model) -> dict[str, keras.Variable]:
    return {f"mean/{name}": variable for name, variable in _named(model.metrics_variables).items()}


def _named(variables: list[keras.Variable]) -> dict[str, keras.Variable]:
    return {f"{i:04d}/{variable.path}": variable for i, variable in enumerate(variables)}
