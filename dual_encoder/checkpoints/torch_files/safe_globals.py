"""The allow-list of names in a torch pickle, and what each stands for.

Nothing is imported for a name. A name that is not in `NAMES` is an error.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ml_dtypes  # noqa: F401  NumPy learns bfloat16 and the floats of 8 bits
import numpy as np

MOST_AXES = 32
SCRIPT = "__torch__"  # where the classes of TorchScript are


@dataclass(frozen=True, eq=False)
class Storage:
    """Numbers that tensors are views of.

    Attributes:
        key: what the file calls them.
        dtype: their kind.
        count: how many the file has under that key.
        start, stop: which of them these are.
    """

    key: str
    dtype: np.dtype
    count: int
    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class Tensor:
    """A view of a storage; offset and strides count numbers of its own kind."""

    storage: Storage
    dtype: np.dtype
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Maker:
    """What stands for a class or function: it makes a value of as many arguments as `counts`."""

    make: Callable[..., Any]
    counts: range


@dataclass(frozen=True, eq=False)
class ScriptClass:
    """A class of TorchScript, by its full name."""

    name: str


@dataclass(eq=False)
class ScriptObject:
    """An object of a class of TorchScript."""

    kind: str
    attributes: Mapping[str, Any]


class Inert:
    """Something that is no tensor, of which nothing is kept."""


def named(module: str, name: str, *, script: bool) -> Any:
    """What stands for a name: a `Maker`, a `ScriptClass` or a kind of numbers.

    Raises:
        ValueError: it is none that tensors need.
    """
    whole = f"{module}.{name}"
    if script and module.partition(".")[0] == SCRIPT:
        return ScriptClass(whole)
    if whole in NAMES:
        return NAMES[whole]
    if script and whole in SCRIPT_NAMES:
        return SCRIPT_NAMES[whole]
    if module == "torch" and name.endswith("Storage"):
        raise ValueError(f"has numbers of {whole}; expected {', '.join(KINDS)}")
    raise ValueError(
        f"names {whole}, which is no part of a tensor; nothing was run; "
        "expected a state_dict(), as torch.save writes it"
    )


def call(maker: Any, arguments: Any) -> Any:
    """What a `Maker` makes of its arguments.

    Raises:
        ValueError: it is none, or does not take these arguments.
    """
    if not isinstance(maker, Maker) or not isinstance(arguments, tuple):
        raise ValueError("calls what cannot be called; nothing was run")
    if len(arguments) not in maker.counts:
        raise ValueError(
            f"calls something with {len(arguments)} arguments; expected {maker.counts[0]} to "
            f"{maker.counts[-1]}; nothing was run"
        )
    return maker.make(*arguments)


def put(target: dict[str, Any], key: Any, value: Any) -> None:
    """An item of a dictionary. Names are strings, so what has another key is not kept."""
    if isinstance(key, str):
        target[key] = value


def storage(reference: Any, known: dict[str, Storage]) -> Storage:
    """The storage of a persistent id: ("storage", kind, key, device, count[, view of another]).

    Raises:
        ValueError: the id is none of a storage, or contradicts an earlier one of the same key.
    """
    if not isinstance(reference, tuple) or len(reference) not in (5, 6):
        raise ValueError("refers to something that is no storage of a tensor")
    word, dtype, key, _, count = reference[:5]
    if not (isinstance(word, str) and isinstance(dtype, np.dtype) and isinstance(key, str)):
        raise ValueError("refers to something that is no storage of a tensor")
    if word != "storage":
        raise ValueError(f"refers to a {word!r}; expected a storage of a tensor")
    if not _is_count(count):
        raise ValueError(f"storage {key!r}: expected a count of numbers; got {_shown(count)}")
    first = known.setdefault(key, Storage(key, dtype, count, 0, count))
    if (first.dtype, first.count) != (dtype, count):
        raise ValueError(
            f"storage {key!r}: {first.count} numbers of {first.dtype} in one place, "
            f"{count} of {dtype} in another"
        )
    view = reference[5] if len(reference) == 6 else None
    if view is None:
        return first
    if not (isinstance(view, tuple) and len(view) == 3 and all(map(_is_count, view[1:]))):
        raise ValueError(f"storage {key!r}: expected key, offset and size of a view")
    if sum(view[1:]) > count:
        raise ValueError(f"storage {key!r}: a view reaches past its {count} numbers")
    return Storage(key, dtype, count, view[1], sum(view[1:]))


def _tensor(source: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    return _view(source, getattr(source, "dtype", None), offset, shape, strides)


def _tensor_of_kind(source: Any, offset: Any, shape: Any, strides: Any, *more: Any) -> Tensor:
    return _view(source, more[2], offset, shape, strides)


def _view(source: Any, dtype: Any, offset: Any, shape: Any, strides: Any) -> Tensor:
    if not isinstance(source, Storage) or not isinstance(dtype, np.dtype):
        raise ValueError("makes a tensor of something that is no storage")
    if not _is_count(offset) or not _are_counts(shape) or not _are_counts(strides):
        raise ValueError("makes a tensor whose offset, shape or strides are no counts")
    if len(shape) != len(strides):
        raise ValueError(f"makes a tensor of {len(shape)} sizes and {len(strides)} strides")
    return Tensor(source, dtype, offset, shape, strides)


def _parameter(data: Any, *_: Any) -> Tensor:
    if not isinstance(data, Tensor):
        raise ValueError("makes a parameter of something that is no tensor")
    return data


def _with_attributes(function: Any, _: Any, arguments: Any, *__: Any) -> Tensor:
    """A tensor that has attributes of Python as well: by the function that makes it without."""
    if not any(function is maker for maker in PLAIN_TENSORS):
        raise ValueError("makes a tensor by something that makes none; nothing was run")
    return call(function, arguments)


def _dictionary(pairs: Any = ()) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if not isinstance(pairs, list | tuple):
        raise ValueError("makes a dictionary of something that is no list of pairs")
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise ValueError("makes a dictionary of something that is no list of pairs")
        put(made, *pair)
    return made


def _sizes(sizes: Any = ()) -> tuple:
    if not _are_counts(sizes):
        raise ValueError("makes a torch.Size of something else than counts")
    return sizes


def _first(value: Any, *_: Any) -> Any:
    return value


def _nothing(*_: Any) -> Inert:
    return Inert()


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 62


def _are_counts(values: Any) -> bool:
    return isinstance(values, tuple) and len(values) <= MOST_AXES and all(map(_is_count, values))


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, int | float | str) else type(value).__name__


STORAGES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16", "LongStorage": "int64", "IntStorage": "int32",
    "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8", "BoolStorage": "bool",
    "UntypedStorage": "uint8", "storage.UntypedStorage": "uint8",
}  # fmt: skip
KINDS = (
    *sorted(set(STORAGES.values())), "uint16", "uint32", "uint64", "float8_e4m3fn",
    "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu",
)  # fmt: skip
PLAIN_TENSORS = (
    Maker(_tensor, range(4, 5)),  # before torch 0.4
    Maker(_tensor, range(6, 8)),
    Maker(_tensor_of_kind, range(7, 9)),
    Maker(_parameter, range(3, 4)),
)
# Arguments, dates, counters and random states that training scripts keep beside the weights.
INERT = (
    "argparse.Namespace", "collections.Counter", "numpy.dtype", "numpy.ndarray", "_codecs.encode",
    "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "torch.device", "torch.Tensor",
    "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct",
    "torch.nn.parameter.Parameter",
)  # fmt: skip
NAMES: dict[str, Any] = {
    "collections.OrderedDict": Maker(_dictionary, range(2)),
    "torch._utils._rebuild_tensor": PLAIN_TENSORS[0],
    "torch._utils._rebuild_tensor_v2": PLAIN_TENSORS[1],
    "torch._utils._rebuild_tensor_v3": PLAIN_TENSORS[2],
    "torch._utils._rebuild_parameter": PLAIN_TENSORS[3],
    "torch._utils._rebuild_parameter_with_state": Maker(_parameter, range(4, 5)),
    "torch._tensor._rebuild_from_type_v2": Maker(_with_attributes, range(4, 5)),
    "torch.Size": Maker(_sizes, range(2)),
}
NAMES |= {f"torch.{storage}": np.dtype(kind) for storage, kind in STORAGES.items()}
NAMES |= {f"torch.{kind}": np.dtype(kind) for kind in KINDS}
NAMES |= dict.fromkeys(INERT, Maker(_nothing, range(100)))
RESTORERS = ("build_intlist", "build_doublelist", "build_boollist", "build_tensorlist")
SCRIPT_NAMES = {f"torch.jit._pickle.{name}": Maker(_first, range(1, 2)) for name in RESTORERS}
SCRIPT_NAMES["torch.jit._pickle.restore_type_tag"] = Maker(_first, range(2, 3))
