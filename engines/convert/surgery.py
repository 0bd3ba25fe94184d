"""ONNX to ONNX: another static input size or an open one, initializers out of the inputs, names that a reader can follow."""
import re
import warnings
from os.path import basename
from typing import Any, Dict, List, Mapping, Sequence

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, helper, numpy_helper

from edge.core.errors import ModelError
from edge.store.models import HEIGHT, WIDTH
from engines.convert.graph import INPUT, finish

# What the inputs of an operator are, for initializers that upstream only numbered.
_ROLES = {"Conv": ("x", "weight", "bias"), "Reshape": ("x", "shape"), "Resize": ("x", "roi", "scales")}
_NUMBER = re.compile(r"\d+$")
_ALL = 2 ** 31 - 1  # as the end of a slice: to the border


def _load(path: str) -> ModelProto:
    with open(path, "rb") as f:
        data = f.read()
    model = ModelProto()
    try:
        with warnings.catch_warnings(record=True) as incomplete:  # protobuf 3.19 warns and leaves out the rest
            warnings.simplefilter("always", RuntimeWarning)
            model.ParseFromString(data)
    except DecodeError as e:
        raise ValueError("not an ONNX file") from e
    if incomplete or not model.graph.node or not model.opset_import:
        raise ValueError("no graph")
    return model


def _new_names(graph: "onnx.GraphProto", outputs: Mapping[str, str]) -> Dict[str, str]:
    """Old tensor name -> new one: outputs as asked, inner tensors by their node, numbered initializers by their use."""
    constants = {t.name for t in graph.initializer}
    inputs = [i.name for i in graph.input if i.name not in constants]
    if len(inputs) != 1:
        raise ModelError("a network with one input is expected, not {}".format(len(inputs)))
    names = {inputs[0]: INPUT}
    names.update({old: new for new, old in outputs.items()})
    for index, node in enumerate(graph.node):
        own = node.name or "{}_{}".format(node.op_type, index)
        if len(node.output) != 1:
            raise ModelError("the node {} has {} outputs; one is expected".format(own, len(node.output)))
        names.setdefault(node.output[0], own)
        roles = _ROLES.get(node.op_type, ())
        for position, name in enumerate(node.input):
            if name in constants and _NUMBER.match(name):
                role = roles[position] if position < len(roles) else "constant_{}".format(position)
                names.setdefault(name, "{}.{}".format(own, role))
    return names


def _constants(graph: "onnx.GraphProto", names: Mapping[str, str]) -> "List[onnx.TensorProto]":
    """The initializers that are used, renamed."""
    used = {name for node in graph.node for name in node.input}
    return [
        numpy_helper.from_array(numpy_helper.to_array(tensor), names.get(tensor.name, tensor.name))
        for tensor in graph.initializer if tensor.name in used]


def _nodes(graph: "onnx.GraphProto", names: Mapping[str, str]) -> "List[onnx.NodeProto]":
    nodes = []
    for old in graph.node:
        node = onnx.NodeProto()
        node.CopyFrom(old)
        node.ClearField("doc_string")
        node.name = names[old.output[0]]
        node.input[:] = [names.get(name, name) for name in old.input]
        node.output[:] = [node.name]
        nodes.append(node)
    return nodes


def convert(files: Sequence[str], options: Mapping[str, Any]) -> ModelProto:
    """options: input [N, C, H, W]; outputs {new name: upstream name}, left out: all of them, with upstream's names."""
    source = _load(files[0])
    graph = source.graph
    outputs = dict(options.get("outputs") or {o.name: o.name for o in graph.output})
    unknown = sorted(set(outputs.values()) - {o.name for o in graph.output})
    if unknown:
        raise ModelError("{} has no output {}".format(basename(files[0]), ", ".join(unknown)))
    names = _new_names(graph, outputs)
    renamed = helper.make_graph(
        _nodes(graph, names), graph.name,
        [helper.make_tensor_value_info(INPUT, onnx.TensorProto.FLOAT, list(options["input"]))],
        [helper.make_empty_tensor_value_info(new) for new in outputs], initializer=_constants(graph, names))
    return finish(renamed, max(o.version for o in source.opset_import if o.domain in ("", "ai.onnx")))


def any_size(model: ModelProto) -> ModelProto:
    """A copy of `model`, which sees (1, 3, H, W) or (1, H, W, 3), with H and W left open: whoever runs it sets both before it
    is loaded, to multiples of what its strides need. Raises ModelError where a node holds at one size alone."""
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
            _put(constants[node.input[2]], np.full(len(numpy_helper.to_array(constants[node.input[2]])), _ALL, np.int64))
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
