"""MXNet to ONNX, for the faster-mobile-retinaface networks."""
import re
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np
from onnx import ModelProto

from edge.core.errors import ModelError
from engines.convert.graph import BatchNorm, Graph, Kernel, fold
from engines.convert.mx_file import MxNode, MxSymbol, read_params, read_symbol

_INPUT = (1, 3, 240, 320)
_OPSET = 13  # the first in which Softmax works along one axis
_STRIDE = re.compile(r"stride(\d+)$")
_NORM_EPS = 1e-3  # MXNet's default


def _pair(node: MxNode, attribute: str, default: int) -> Tuple[int, int]:
    numbers = re.findall(r"\d+", node.attributes.get(attribute, "")) or [str(default)] * 2
    return int(numbers[0]), int(numbers[1])


def _true(node: MxNode, attribute: str, default: str) -> bool:
    return node.attributes.get(attribute, default) in ("True", "1")


class _Translation:
    """The state of one conversion. A tensor is known by the index of its node."""

    def __init__(
            self, symbol: MxSymbol, params: Dict[str, np.ndarray], graph: Graph, outputs: Mapping[int, str]) -> None:
        self.nodes, self.params, self.graph, self.outputs = symbol.nodes, params, graph, outputs
        self.tensors: Dict[int, str] = {}
        self.sizes: Dict[int, Tuple[int, ...]] = {}  # (C, H, W)
        self.norms: Dict[int, int] = {}  # convolution -> the normalisation that is folded into it
        readers = [i for node in symbol.nodes for i in node.inputs]
        for index, node in enumerate(symbol.nodes):
            if node.op == "BatchNorm":
                source = node.inputs[0]
                if symbol.nodes[source].op != "Convolution" or readers.count(source) != 1:
                    raise ModelError("{} does not follow a convolution".format(node.name))
                self.norms[source] = index

    def name(self, index: int) -> str:
        return self.outputs.get(index, self.nodes[index].name)

    def put(self, index: int, tensor: str, size: Sequence[int]) -> None:
        self.tensors[index], self.sizes[index] = tensor, tuple(size)

    def norm(self, index: int) -> BatchNorm:
        node = self.nodes[index]
        gamma, beta, mean, variance = (self.params[self.nodes[i].name] for i in node.inputs[1:5])
        if _true(node, "fix_gamma", "True"):
            gamma = np.ones_like(gamma)
        return BatchNorm(gamma, beta, mean, variance, float(node.attributes.get("eps", _NORM_EPS)))


def _convolution(t: _Translation, index: int) -> None:
    node = t.nodes[index]
    weight = t.params[t.nodes[node.inputs[1]].name]
    bias = None if _true(node, "no_bias", "False") else t.params[t.nodes[node.inputs[2]].name]
    if index in t.norms:
        weight, bias = fold(weight, bias, t.norm(t.norms[index]))
    strides, (top, left), dilations = _pair(node, "stride", 1), _pair(node, "pad", 0), _pair(node, "dilate", 1)
    kernel = Kernel(strides, (top, left, top, left), dilations, int(node.attributes.get("num_group", 1)))
    size = [
        (n + 2 * pad - dilation * (window - 1) - 1) // stride + 1
        for n, pad, dilation, window, stride in zip(
            t.sizes[node.inputs[0]][1:], (top, left), dilations, weight.shape[2:], strides)]
    tensor = t.graph.conv(t.name(index), t.tensors[node.inputs[0]], weight, bias, kernel)
    t.put(index, tensor, [weight.shape[0]] + size)


def _norm(t: _Translation, index: int) -> None:
    source = t.nodes[index].inputs[0]
    t.put(index, t.tensors[source], t.sizes[source])


def _activation(t: _Translation, index: int) -> None:
    node = t.nodes[index]
    if node.attributes.get("act_type") != "relu":
        raise ModelError("{} is an activation that no known network uses".format(node.name))
    t.put(index, t.graph.add("Relu", t.name(index), [t.tensors[node.inputs[0]]]), t.sizes[node.inputs[0]])


def _upsampling(t: _Translation, index: int) -> None:
    node, (channels, height, width) = t.nodes[index], t.sizes[t.nodes[index].inputs[0]]
    if node.attributes.get("sample_type") != "nearest":
        raise ModelError("{} is not a nearest-neighbour upsampling".format(node.name))
    scale, name = int(node.attributes["scale"]), t.name(index)
    inputs = [t.tensors[node.inputs[0]], t.graph.constant(name + ".roi", []),
              t.graph.constant(name + ".scales", [1, 1, scale, scale])]
    tensor = t.graph.add(
        "Resize", name, inputs, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    t.put(index, tensor, (channels, height * scale, width * scale))


def _crop(t: _Translation, index: int) -> None:
    """Cut the first input at the bottom and on the right to the size of the second; nothing to do at even sizes."""
    source, like = t.nodes[index].inputs[:2]
    if _pair(t.nodes[index], "offset", 0) != (0, 0) or _true(t.nodes[index], "center_crop", "False"):
        raise ModelError("{} does not crop from the top left".format(t.nodes[index].name))
    size, tensor = t.sizes[source][:1] + t.sizes[like][1:], t.tensors[source]
    if size != t.sizes[source]:
        name = t.name(index)
        bounds = (("starts", (0, 0)), ("ends", size[1:]), ("axes", (2, 3)))
        tensor = t.graph.add(
            "Slice", name, [tensor] + [t.graph.constant(name + "." + part, v, np.int64) for part, v in bounds])
    t.put(index, tensor, size)


def _add(t: _Translation, index: int) -> None:
    inputs = t.nodes[index].inputs
    t.put(index, t.graph.add("Add", t.name(index), [t.tensors[i] for i in inputs]), t.sizes[inputs[0]])


def _concat(t: _Translation, index: int) -> None:
    inputs = t.nodes[index].inputs
    if t.nodes[index].attributes.get("dim", "1") != "1":
        raise ModelError("{} does not join channels".format(t.nodes[index].name))
    size = (sum(t.sizes[i][0] for i in inputs),) + t.sizes[inputs[0]][1:]
    t.put(index, t.graph.add("Concat", t.name(index), [t.tensors[i] for i in inputs], axis=1), size)


def _reshape(t: _Translation, index: int) -> None:
    """Shapes of the form (0, c, -1, 0), where 0 keeps a dimension: channels become rows or rows channels."""
    node = t.nodes[index]
    size = t.sizes[node.inputs[0]]
    zero, channels, rest, keep = (int(n) for n in re.findall(r"-?\d+", node.attributes["shape"]))
    if (zero, rest, keep) != (0, -1, 0):
        raise ModelError("{} has a shape that no known network uses".format(node.name))
    after = (channels, size[0] * size[1] // channels, size[2])
    t.put(index, t.graph.reshape(t.name(index), t.tensors[node.inputs[0]], (1,) + after), after)


def _softmax(t: _Translation, index: int) -> None:
    node = t.nodes[index]
    if node.attributes.get("mode") != "channel":
        raise ModelError("{} is not a softmax over the channels".format(node.name))
    t.put(index, t.graph.add("Softmax", t.name(index), [t.tensors[node.inputs[0]]], axis=1), t.sizes[node.inputs[0]])


_EMIT = {
    "Convolution": _convolution,
    "BatchNorm": _norm,
    "Activation": _activation,
    "UpSampling": _upsampling,
    "Crop": _crop,
    "elemwise_add": _add,
    "Concat": _concat,
    "Reshape": _reshape,
    "SoftmaxActivation": _softmax,
}


def _output_names(symbol: MxSymbol) -> Dict[int, str]:
    """Index of a head -> cls_<stride> or bbox_<stride>, from upstream's names such as face_rpn_bbox_pred_stride16."""
    names = {}
    for index in symbol.heads:
        upstream = symbol.nodes[index].name
        stride = _STRIDE.search(upstream)
        if stride is None:
            raise ModelError("the output {} has no stride in its name".format(upstream))
        names[index] = "{}_{}".format("cls" if "_cls_" in upstream else "bbox", stride.group(1))
    return names


def _files(files: Sequence[str]) -> List[str]:
    found = [f for ending in (".json", ".params") for f in files if f.endswith(ending)]
    if len(found) != 2:
        raise ModelError("an MXNet network needs a .json and a .params file, not {}".format(", ".join(files)))
    return found


def convert(files: Sequence[str], options: Mapping[str, Any]) -> ModelProto:
    """options: input [1, 3, H, W]. Outputs for each stride: cls_<stride> (1, 4, h, w), probabilities, face = the last
    two channels; bbox_<stride> (1, 8, h, w).
    """
    symbol_file, params_file = _files(files)
    symbol, shape = read_symbol(symbol_file), tuple(options.get("input") or _INPUT)
    outputs = _output_names(symbol)
    graph = Graph("mxnet", _OPSET)
    t = _Translation(symbol, read_params(params_file), graph, outputs)
    for index, node in enumerate(symbol.nodes):
        if node.name == "data":
            t.put(index, graph.input(shape), shape[1:])
        elif node.op != "null":
            if node.op not in _EMIT:
                raise ModelError("the operator {} of the network is not supported".format(node.op))
            _EMIT[node.op](t, index)
    return graph.model(list(outputs.values()))
