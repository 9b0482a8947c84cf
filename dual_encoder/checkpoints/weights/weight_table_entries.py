"""How tensors become variables, and back: entries of a table of names, and codecs of values."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

Arrays = Sequence[np.ndarray]


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

# One number, written with no axis or with one; read from either.
NUMBER = Codec(lambda arrays: arrays[0].reshape(()), AS_IS.write)

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
