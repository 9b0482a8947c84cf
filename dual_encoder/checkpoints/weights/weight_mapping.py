"""Fill a model's variables from a checkpoint's tensors, by a table of names.

A table is a list of `Entry`. `fill` reads a checkpoint with it, `collect` writes one.
"""

import contextlib
import fnmatch
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dual_encoder.checkpoints.weights import weight_cache, zero_copy
from dual_encoder.checkpoints.weights.safetensors_mmap import Tensors
from dual_encoder.checkpoints.weights.weight_table_entries import Entry
from duet import cpu_cores, keras_private_api, name_list

Change = Callable[[np.ndarray], np.ndarray]


@contextlib.contextmanager
def put_off() -> Iterator[None]:
    """Variables made in here get their first values, those of `fill`, as it ends.

    After an error they get none: a wrong configuration may ask for more memory than there is.
    """
    with _forgetting(), keras.StatelessScope(), _forgetting():  # an error inside, or as it ends
        yield


@contextlib.contextmanager
def _forgetting() -> Iterator[None]:
    try:
        yield
    except BaseException:
        keras_private_api.forget_uninitialized()
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
        ValueError: variables without a tensor or tensors without a variable, both listed, a value
            of another shape, or one with NaN or infinity in it.
    """
    changed = changed or {}
    try:
        check(variables, entries, tensors, ignored=ignored, changed=changed)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
    place = weight_cache.place(Path(source), tensors, shapes)
    kept = weight_cache.find(place, shapes)
    pool = ThreadPoolExecutor(cpu_cores.usable())  # copying leaves Python to others
    values = {}
    for entry in entries:
        variable, change = variables[entry.variable], changed.get(entry.variable)
        if kept is None:
            value = pool.submit(_value, entry, tensors, change)
        else:
            value = pool.submit(_kept_value, kept, entry, tensors, change)
        values[entry.variable] = value
        if _waits(variable):
            keras_private_api.set_initializer(variable, partial(_first, value))
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
    """What an initializer gives: float32, unless weights are to have another precision."""
    return keras.ops.cast(value.result(), dtype)


def _kept_value(
    kept: weight_cache.Kept, entry: Entry, tensors: Tensors, change: Change | None
) -> Any:
    """From the cache, and from the checkpoint where that is damaged."""
    array = kept.read(entry.variable)
    return _value(entry, tensors, change) if array is None else zero_copy.mapped(array)


def _value(entry: Entry, tensors: Tensors, change: Change | None) -> Any:
    value = entry.codec.read([tensors[name] for name in entry.tensors])
    made = zero_copy.tensor(change(value) if change else value)
    if not is_finite(made):
        raise ValueError(f"{' + '.join(entry.tensors)}: expected numbers; got NaN or infinity")
    return made


def is_finite(value: Any) -> bool:
    """Whether a tensor has neither NaN nor infinity in it."""
    array = keras.ops.convert_to_numpy(value)
    return bool(np.isfinite(array.sum()) or np.isfinite(array).all())  # a sum may be too large


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
        strange, left = (name_list.first_of(each, 10) or "none" for each in (unknown, unfilled))
        raise ValueError(
            f"weights and model do not match: tensors without a variable: {strange}; variables "
            f"without a tensor: {left}"
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
