"""ONNX to ONNX: another static input size, initializers out of the inputs, names that a reader can follow."""
import re
import warnings
from os.path import basename
from typing import Any, Dict, List, Mapping, Sequence

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, helper, numpy_helper

from edge.core.errors import ModelError
from engines.convert.graph import INPUT, finish

# What the inputs of an operator are, for initializers that upstream only numbered.
_ROLES = {"Conv": ("x", "weight", "bias"), "Reshape": ("x", "shape"), "Resize": ("x", "roi", "scales")}
_NUMBER = re.compile(r"\d+$")


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
