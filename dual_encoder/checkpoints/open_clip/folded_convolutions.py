"""Fold parallel convolutions, batch norms and sums with the input into one convolution.

As in RepVGG: Ding et al. 2021 (arXiv:2101.03697), section 3.3. The names are those of timm's
MobileOne and RepMixer blocks. What a file's author has folded before is read as it is.
"""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np

from dual_encoder.checkpoints.weights.weight_table_entries import (
    CONVOLUTION,
    PATCHES,
    Arrays,
    Entry,
    one_way,
)

Names = Collection[str]

EPSILON = 1e-5  # of all these batch norms

NORM = ("weight", "bias", "running_mean", "running_var")

# Of a block, the largest kernel first.
BRANCHES = ("large_conv", *(f"conv_kxk.{i}" for i in range(5)), "small_conv", "conv_scale")


class Folded(NamedTuple):
    """A convolution: its tensors, and a function of them to kernel and bias.

    The kernel is PyTorch's [out, in / groups, k, k].
    """

    tensors: tuple[str, ...]
    fold: Callable[[Arrays], tuple[np.ndarray, np.ndarray]]


def _norm(name: str) -> tuple[str, ...]:
    return tuple(f"{name}.{part}" for part in NORM)


def scale_and_shift(norm: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """What a batch norm multiplies with and adds, per channel."""
    gamma, beta, mean, variance = norm
    scale = gamma / np.sqrt(variance + EPSILON)
    return scale, beta - mean * scale


def _normed(kernel: np.ndarray, norm: Arrays) -> tuple[np.ndarray, np.ndarray]:
    scale, shift = scale_and_shift(norm)
    return kernel * scale[:, None, None, None], shift


def _unit(kernel: np.ndarray) -> np.ndarray:
    """The kernel of that shape that changes nothing."""
    out, group, height, width = kernel.shape
    unit, rows = np.zeros(kernel.shape), np.arange(out)
    unit[rows, rows % group, height // 2, width // 2] = 1
    return unit


def plain(name: str) -> Folded:
    """With a bias."""
    return Folded((f"{name}.weight", f"{name}.bias"), lambda arrays: (arrays[0], arrays[1]))


def normed(name: str) -> Folded:
    """Without a bias, and its batch norm."""
    tensors = f"{name}.conv.weight", *_norm(f"{name}.bn")
    return Folded(tensors, lambda arrays: _normed(arrays[0], arrays[1:]))


def branched(name: str, tensors: Names) -> Folded:
    """A MobileOne block, or a large and a small kernel: the sum of the branches in the file."""
    if f"{name}.reparam_conv.weight" in tensors:
        return plain(f"{name}.reparam_conv")
    found = [each for each in BRANCHES if f"{name}.{each}.conv.weight" in tensors]
    branches = [normed(f"{name}.{each}") for each in found or ["conv_kxk.0"]]
    passed = _norm(f"{name}.identity") if f"{name}.identity.weight" in tensors else ()

    def fold(arrays: Arrays) -> tuple[np.ndarray, np.ndarray]:
        kernel, bias = branches[0].fold(arrays[:5])
        for start, branch in enumerate(branches[1:], 1):
            other, shift = branch.fold(arrays[5 * start : 5 * start + 5])
            margin = (kernel.shape[2] - other.shape[2]) // 2
            kernel = kernel + np.pad(other, ((0, 0), (0, 0), (margin, margin), (margin, margin)))
            bias = bias + shift
        if passed:
            unit, shift = _normed(_unit(kernel), arrays[-4:])
            kernel, bias = kernel + unit, bias + shift
        return kernel, bias

    return Folded((*(each for branch in branches for each in branch.tensors), *passed), fold)


def mixer(name: str, tensors: Names) -> Folded:
    """RepMixer: x + scale * (block(x) - norm(x))."""
    if f"{name}.reparam_conv.weight" in tensors:
        return plain(f"{name}.reparam_conv")
    block, norm = branched(f"{name}.mixer", tensors), _norm(f"{name}.norm.identity")

    def fold(arrays: Arrays) -> tuple[np.ndarray, np.ndarray]:
        kernel, bias = block.fold(arrays[1:-4])
        unit, scale = _unit(kernel), arrays[0].reshape(-1)
        other, shift = _normed(unit, arrays[-4:])
        return unit + scale[:, None, None, None] * (kernel - other), scale * (bias - shift)

    return Folded((f"{name}.layer_scale.gamma", *block.tensors, *norm), fold)


def positions(name: str, tensors: Names) -> Folded:
    """x + convolution(x)."""
    if f"{name}.reparam_conv.weight" in tensors:
        return plain(f"{name}.reparam_conv")
    whole = plain(f"{name}.pos_enc")
    return Folded(whole.tensors, lambda arrays: (arrays[0] + _unit(arrays[0]), arrays[1]))


def depthwise(multiplier: int = 1) -> Callable[[np.ndarray], np.ndarray]:
    """[in * multiplier, 1, k, k] -> Keras' [k, k, in, multiplier]."""
    return lambda kernel: kernel.reshape(-1, multiplier, *kernel.shape[2:]).transpose(2, 3, 0, 1)


def dense(kernel: np.ndarray) -> np.ndarray:
    """[out, in, k, k] -> [k * k * in, out], a matrix."""
    return PATCHES.read([kernel])


def full(kernel: np.ndarray) -> np.ndarray:
    """[out, in, k, k] -> Keras' [k, k, in, out]."""
    return CONVOLUTION.read([kernel])


def entries(
    layer: str, folded: Folded, layout: Callable[[np.ndarray], np.ndarray] = full
) -> list[Entry]:
    """Of a layer with kernel and bias."""

    def exact(arrays: Arrays) -> tuple[np.ndarray, np.ndarray]:
        with np.errstate(all="ignore"):  # shapes are checked without numbers
            return folded.fold(in_double(arrays))

    kernel = one_way(lambda arrays: layout(exact(arrays)[0]))
    bias = one_way(lambda arrays: exact(arrays)[1])
    names = folded.tensors
    return [Entry(f"{layer}/kernel", names, kernel), Entry(f"{layer}/bias", names, bias)]


def in_double(arrays: Arrays) -> Sequence[np.ndarray]:
    """For sums and products whose result is rounded once."""
    return [np.asarray(each, "float64") for each in arrays]


def scaled(name: str, scale: str) -> Folded:
    """With a bias, and a scale for each of its outputs."""
    whole = plain(name)

    def fold(arrays: Arrays) -> tuple[np.ndarray, np.ndarray]:
        by = arrays[2].reshape(-1)
        return arrays[0] * by[:, None, None, None], arrays[1] * by

    return Folded((*whole.tensors, scale), fold)


def normed_linear(layer: str, theirs: str, norm: str) -> list[Entry]:
    """A linear layer without bias behind a batch norm."""
    names = (f"{theirs}.weight", *_norm(norm))

    def kernel(arrays: Arrays) -> np.ndarray:
        weight, *stats = in_double(arrays)
        with np.errstate(all="ignore"):
            return (weight * scale_and_shift(stats)[0]).T

    def bias(arrays: Arrays) -> np.ndarray:
        weight, *stats = in_double(arrays)
        with np.errstate(all="ignore"):
            return weight @ scale_and_shift(stats)[1]

    return [
        Entry(f"{layer}/kernel", names, one_way(kernel)),
        Entry(f"{layer}/bias", names, one_way(bias)),
    ]
