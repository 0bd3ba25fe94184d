"""A graph as the rules of `nanoface models lint` look at it: constants, shapes and uses by name, and what a rule finds."""
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference

from engines.convert.graph import dims_of

FAULT, WARNING = "fault", "warning"
OWN_DOMAINS = ("", "ai.onnx")  # of ONNX itself
# What reading a node or a tensor raises that is not what ONNX says of it
MALFORMED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError, MemoryError)
# attributes of a Constant that are no tensor -> the type of its output
CONSTANT_NUMBERS = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}


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
        self.model, self.graph, self.nodes = model, model.graph, list(model.graph.node)
        self.damage: List[Finding] = []
        self.opset = max([o.version for o in model.opset_import if o.domain in OWN_DOMAINS] or [0])
        self.tensors: Dict[str, TensorProto] = dict(_constants(model))
        self.values: Dict[str, np.ndarray] = {}
        for name, tensor in self.tensors.items():
            self._read(name, tensor)
        self.uses: Dict[str, List[NodeProto]] = {}
        for node in self.nodes:
            for name in node.input:
                self.uses.setdefault(name, []).append(node)
        self._numbers = {output: i for i, node in enumerate(self.nodes) for output in node.output if output}
        self.shapes, self.types = self._infer()

    @property
    def inputs(self) -> List[Any]:
        """What is fed. Old files list their initializers as inputs as well."""
        initializers = {t.name for t in self.graph.initializer}
        return [value for value in self.graph.input if value.name not in initializers]

    def place(self, node: NodeProto) -> str:
        """By its name, else by its number, which its outputs tell: a tensor has one source."""
        number = next((str(self._numbers[output]) for output in node.output if output), "without an output")
        return node.name or "node {} ({})".format(number, node.op_type)

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
        except MALFORMED as e:
            text = "its values cannot be read ({})".format(" ".join(str(e).split())[:100])
            self.damage.append(Finding(FAULT, name, text))

    def _infer(self) -> Tuple[Dict[str, List[int]], Dict[str, int]]:
        """What ONNX tells of the tensors; what the file declares of its outputs is not trusted."""
        unlike = [finding for node in self.nodes for finding in self._unlike_onnx(node)]
        self.damage += unlike
        try:
            graph = self.graph if unlike else shape_inference.infer_shapes(self._bare()).graph
        except (shape_inference.InferenceError, RuntimeError, ValueError, TypeError):
            self.damage.append(Finding(FAULT, "", "contradictory shapes: ONNX itself cannot follow the graph"))
            graph = self.graph
        values = list(graph.input) + list(graph.value_info) + list(graph.output)
        shapes = {t.name: list(t.dims) for t in graph.initializer}  # also of what _bare() has folded
        shapes.update((v.name, dims_of(v)) for v in values if v.type.tensor_type.HasField("shape"))
        types = {t.name: t.data_type for t in graph.initializer}
        types.update((v.name, v.type.tensor_type.elem_type) for v in values)
        return shapes, types

    def _unlike_onnx(self, node: NodeProto) -> Iterator[Finding]:
        """What ONNX has otherwise; its shape inference (of 1.11) does not look and takes the process with it."""
        try:
            schema = onnx.defs.get_schema(node.op_type, self.opset, "")
        except onnx.defs.SchemaError:
            return
        for what, count, least, most in (("inputs", len(node.input), schema.min_input, schema.max_input),
                                         ("outputs", len(node.output), schema.min_output, schema.max_output)):
            if node.domain in OWN_DOMAINS and not least <= count <= most:
                yield Finding(FAULT, self.place(node), "{} {}: {} of opset {} has {} to {}".format(
                    count, what, node.op_type, self.opset, least, most))
        weight = self.tensors.get(operand(node, 1)) if node.op_type in ("Conv", "ConvTranspose") else None
        if weight is not None and len(weight.dims) < 3:
            yield Finding(FAULT, self.place(node), "a weight of rank {}: there are 3 to 5".format(len(weight.dims)))
        if any(a.name == "strides" and 0 in a.ints for a in node.attribute):
            yield Finding(FAULT, self.place(node), "a stride of 0")

    def _bare(self) -> ModelProto:
        """The model without what it declares; an Identity of a constant is that constant, whose numbers make shapes."""
        bare = ModelProto()
        bare.CopyFrom(self.model)
        del bare.graph.value_info[:]
        for output in bare.graph.output:
            output.ClearField("type")
        del bare.graph.node[:]
        constants, kept = dict(self.tensors), {output.name for output in bare.graph.output}
        for node in self.nodes:
            tensor = constants.get(node.input[0]) if node.op_type == "Identity" and node.input else None
            if tensor is None or not node.output or node.output[0] in kept:
                bare.graph.node.add().CopyFrom(node)
            else:
                folded = constants[node.output[0]] = bare.graph.initializer.add()
                folded.CopyFrom(tensor)
                folded.name = node.output[0]
        return bare


def _constants(model: ModelProto) -> Iterator[Tuple[str, TensorProto]]:
    for tensor in model.graph.initializer:
        yield tensor.name, tensor
    for node in model.graph.node:
        if node.op_type == "Constant" and node.output:
            for a in node.attribute:
                if a.name == "value":
                    yield node.output[0], a.t
                elif a.name in CONSTANT_NUMBERS:
                    value = np.asarray(helper.get_attribute_value(a), CONSTANT_NUMBERS[a.name])
                    yield node.output[0], numpy_helper.from_array(value)


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
    known = number and number in onnx.TensorProto.DataType.values()
    return onnx.TensorProto.DataType.Name(number).lower() if known else "of unknown type"
