"""A detector's network for pictures of any size: the same nodes and weights, height and width left open.

Whoever runs it sets both before it is loaded, to multiples of what its strides need. The stored networks have fixed sizes,
which TensorRT wants, and which let a CPU plan its memory.
"""
from typing import Dict

import numpy as np
import onnx
from onnx import ModelProto, numpy_helper

from edge.core.errors import ModelError
from edge.store.models import HEIGHT, WIDTH

ALL = 2 ** 31 - 1  # as the end of a slice: to the border


def any_size(model: ModelProto) -> ModelProto:
    """A copy of `model`, which sees (1, 3, H, W) or (1, H, W, 3). Raises ModelError where a node needs a fixed size."""
    free = ModelProto()
    free.CopyFrom(model)
    constants = {tensor.name: tensor for tensor in free.graph.initializer}
    dims = free.graph.input[0].type.tensor_type.shape.dim
    first = 1 if dims[3].dim_value == 3 else 2
    dims[first].dim_param, dims[first + 1].dim_param = HEIGHT, WIDTH
    del free.graph.value_info[:]
    for output in free.graph.output:
        output.type.tensor_type.ClearField("shape")
    for node in free.graph.node:
        if node.op_type == "Reshape":
            _free_rows(node, constants)
        elif node.op_type == "Slice":  # what an odd size has too much; sizes that are multiples have nothing
            _put(constants[node.input[2]], np.full(len(numpy_helper.to_array(constants[node.input[2]])), ALL, np.int64))
    return free


def _free_rows(node: "onnx.NodeProto", constants: "Dict[str, onnx.TensorProto]") -> None:
    """(1, -1, k) suits any size; (1, c, h, w) becomes (1, c, -1, the same w)."""
    shape = numpy_helper.to_array(constants[node.input[1]])
    if len(shape) == 4:
        _put(constants[node.input[1]], np.array([shape[0], shape[1], -1, 0], np.int64))
    elif -1 not in shape:
        raise ModelError("{} is a reshape to {}, which holds at one size alone".format(node.name, shape.tolist()))


def _put(tensor: "onnx.TensorProto", values: np.ndarray) -> None:
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
