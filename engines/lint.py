"""What the parser of TensorRT 8.2 asks of a graph, as far as the graph shows it. Read in onnx-tensorrt
release/8.2-GA.
"""
from typing import Dict, List, Set

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, numpy_helper

from engines.convert.graph import INPUT, dims_of, inferred_shapes

MAX_OPSET, MAX_IR = 13, 7
MAX_FLOAT16 = 65504.0

# Operators of our networks that the parser has and that need nothing but a static shape.
OPERATORS = {
    "Add", "AveragePool", "BatchNormalization", "Clip", "Concat", "Conv", "ConvTranspose", "DepthToSpace", "Flatten",
    "Gemm", "GlobalAveragePool", "LeakyRelu", "MaxPool", "Mul", "Neg", "PRelu", "Pad", "Relu", "Reshape", "Resize",
    "Sigmoid", "Slice", "Softmax", "Sub", "Transpose",
}
# Inputs that must be initializers, because the parser wants their values: operator -> positions
_STATIC = {
    "Conv": (1, 2), "ConvTranspose": (1, 2), "Gemm": (1, 2), "BatchNormalization": (1, 2, 3, 4), "PRelu": (1,),
    "Pad": (1, 2), "Reshape": (1,), "Resize": (1, 2, 3), "Slice": (1, 2, 3, 4),
}


def _header(model: ModelProto) -> List[str]:
    found = []
    for opset in model.opset_import:
        if opset.domain not in ("", "ai.onnx"):
            found.append("operators of {}".format(opset.domain))
        elif opset.version > MAX_OPSET:
            found.append("opset {}: at most {}".format(opset.version, MAX_OPSET))
    if model.ir_version > MAX_IR:
        found.append("IR version {}: at most {}".format(model.ir_version, MAX_IR))
    return found


def _interface(graph: "onnx.GraphProto", constants: Set[str]) -> List[str]:
    found = []
    if [i.name for i in graph.input] != [INPUT]:
        found.append("the inputs are {} and not one called {}".format(", ".join(i.name for i in graph.input), INPUT))
    for value in list(graph.input) + list(graph.output):
        if value.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
            found.append("{} is not float32".format(value.name))
        if 0 in (dims_of(value) or [0]):
            found.append("{} has no static shape".format(value.name))
    found.extend("{} is an output and a constant".format(o.name) for o in graph.output if o.name in constants)
    return found


def _axis(node: NodeProto) -> int:
    return next((a.i for a in node.attribute if a.name == "axis"), 1)


def _special(node: NodeProto, opset: int, values: Dict[str, np.ndarray], shapes: Dict[str, List[int]]) -> List[str]:
    """Rules that belong to one operator."""
    if node.op_type == "PRelu" and values[node.input[1]].shape != (shapes[node.input[0]][1], 1, 1):
        return ["{}: the slope is not (C, 1, 1)".format(node.name)]
    rank = len(shapes.get(node.input[0], [])) if node.input else 0
    if node.op_type == "Softmax" and opset < 13 and _axis(node) not in (-1, rank - 1):
        return ["{}: a Softmax along an inner axis means something else before opset 13".format(node.name)]
    return []


def _node(node: NodeProto, opset: int, values: Dict[str, np.ndarray], shapes: Dict[str, List[int]]) -> List[str]:
    if node.op_type not in OPERATORS:
        return ["{}: {} is not known to work".format(node.name, node.op_type)]
    static = _STATIC.get(node.op_type, ())
    found = [
        "{}: {} is calculated and not a constant".format(node.name, name)
        for i, name in enumerate(node.input) if i in static and name and name not in values]
    for i, name in enumerate(node.input):
        if name in values and values[name].dtype == np.int64 and i not in static:
            found.append("{}: calculates with the int64 {}".format(node.name, name))
    if any(0 in (shapes.get(name) or [0]) for name in node.output):
        found.append("{}: the output has no static shape".format(node.name))
    return found or _special(node, opset, values, shapes)


def lint(model: ModelProto) -> List[str]:
    """What TensorRT 8.2 would refuse, misread or overflow in float16; one line each, empty where nothing is wrong."""
    graph = model.graph
    values = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    found = _header(model) + _interface(graph, set(values))
    try:
        shapes = inferred_shapes(model)
    except ValueError as e:
        return found + [str(e)]
    opset = max([o.version for o in model.opset_import if o.domain in ("", "ai.onnx")] or [0])
    for node in graph.node:
        found += _node(node, opset, values, shapes)
    names = [node.name for node in graph.node]
    doubtful = {name for name in names if names.count(name) > 1 or not name}
    found.extend("the name {!r} is not that of one node".format(name) for name in sorted(doubtful))
    for name, array in values.items():
        if array.dtype not in (np.float32, np.int64):
            found.append("{} is {}: only float32, and int64 for shapes".format(name, array.dtype))
        elif array.dtype == np.float32 and array.size and not np.abs(array).max() <= MAX_FLOAT16:
            found.append("{} does not fit float16".format(name))
    return found
