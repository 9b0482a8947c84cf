"""What Keras' exporter leaves to be done in an ONNX file."""

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

ONE = "one_of_erfc"

BATCH = "batch"


@contextlib.contextmanager
def exporting() -> Iterator[None]:
    """Silences tf2onnx, which complains of what `finish` puts right, and a warning in Keras."""
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="In the future `np.object`")
            yield
    finally:
        logger.setLevel(level)


def finish(
    path: str | Path, *, output: str | None = None, metadata: Mapping[str, str] | None = None
) -> None:
    """Make a file that Keras exported one that ONNX Runtime takes.

    The exact GELU is written with `Erfc`, which ONNX has not: 1 - Erf takes its place.

    Args:
        path: of the file, which is rewritten.
        output: a name for its only output.
        metadata: texts by name, for the file's metadata.

    Raises:
        RuntimeError: another operation that ONNX has not.
    """
    import onnx

    model = onnx.load(str(path))
    _replace_erfc(model.graph)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    if output is not None:
        (only,) = model.graph.output
        for node in model.graph.node:
            node.output[:] = [output if name == only.name else name for name in node.output]
            node.input[:] = [output if name == only.name else name for name in node.input]
        only.name = output
    for key, text in (metadata or {}).items():
        model.metadata_props.add(key=key, value=text)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        reason = str(error).strip().splitlines()[0]
        raise RuntimeError(f"cannot be written as ONNX: {reason}") from error
    onnx.save(model, str(path))


def _replace_erfc(graph: "onnx.GraphProto") -> None:  # type: ignore[name-defined]  # noqa: F821
    import onnx

    nodes = []
    for node in graph.node:
        if node.op_type != "Erfc":
            nodes.append(node)
            continue
        erf = f"{node.output[0]}/erf"
        nodes.append(onnx.helper.make_node("Erf", node.input, [erf], name=f"{node.name}/erf"))
        nodes.append(onnx.helper.make_node("Sub", [ONE, erf], node.output, name=node.name))
    if len(nodes) > len(graph.node):
        graph.initializer.append(onnx.numpy_helper.from_array(np.array(1, "float32"), ONE))
        del graph.node[:]
        graph.node.extend(nodes)
