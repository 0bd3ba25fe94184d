"""A graph as the rules of `nanoface models lint` look at it: constants, shapes and uses by name, and what a rule finds."""
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference

from engines.convert.graph import dims_of

FAULT, WARNING = "fault", "warning"
OWN_DOMAINS = ("", "ai.onnx")  # of ONNX itself


class Finding(NamedTuple):
    """A fault is refused or misread; a warning works, but costs or risks something."""

    severity: str  # FAULT or WARNING
    place: str  # a node or a tensor; "" for the whole file
    text: str

    @property
    def line(self) -> str:
        return "{}: {}".format(self.place, self.text) if self.place else self.text


class View:
    """Read only. Raises nothing: what cannot be read is in `damage`, and its value or shape is unknown."""

    def __init__(self, model: ModelProto) -> None:
        self.model, self.graph = model, model.graph
        self.damage: List[Finding] = []
        self.opset = max([o.version for o in model.opset_import if o.domain in OWN_DOMAINS] or [0])
        self.tensors: Dict[str, TensorProto] = dict(_constants(model))
        self.values: Dict[str, np.ndarray] = {}
        for name, tensor in self.tensors.items():
            self._read(name, tensor)
        self.uses: Dict[str, List[NodeProto]] = {}
        for node in self.graph.node:
            for name in node.input:
                self.uses.setdefault(name, []).append(node)
        self.shapes, self.types = self._infer()
        self._numbers = {id(node): i for i, node in enumerate(self.graph.node)}

    @property
    def inputs(self) -> List[Any]:
        """What is fed. Old files list their initializers as inputs as well."""
        initializers = {t.name for t in self.graph.initializer}
        return [value for value in self.graph.input if value.name not in initializers]

    def place(self, node: NodeProto) -> str:
        return node.name or "node {} ({})".format(self._numbers[id(node)], node.op_type)

    def shape(self, name: str) -> Optional[List[int]]:
        """None where it is not known or not static. A scalar has []."""
        if name in self.tensors:
            return list(self.tensors[name].dims)
        shape = self.shapes.get(name)
        return None if shape is None or 0 in shape else shape

    def value(self, node: NodeProto, position: int) -> Optional[np.ndarray]:
        """The constant at an input, None where there is none or it is calculated."""
        name = operand(node, position)
        return self.values.get(name) if name else None

    def is_calculated(self, node: NodeProto, position: int) -> bool:
        name = operand(node, position)
        return bool(name) and name not in self.tensors

    def type_of(self, name: str) -> int:
        """ONNX's number of the element type, 0 where it is not known."""
        return self.tensors[name].data_type if name in self.tensors else self.types.get(name, 0)

    def _read(self, name: str, tensor: TensorProto) -> None:
        if tensor.data_location == TensorProto.EXTERNAL:
            self.damage.append(Finding(FAULT, name, "its values lie in another file: keep the network in one"))
            return
        try:
            self.values[name] = numpy_helper.to_array(tensor)
        except (ValueError, TypeError, KeyError) as e:
            text = "its values cannot be read ({})".format(" ".join(str(e).split())[:100])
            self.damage.append(Finding(FAULT, name, text))

    def _infer(self) -> Tuple[Dict[str, List[int]], Dict[str, int]]:
        """What ONNX tells of the tensors; what the file declares of its outputs is not trusted."""
        bare = ModelProto()
        bare.CopyFrom(self.model)
        del bare.graph.value_info[:]
        for output in bare.graph.output:
            output.ClearField("type")
        try:
            graph = shape_inference.infer_shapes(bare).graph
        except (shape_inference.InferenceError, RuntimeError, ValueError):
            self.damage.append(Finding(FAULT, "", "contradictory shapes: ONNX itself cannot follow the graph"))
            graph = self.graph
        values = list(graph.input) + list(graph.value_info) + list(graph.output)
        known = [v for v in values if v.type.tensor_type.HasField("shape")]
        return {v.name: dims_of(v) for v in known}, {v.name: v.type.tensor_type.elem_type for v in values}


def _constants(model: ModelProto) -> Iterator[Tuple[str, TensorProto]]:
    for tensor in model.graph.initializer:
        yield tensor.name, tensor
    for node in model.graph.node:
        if node.op_type == "Constant":
            for a in node.attribute:
                if a.name == "value":
                    yield node.output[0], a.t
                elif a.name.startswith("value_"):
                    yield node.output[0], numpy_helper.from_array(np.asarray(helper.get_attribute_value(a)))


def operand(node: NodeProto, position: int) -> str:
    """The name at an input; empty where it was left out."""
    return node.input[position] if position < len(node.input) else ""


def attribute(node: NodeProto, name: str, default: Any) -> Any:
    """An attribute's value, text as text."""
    for a in node.attribute:
        if a.name == name:
            value = helper.get_attribute_value(a)
            return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return default


def type_name(number: int) -> str:
    return onnx.TensorProto.DataType.Name(number).lower() if number else "of unknown type"
