"""A graph in another opset of ONNX, where every operator of it means the same there.

Opsets differ by operator: a later one takes more types, has an attribute as an input, or means something else by the same
words. ALIKE has where only the first is so; Pad and Clip are written anew where they differ by the second; the rest is
refused.
"""
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, helper, numpy_helper

from edge.core.errors import ConfigError

LOWEST, HIGHEST = 7, 15  # that are written: the oldest onnx and ONNX Runtime of ours know no newer one
INPUTS_FROM = 11  # Pad and Clip have their numbers as inputs, and axes may be negative
PADS, LIMITS = ("pads", "value"), ("min", "max")  # what those inputs are called before
# operator -> spans of opsets, each within which it means the same; what a node has that one of them lacks is looked for
ALIKE: Mapping[str, Sequence[Tuple[int, int]]] = {
    "Cast": ((9, 15),), "Clip": ((11, 15),), "Pad": ((11, 15),), "ReduceSum": ((7, 12), (13, 15)), "Resize": ((11, 15),),
    "Slice": ((11, 15),), "Softmax": ((7, 12), (13, 15)),
}
ALIKE = dict(ALIKE, **dict.fromkeys((
    "Abs Add AveragePool Concat Conv DepthToSpace Div Flatten Floor Gather Gemm GlobalAveragePool MaxPool Mul Neg PRelu "
    "ReduceMax ReduceMin Relu Reshape Sigmoid Sqrt Sub Transpose").split(), ((7, 15),)))
# of the version of ONNX that an opset came with, but that in IR 3 constants would have to be listed as inputs
IR_VERSIONS = {7: 4, 8: 4, 9: 4, 10: 5, 11: 6, 12: 7, 13: 7, 14: 7, 15: 8}


def in_opset(model: ModelProto, opset: int, name: str) -> ModelProto:
    """A copy; `name` is the network's. Raises ConfigError for an opset that it cannot be written in."""
    if not LOWEST <= opset <= HIGHEST:
        raise ConfigError("--opset {}: {} to {} can be written".format(opset, LOWEST, HIGHEST))
    own = max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes = [_node(node, own, opset, constants) for node in model.graph.node]
    different = sorted({old.op_type for old, new in zip(model.graph.node, nodes) if new is None})
    if different:
        raise ConfigError("{} cannot be written in opset {}: {} {} else there; its own is {}".format(
            name, opset, " and ".join(different), "is something" if len(different) == 1 else "are something", own))
    copy = ModelProto()
    copy.CopyFrom(model)
    del copy.opset_import[:], copy.graph.node[:], copy.graph.initializer[:]
    copy.opset_import.extend([helper.make_opsetid("", opset)])
    copy.ir_version = IR_VERSIONS[opset]
    copy.graph.node.extend(node for node in nodes if node is not None)
    used = {name for node in copy.graph.node for name in node.input}
    copy.graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in used)
    return copy


def _node(node: NodeProto, own: int, opset: int, constants: Mapping[str, np.ndarray]) -> Optional[NodeProto]:
    """The same in another opset; None where there is none."""
    if node.op_type in ("Pad", "Clip") and opset < INPUTS_FROM <= own:
        return _with_attributes(node, PADS if node.op_type == "Pad" else LIMITS, constants)
    if not any(first <= own <= last and first <= opset <= last for first, last in ALIKE.get(node.op_type, ())):
        return None
    if opset < INPUTS_FROM <= own and _counts_from_the_end(node, constants):
        return None
    schema, old = (onnx.defs.get_schema(node.op_type, version, "") for version in (opset, own))
    if not schema.min_input <= len(node.input) <= schema.max_input:
        return None
    copy = NodeProto()
    copy.CopyFrom(node)
    del copy.attribute[:]
    for attribute in node.attribute:
        if attribute.name in schema.attributes:
            copy.attribute.extend([attribute])
        elif attribute.SerializeToString() != _default(old, attribute).SerializeToString():
            return None
    return copy


def _default(schema: "onnx.defs.OpSchema", attribute: "onnx.AttributeProto") -> "onnx.AttributeProto":
    """What an attribute is where it is not written."""
    default = onnx.AttributeProto()
    default.CopyFrom(schema.attributes[attribute.name].default_value)
    default.name, default.doc_string = attribute.name, attribute.doc_string
    if not attribute.doc_string:
        default.ClearField("doc_string")
    return default


def _counts_from_the_end(node: NodeProto, constants: Mapping[str, np.ndarray]) -> bool:
    """Whether axes or places are negative, or may be."""
    axes = [n for a in node.attribute if a.name in ("axis", "axes") for n in [a.i] + list(a.ints)]
    places = constants.get(node.input[1]) if node.op_type == "Gather" else np.zeros(1)
    return any(n < 0 for n in axes) or places is None or bool((places < 0).any())


def _with_attributes(node: NodeProto, names: Tuple[str, str], constants: Mapping[str, np.ndarray]) -> Optional[NodeProto]:
    """Of a node whose further inputs are constants."""
    kept: Dict[str, Any] = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    for name, given in zip(names, list(node.input)[1:]):
        if given and given not in constants:
            return None
        if given:
            numbers: List[float] = constants[given].ravel().tolist()
            kept[name] = [int(n) for n in numbers] if name == "pads" else float(numbers[0])
    if len(node.input) > 1 + len(names) and node.input[3]:  # the axes of newer ones
        return None
    return helper.make_node(node.op_type, [node.input[0]], list(node.output), name=node.name, **kept)
