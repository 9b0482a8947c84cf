"""Quantise ONNX files to 8-bit integers, with ONNX Runtime's own tools."""

import logging
import math
import platform
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from duet import cpu_flags

CALIBRATED = 8  # images at once

MATMULS = ("MatMul", "Gemm")

# ReLU with its convolution: of one alone the range would be that of the numbers it cuts off.
CONVOLUTIONS = ("Conv", "Relu", "Clip", "Add")


def quantise(path: Path, examples: Mapping[str, np.ndarray], *, measured: bool = False) -> None:
    """Rewrite a float32 file with most of its arithmetic in 8-bit integers.

    A network with most weights in convolutions gets the ranges of its activations from examples,
    with a scale for each channel of a kernel. Of others the matrix products are quantised, their
    inputs by the range that each batch has. Their weights have 7 bits, and so have those of
    convolutions where this CPU `saturates`. The last product, which gives the logits, stays as it
    is.

    Args:
        path: of the file.
        examples: rows [n, ...] of each input.
        measured: ranges by examples for matrix products too; OpenVINO runs no others in integers.
    """
    from onnxruntime import quantization
    from onnxruntime.quantization import shape_inference

    with tempfile.TemporaryDirectory() as folder, _quiet():
        prepared = str(Path(folder) / "prepared.onnx")
        shape_inference.quant_pre_process(str(path), prepared, skip_symbolic_shape=True)
        convolutional, last = _kind(prepared)
        options: dict[str, Any] = {
            "op_types_to_quantize": list(CONVOLUTIONS if convolutional else MATMULS),
            "nodes_to_exclude": last,
            "reduce_range": not convolutional or saturates(),
            "weight_type": quantization.QuantType.QInt8,
            "extra_options": {"MatMulConstBOnly": True},
        }
        if not (convolutional or measured):
            quantization.quantize_dynamic(prepared, str(path), **options)
            return
        quantization.quantize_static(
            prepared,
            str(path),
            _Reader(examples),
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            **options,
        )


def saturates() -> bool:
    """Returns whether this CPU adds two products of 8 bits in 16 bits: x86 without VNNI."""
    is_arm = platform.machine().lower() in ("arm64", "aarch64")
    return not is_arm and not any("vnni" in flag for flag in cpu_flags.flags())


class _Reader:
    """The examples in batches, as ONNX Runtime asks for them."""

    def __init__(self, examples: Mapping[str, np.ndarray]):
        self.batches = self._batches(examples)

    def _batches(self, examples: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
        for first in range(0, len(next(iter(examples.values()))), CALIBRATED):
            yield {name: rows[first : first + CALIBRATED] for name, rows in examples.items()}

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.batches, None)


def _kind(path: str) -> tuple[bool, list[str]]:
    """Returns whether most weights are in convolutions, and the names of the last product."""
    import onnx

    graph = onnx.load(path).graph
    sizes = {each.name: math.prod(each.dims) for each in graph.initializer}
    weights: Counter[str] = Counter()
    for node in graph.node:
        weights[node.op_type] += sum(sizes.get(name, 0) for name in node.input[1:2])
    last = [node.name for node in graph.node if node.op_type in MATMULS][-1:]
    # A Gemm becomes a MatMul and an Add before it is quantised.
    return weights["Conv"] > sum(weights[kind] for kind in MATMULS), [
        *last,
        *(f"{name}_MatMul" for name in last),
    ]


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences advice on models that were not prepared, and on the names of their nodes."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
