"""PRelu as ONNX Runtime runs it fastest on a CPU."""
from typing import List, Optional, Set

from onnx import ModelProto, NodeProto, helper


def _lowered(node: NodeProto) -> List[NodeProto]:
    """max(x, 0) + slope * min(x, 0), with min(x, 0) = x - max(x, 0). Exact: one of the two terms is always zero."""
    (x, slope), out = node.input, node.output[0]
    positive, negative, scaled = out + ".positive", out + ".negative", out + ".scaled"
    return [
        helper.make_node("Relu", [x], [positive], name=positive),
        helper.make_node("Sub", [x, positive], [negative], name=negative),
        helper.make_node("Mul", [negative, slope], [scaled], name=scaled),
        helper.make_node("Add", [positive, scaled], [out], name=node.name),
    ]


def without_prelu(model: ModelProto) -> Optional[ModelProto]:
    """A copy of `model` with every PRelu spelled out; None where it has none."""
    kinds = {n.op_type for n in model.graph.node}  # type: Set[str]
    if "PRelu" not in kinds:
        return None
    variant = ModelProto()
    variant.CopyFrom(model)
    del variant.graph.node[:]
    for node in model.graph.node:
        variant.graph.node.extend(_lowered(node) if node.op_type == "PRelu" else [node])
    return variant
