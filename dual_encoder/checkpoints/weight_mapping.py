"""Fill a model's variables from a checkpoint's tensors, by a table of names.

A table is a list of `Entry`. `fill` reads a checkpoint with it, `collect` writes one.
"""

import contextlib
import fnmatch
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dual_encoder.checkpoints import weight_cache, zero_copy
from dual_encoder.checkpoints.safetensors_mmap import Tensors
from duet import private_api

Arrays = Sequence[np.ndarray]

Change = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Codec:
    """How tensors become a variable's value, and back."""

    read: Callable[[Arrays], np.ndarray]
    write: Callable[[np.ndarray, int], Arrays]  # the value and how many tensors it came from


@dataclass(frozen=True)
class Entry:
    """One variable, by its path in the model, and the tensors it is made of."""

    variable: str
    tensors: tuple[str, ...]
    codec: Codec


AS_IS = Codec(lambda arrays: arrays[0], lambda value, _: [value])

SCALAR = Codec(lambda arrays: arrays[0].reshape(()), lambda value, _: [value.reshape(1)])

# PyTorch keeps a linear layer's weight as [out, in]; several are fused along their outputs.
LINEAR = Codec(
    lambda arrays: np.concatenate(arrays).T if len(arrays) > 1 else arrays[0].T,
    lambda value, count: np.split(value.T, count),
)

BIAS = Codec(
    lambda arrays: np.concatenate(arrays) if len(arrays) > 1 else arrays[0],
    lambda value, count: np.split(value, count),
)

# Kernels of convolutions: [out, in, height, width] there, [height, width, in, out] here.
CONVOLUTION = Codec(
    lambda arrays: arrays[0].transpose(2, 3, 1, 0), lambda value, _: [value.transpose(3, 2, 0, 1)]
)

DEPTHWISE = Codec(
    lambda arrays: arrays[0].transpose(2, 3, 0, 1), lambda value, _: [value.transpose(2, 3, 0, 1)]
)


def _exact(array: np.ndarray) -> np.ndarray:
    """For arithmetic: a product of half-precision numbers is not one of them."""
    return array.astype("float32")


def _not_written(value: np.ndarray, count: int) -> Arrays:
    raise ValueError("these weights were put together from several and cannot be taken apart")


def one_way(read: Callable[[Arrays], np.ndarray]) -> Codec:
    """Of tensors that become one value for good; `collect` refuses it."""
    return Codec(read, _not_written)


# The last layer before a sum, and a scale for each of its outputs: LayerScale of Touvron et al.
# 2021 (arXiv:2103.17239), which at inference is a part of that layer.
SCALED_LINEAR = one_way(lambda arrays: (_exact(arrays[0]) * _exact(arrays[1]).reshape(-1, 1)).T)

SCALED_BIAS = one_way(lambda arrays: _exact(arrays[0]) * _exact(arrays[1]).reshape(-1))

# Queries and values have a bias, keys have none.
BIAS_WITHOUT_KEY = one_way(
    lambda arrays: np.concatenate([arrays[0], np.zeros_like(arrays[0]), arrays[1]])
)

FLAT = one_way(lambda arrays: arrays[0].reshape(-1))


def _write_patches(value: np.ndarray, _: int) -> Arrays:
    rows, width = value.shape
    side = round((rows // 3) ** 0.5)
    return [value.reshape(side, side, 3, width).transpose(3, 2, 0, 1)]


# A convolution whose stride is its kernel is a matrix product of flattened patches.
PATCHES = Codec(
    lambda arrays: arrays[0].transpose(2, 3, 1, 0).reshape(-1, arrays[0].shape[0]), _write_patches
)


def leading(axes: int) -> Codec:
    """A tensor with so many axes of size 1 in front, such as a class token [1, 1, d]."""
    return Codec(
        lambda arrays: arrays[0].reshape(arrays[0].shape[axes:]),
        lambda value, _: [value.reshape((1,) * axes + value.shape)],
    )


def array(variable: str, tensor: str, codec: Codec = AS_IS) -> list[Entry]:
    """One variable, one tensor."""
    return [Entry(variable, (tensor,), codec)]


def linear(layer: str, *theirs: str, bias: bool = True) -> list[Entry]:
    """A dense layer of one or more linear ones."""
    kernel = Entry(f"{layer}/kernel", tuple(f"{name}.weight" for name in theirs), LINEAR)
    if not bias:
        return [kernel]
    return [kernel, Entry(f"{layer}/bias", tuple(f"{name}.bias" for name in theirs), BIAS)]


def scaled_linear(layer: str, theirs: str, scale: str) -> list[Entry]:
    """A dense layer of a linear one whose outputs are multiplied with a tensor."""
    kernel = Entry(f"{layer}/kernel", (f"{theirs}.weight", scale), SCALED_LINEAR)
    return [kernel, Entry(f"{layer}/bias", (f"{theirs}.bias", scale), SCALED_BIAS)]


def convolution(layer: str, theirs: str, codec: Codec = CONVOLUTION) -> list[Entry]:
    """A convolution with its bias."""
    return array(f"{layer}/kernel", f"{theirs}.weight", codec) + array(
        f"{layer}/bias", f"{theirs}.bias"
    )


def norm(layer: str, theirs: str) -> list[Entry]:
    """A layer norm."""
    return array(f"{layer}/gamma", f"{theirs}.weight") + array(f"{layer}/beta", f"{theirs}.bias")


def batch_norm(layer: str, theirs: str) -> list[Entry]:
    """A batch norm with its moving statistics."""
    mean = array(f"{layer}/moving_mean", f"{theirs}.running_mean")
    return norm(layer, theirs) + mean + array(f"{layer}/moving_variance", f"{theirs}.running_var")


def under(ours: str, theirs: str, entries: Iterable[Entry]) -> list[Entry]:
    """The same entries deeper inside both."""
    return [
        replace(
            entry,
            variable=f"{ours}/{entry.variable}",
            tensors=tuple(f"{theirs}{name}" for name in entry.tensors),
        )
        for entry in entries
    ]


@contextlib.contextmanager
def put_off() -> Iterator[None]:
    """Variables made in here get their first values, those of `fill`, as it ends.

    After an error they get none: a wrong configuration may ask for more memory than there is.
    """
    with keras.StatelessScope():
        try:
            yield
        except BaseException:
            private_api.forget_uninitialized()
            raise


def fill(
    variables: Mapping[str, keras.Variable],
    entries: Sequence[Entry],
    tensors: Tensors,
    *,
    source: str,
    ignored: Sequence[str] = (),
    changed: Mapping[str, Change] | None = None,
) -> None:
    """Give every variable its value; every tensor must be used.

    Variables that have no value yet, inside `put_off`, get theirs as it ends: their first value is
    the checkpoint's, and none is drawn before.

    Args:
        variables: of the model, by path.
        entries: one for each variable.
        tensors: of the checkpoint.
        source: what errors call it.
        ignored: patterns of tensors that need not be used, such as `"*.position_ids"`.
        changed: what to do to a variable's value on its way, by path.

    Raises:
        ValueError: variables without a tensor or tensors without a variable, both listed, or a
            value of another shape.
    """
    changed = changed or {}
    try:
        check(variables, entries, tensors, ignored=ignored, changed=changed)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
    place = weight_cache.place(Path(source), tensors, shapes)
    kept = weight_cache.find(place, shapes)
    pool = ThreadPoolExecutor(os.cpu_count())  # copying leaves Python to others
    values = {}
    for entry in entries:
        variable, change = variables[entry.variable], changed.get(entry.variable)
        if kept is None:
            value = pool.submit(_value, entry, tensors, change)
        else:
            value = pool.submit(zero_copy.mapped, kept[entry.variable])
        values[entry.variable] = value
        if _waits(variable):
            private_api.set_initializer(variable, partial(_first, value))
        else:
            variable.assign(value.result())
    pool.shutdown(wait=False)
    if place is not None and kept is None:
        made = {name: value.result() for name, value in values.items()}
        weight_cache.write(place, made, Path(source))


def check(
    variables: Mapping[str, keras.Variable],
    entries: Sequence[Entry],
    tensors: Tensors,
    *,
    ignored: Sequence[str] = (),
    changed: Mapping[str, Change] | None = None,
) -> None:
    """Raise the ValueErrors of `fill`, by names and shapes alone."""
    _check_names(variables, entries, tensors, ignored)
    for entry in entries:
        change = (changed or {}).get(entry.variable)
        _check_shape(variables[entry.variable], entry, tensors, change)


def _waits(variable: keras.Variable) -> bool:
    """Whether Keras has put off its first value to the end of a `StatelessScope`."""
    return getattr(variable, "_value", variable) is None


def _first(value: Future, shape: Any, dtype: Any) -> Any:
    """What an initializer gives. Where there is no value, none is asked for again."""
    try:
        return value.result()
    except BaseException:
        private_api.forget_uninitialized()
        raise


def _value(entry: Entry, tensors: Tensors, change: Change | None) -> Any:
    value = entry.codec.read([tensors[name] for name in entry.tensors])
    return zero_copy.tensor(change(value) if change else value)


def _check_names(
    variables: Mapping[str, keras.Variable],
    entries: Sequence[Entry],
    tensors: Tensors,
    ignored: Sequence[str],
) -> None:
    needed = {name for entry in entries for name in entry.tensors}
    unfilled = sorted(set(variables) - {entry.variable for entry in entries})
    unfilled += sorted(needed - set(tensors))
    unknown = sorted(
        name
        for name in set(tensors) - needed
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in ignored)
    )
    if unfilled or unknown:
        raise ValueError(
            f"weights and model do not match: tensors without a variable: {_some(unknown)}; "
            f"variables without a tensor: {_some(unfilled)}"
        )


def _check_shape(
    variable: keras.Variable, entry: Entry, tensors: Tensors, change: Change | None
) -> None:
    """By what the codec makes of arrays without numbers; whole numbers are of packed weights."""
    for name in entry.tensors:
        if tensors[name].dtype.kind in "biu":
            raise ValueError(f"{name}: expected fractions; got {tensors[name].dtype}")
    try:
        made = entry.codec.read([np.empty(tensors[name].shape, "int8") for name in entry.tensors])
        shape = change(made).shape if change else made.shape
    except (ValueError, IndexError):  # not even the number of axes is right
        shape = tuple(tensors[name].shape for name in entry.tensors)
    if shape != tuple(variable.shape):
        raise ValueError(
            f"{' + '.join(entry.tensors)}: expected {tuple(variable.shape)} for "
            f"{entry.variable}; got {shape}"
        )


def collect(
    variables: Mapping[str, keras.Variable], entries: Sequence[Entry]
) -> dict[str, np.ndarray]:
    """The tensors of a checkpoint, by name, from a model's variables: the reverse of `fill`."""
    tensors: dict[str, np.ndarray] = {}
    for entry in entries:
        value = keras.ops.convert_to_numpy(variables[entry.variable])
        parts = entry.codec.write(value, len(entry.tensors))
        whole = [np.asarray(part, order="C") for part in parts]  # not a row where it is a scalar
        tensors |= zip(entry.tensors, whole, strict=True)
    return tensors


def _some(names: Sequence[str], most: int = 10) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more
