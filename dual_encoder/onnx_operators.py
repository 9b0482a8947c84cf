"""Operators of TensorFlow that tf2onnx lacks, for `export(format="onnx")`."""

from functools import cache
from typing import Any

import numpy as np


@cache
def register() -> None:
    """Teach tf2onnx 1.17 TensorFlow's Erfc, which exact GELU is made of: erfc(x) = 1 - erf(x).

    Without it tf2onnx writes the operator as it is, into a file that nothing reads.
    """
    from tf2onnx import utils
    from tf2onnx.handler import tf_op

    @tf_op("Erfc")
    class Erfc:  # registered by its method's name, of operator set 9 and later
        @classmethod
        def version_9(cls, graph: Any, node: Any, **_: Any) -> None:
            outputs = node.output[:]
            kind, shape = graph.get_dtype(outputs[0]), graph.get_shape(outputs[0])
            graph.remove_node(node.name)
            one = np.array(1, utils.map_onnx_to_numpy_type(kind))
            operands = [
                graph.make_const(utils.make_name("one"), one).output[0],
                graph.make_node("Erf", node.input).output[0],
            ]
            graph.make_node(
                "Sub", operands, name=node.name, outputs=outputs, shapes=[shape], dtypes=[kind]
            )
