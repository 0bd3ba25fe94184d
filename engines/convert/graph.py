"""Builds an ONNX graph node by node, always in the same order and with the same names."""
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import onnx
from onnx import ModelProto, helper, numpy_helper, shape_inference

from edge.core.errors import ModelError

IR_VERSION = 7  # the parser of TensorRT 8.2 is built on ONNX 1.8
INPUT = "input"


class BatchNorm(NamedTuple):
    """Statistics of one batch normalisation, each (C,)."""

    gamma: np.ndarray
    beta: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    eps: float


def torch_norm(weights: Mapping[str, np.ndarray], module: str) -> BatchNorm:
    """The normalisation called `module` of a state dict. torch's default eps, which all these networks keep."""
    gamma, beta, mean, variance = (
        weights[module + "." + part] for part in ("weight", "bias", "running_mean", "running_var"))
    return BatchNorm(gamma, beta, mean, variance, 1e-5)


class Kernel(NamedTuple):
    """How a window slides: (vertical, horizontal) strides, and padding as ONNX has it: top, left, bottom, right."""

    strides: Sequence[int] = (1, 1)
    pads: Sequence[int] = (0, 0, 0, 0)
    dilations: Sequence[int] = (1, 1)
    group: int = 1


def same(size: int, stride: int = 1, group: int = 1) -> Kernel:
    """An odd square kernel, padded by half its size on every side."""
    return Kernel((stride, stride), (size // 2,) * 4, (1, 1), group)


def fold(weight: np.ndarray, bias: Optional[np.ndarray], norm: BatchNorm) -> Tuple[np.ndarray, np.ndarray]:
    """Weight (O, ...) and bias (O,) of a convolution followed by `norm`, as one. Calculated in double precision."""
    scale = norm.gamma.astype(np.float64) / np.sqrt(norm.variance.astype(np.float64) + norm.eps)
    shift = norm.beta - norm.mean * scale + (0.0 if bias is None else bias * scale)
    folded = weight * scale.reshape((-1,) + (1,) * (weight.ndim - 1))
    return folded.astype(np.float32), shift.astype(np.float32)


class Graph:
    """Nodes with one output each, which carries the name of its node."""

    def __init__(self, name: str, opset: int = 11) -> None:
        self._name, self._opset = name, opset
        self._nodes: List[onnx.NodeProto] = []
        self._constants: Dict[str, onnx.TensorProto] = {}
        self._inputs: List[onnx.ValueInfoProto] = []
        self._names = {INPUT}

    def input(self, shape: Sequence[int]) -> str:
        """Declare the one input, (N, C, H, W)."""
        self._inputs = [helper.make_tensor_value_info(INPUT, onnx.TensorProto.FLOAT, [int(n) for n in shape])]
        return INPUT

    def constant(self, name: str, values: Any, dtype: Any = np.float32) -> str:
        """An initializer. int64 is for shapes and paddings only; TensorRT casts it."""
        self._claim(name)
        self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(values, dtype=dtype), name)
        return name

    def add(self, op: str, name: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Append a node; returns the name of its output, which is `name`."""
        self._claim(name)
        self._nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name

    def conv(self, name: str, x: str, weight: np.ndarray, bias: Optional[np.ndarray], kernel: Kernel) -> str:
        """A convolution with weight (O, I/group, kh, kw)."""
        inputs = [x, self.constant(name + ".weight", weight)]
        if bias is not None:
            inputs.append(self.constant(name + ".bias", bias))
        return self.add(
            "Conv", name, inputs, kernel_shape=list(weight.shape[2:]), strides=list(kernel.strides),
            pads=list(kernel.pads), dilations=list(kernel.dilations), group=kernel.group)

    def max_pool(self, name: str, x: str, size: Sequence[int], kernel: Kernel) -> str:
        return self.add(
            "MaxPool", name, [x], kernel_shape=list(size), strides=list(kernel.strides), pads=list(kernel.pads))

    def prelu(self, name: str, x: str, slope: np.ndarray) -> str:
        """One slope a channel, shaped (C, 1, 1) as TensorRT broadcasts it."""
        return self.add("PRelu", name, [x, self.constant(name + ".slope", slope.reshape(-1, 1, 1))])

    def reshape(self, name: str, x: str, shape: Sequence[int]) -> str:
        return self.add("Reshape", name, [x, self.constant(name + ".shape", shape, np.int64)])

    def rows(self, name: str, x: str, shape: Sequence[int]) -> str:
        """(N, C, H, W) to `shape` (N, -1, k), channels last: one row for each anchor, cell after cell."""
        return self.reshape(name, self.add("Transpose", name + ".nhwc", [x], perm=[0, 2, 3, 1]), shape)

    def model(self, outputs: Sequence[str]) -> ModelProto:
        """The finished model; the shapes of its outputs are inferred. Raises ModelError where one is not static."""
        graph = helper.make_graph(
            self._nodes, self._name, self._inputs, [helper.make_empty_tensor_value_info(n) for n in outputs],
            initializer=list(self._constants.values()))
        return finish(graph, self._opset)

    def _claim(self, name: str) -> None:
        if name in self._names:
            raise ModelError("two tensors of one network are called {}".format(name))
        self._names.add(name)


def dims_of(value: "onnx.ValueInfoProto") -> List[int]:
    """Static dimensions; 0 stands for one that is not."""
    return [d.dim_value if d.HasField("dim_value") else 0 for d in value.type.tensor_type.shape.dim]


def inferred_shapes(model: ModelProto) -> Dict[str, List[int]]:
    """Tensor name -> dimensions, as far as ONNX can tell; the outputs declared in the model are not trusted. Raises
    ValueError where the shapes contradict each other.
    """
    bare = ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]
    for output in bare.graph.output:
        output.ClearField("type")
        output.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    try:
        graph = shape_inference.infer_shapes(bare).graph
    except shape_inference.InferenceError as e:
        raise ValueError("contradictory shapes") from e
    return {v.name: dims_of(v) for v in list(graph.input) + list(graph.value_info) + list(graph.output)}


def finish(graph: "onnx.GraphProto", opset: int) -> ModelProto:
    """Wrap `graph` in a model whose outputs have their inferred static shapes. Raises ModelError where they have
    none.
    """
    model = helper.make_model(graph, producer_name="nanoface", opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = IR_VERSION
    shapes = inferred_shapes(model)
    names = [output.name for output in model.graph.output]
    del model.graph.output[:]
    for name in names:
        shape = shapes.get(name, [])
        if not shape or 0 in shape:
            raise ModelError("the output {} of {} has no static shape".format(name, graph.name))
        model.graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))
    return model
