"""What the importers of TensorRT 8.2 ask of single operators. Read in onnx-tensorrt release/8.2-GA.

A rule takes the view and a node and yields what is wrong with it; RULES has them by operator.
"""
from typing import Any, Callable, Dict, Iterator, Mapping, NamedTuple, Tuple

import numpy as np
from onnx import NodeProto, TensorProto

from engines.lintgraph import FAULT, WARNING, Finding, View, attribute, operand, type_name

Rule = Callable[[View, NodeProto], Iterator[Finding]]

# Inputs whose values the importer takes out of the file: operator -> position: what it is
WEIGHTS: Mapping[str, Mapping[int, str]] = {
    "BatchNormalization": {1: "the scale", 2: "the bias", 3: "the mean", 4: "the variance"},
    "Conv": {1: "the weight", 2: "the bias"},
    "ConvTranspose": {1: "the weight", 2: "the bias"},
    "CumSum": {1: "the axis"},
    "InstanceNormalization": {1: "the scale", 2: "the bias"},
    "NonMaxSuppression": {2: "the limit", 3: "the IoU", 4: "the threshold"},
    "Pad": {1: "the padding", 2: "the fill value"},
    "Resize": {2: "the scales"},
    "Slice": {3: "the axes", 4: "the steps"},
    "Split": {1: "the sizes"},
    "Squeeze": {1: "the axes"},
    "TopK": {1: "K"},
    "Unsqueeze": {1: "the axes"},
    "Upsample": {1: "the scales"},
}
# Inputs that may be calculated as long as the shape of the output can still be told
SHAPES = {"Expand": (1,), "Reshape": (1,), "Resize": (3,), "Slice": (1, 2), "Tile": (1,), "ConstantOfShape": (0,),
          "Range": (0, 1, 2)}
PAD_MODES = ("constant", "edge", "reflect")
RESIZE_COORDINATES = ("asymmetric", "align_corners", "half_pixel", "pytorch_half_pixel", "tf_half_pixel_for_nn")
CASTS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT32, TensorProto.BOOL, TensorProto.INT8,
         TensorProto.INT64, TensorProto.DOUBLE)
INTEGERS = (TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL)
MOST_INT32 = 2 ** 31 - 1


class _Say(NamedTuple):
    """Findings of one node."""

    place: str

    def fault(self, text: str, *values: Any) -> Finding:
        return Finding(FAULT, self.place, text.format(*values))

    def warning(self, text: str, *values: Any) -> Finding:
        return Finding(WARNING, self.place, text.format(*values))


def inputs(view: View, node: NodeProto) -> Iterator[Finding]:
    """Inputs that must be constants, of any operator that has such."""
    say = _Say(view.place(node))
    weights = WEIGHTS.get(node.op_type, {})
    if node.op_type == "Resize" and view.opset < 11:
        weights = {1: "the scales"}
    for position, what in weights.items():
        if view.is_calculated(node, position):
            yield say.fault("{}, {}, is calculated and not a constant: fold constants", what, node.input[position])
    for position in SHAPES.get(node.op_type, ()):
        if view.is_calculated(node, position):
            name = node.input[position]
            if view.shape(node.output[0]) is None:
                yield say.fault("{} is calculated and the output has no static shape: fold constants", name)
            else:
                yield say.warning("{} is calculated: fold constants", name)


def _windows(view: View, node: NodeProto) -> Iterator[Finding]:
    """Convolutions and pools: TensorRT's slide in two or three dimensions."""
    shape = view.shape(operand(node, 0))
    if shape is not None and len(shape) not in (4, 5):
        yield _Say(view.place(node)).fault("a {} over {} axes: TensorRT has 2 and 3", node.op_type, len(shape) - 2)


def _max_pool(view: View, node: NodeProto) -> Iterator[Finding]:
    say = _Say(view.place(node))
    if len(node.output) > 1 and node.output[1]:
        yield say.fault("TensorRT's MaxPool has no indices: leave out the second output")
    if any(d != 1 for d in attribute(node, "dilations", [])):
        yield say.fault("TensorRT's pools have no dilation")
    for finding in _windows(view, node):
        yield finding


def _pad(view: View, node: NodeProto) -> Iterator[Finding]:
    say, mode, value = _Say(view.place(node)), attribute(node, "mode", "constant"), view.value(node, 2)
    if mode not in PAD_MODES:
        yield say.fault("a Pad of mode {}: there are {}", mode, ", ".join(PAD_MODES))
    if value is not None and value.dtype != np.float32:
        yield say.fault("the fill value is {}, and is read as if it were float32", value.dtype)
    pads = view.value(node, 1) if view.opset >= 11 else np.array(attribute(node, "pads", []))
    following = view.uses.get(node.output[0], [])
    if pads is None or len(pads) != 8 or mode != "constant" or (value is not None and np.any(value)):
        return
    if not np.any(pads[[0, 1, 4, 5]]) and len(following) == 1 and following[0].op_type == "Conv":
        yield say.warning("a layer of its own: fold the zeros into the pads of {}", view.place(following[0]))


def _resize(view: View, node: NodeProto) -> Iterator[Finding]:
    say, mode = _Say(view.place(node)), attribute(node, "mode", "nearest")
    if mode not in ("nearest", "linear"):
        yield say.fault("a Resize of mode {}: there are nearest and linear", mode)
    how = attribute(node, "coordinate_transformation_mode", "half_pixel")
    if node.op_type == "Resize" and view.opset >= 11:
        if how not in RESIZE_COORDINATES:
            yield say.fault("coordinates by {}: there are {}", how, ", ".join(RESIZE_COORDINATES))
        rounding = attribute(node, "nearest_mode", "round_prefer_floor")
        if how == "tf_half_pixel_for_nn" and rounding != "round_prefer_floor":
            yield say.fault("tf_half_pixel_for_nn with {}: only with round_prefer_floor", rounding)
    if view.type_of(operand(node, 0)) in INTEGERS:
        yield say.fault("resizes {}: only floating point is", type_name(view.type_of(node.input[0])))
    before, after = view.shape(operand(node, 0)), view.shape(node.output[0])
    if mode == "linear" and before and after and before[:-3] != after[:-3]:
        yield say.fault("linear beyond the last three axes: only these are interpolated")


def _prelu(view: View, node: NodeProto) -> Iterator[Finding]:
    say, shape, slope = _Say(view.place(node)), view.shape(operand(node, 0)), view.shape(operand(node, 1))
    if view.type_of(operand(node, 0)) in INTEGERS:
        yield say.fault("a PRelu of integers")
    if shape is None or slope is None or len(shape) < 2:
        return
    wanted = [shape[1]] + [1] * (len(shape) - 2)
    if slope == wanted or slope == [1] + wanted:
        return
    if int(np.prod(slope)) == 1:
        yield say.warning("one slope for all channels: write it as ({})", ", ".join(str(n) for n in wanted))
    else:
        yield say.fault("the slope is {} and not ({}): it would be spread along another axis than the channels",
                        tuple(slope), ", ".join(str(n) for n in wanted))


def _clip(view: View, node: NodeProto) -> Iterator[Finding]:
    say = _Say(view.place(node))
    for position, what in ((1, "lower"), (2, "upper")):
        value = view.value(node, position)
        if view.is_calculated(node, position):
            yield say.warning("the {} bound is calculated: two layers instead of one", what)
        elif value is not None and value.dtype != np.float32:
            yield say.fault("the {} bound is {}, and is read as if it were float32", what, value.dtype)


def _softmax(view: View, node: NodeProto) -> Iterator[Finding]:
    shape = view.shape(operand(node, 0))
    if view.opset >= 13 or shape is None:
        return
    axis = attribute(node, "axis", 1) % max(1, len(shape))
    if any(n != 1 for n in shape[axis + 1:]):
        yield _Say(view.place(node)).fault(
            "before opset 13 a {} along axis {} goes over all axes behind it as well: Transpose first", node.op_type, axis)


def _top_k(view: View, node: NodeProto) -> Iterator[Finding]:
    say, k = _Say(view.place(node)), view.value(node, 1)
    if not attribute(node, "largest", 1):
        yield say.fault("the smallest are asked for: TensorRT takes the largest all the same; negate the input")
    if k is not None and k.size != 1:
        yield say.fault("K has {} values instead of one", k.size)
    if view.type_of(operand(node, 0)) in INTEGERS:
        yield say.fault("a TopK of integers: Cast first")


def _instance_norm(view: View, node: NodeProto) -> Iterator[Finding]:
    say, shape = _Say(view.place(node)), view.shape(operand(node, 0))
    if shape is not None and len(shape) not in (3, 4, 5):
        yield say.fault("an InstanceNormalization of rank {}: 3 to 5", len(shape))
    yield say.warning("a plugin, which needs cuDNN in memory")


def _reduce(view: View, node: NodeProto) -> Iterator[Finding]:
    if node.op_type != "ReduceSum" and operand(node, 1):
        yield _Say(view.place(node)).fault("the axes are an input, which is not read: it reduces over all axes")


def _cast(view: View, node: NodeProto) -> Iterator[Finding]:
    say, to = _Say(view.place(node)), attribute(node, "to", 0)
    if to not in CASTS:
        yield say.fault("a Cast to {}, which TensorRT does not have", type_name(to))
    elif to == TensorProto.DOUBLE:
        yield say.warning("a Cast to double becomes one to float32")


def _batch_norm(view: View, node: NodeProto) -> Iterator[Finding]:
    if attribute(node, "training_mode", 0):
        yield _Say(view.place(node)).fault("a BatchNormalization in training")


def _split(view: View, node: NodeProto) -> Iterator[Finding]:
    yield _Say(view.place(node)).warning("becomes {} slices", len(node.output))


def _suppression(view: View, node: NodeProto) -> Iterator[Finding]:
    yield _Say(view.place(node)).fault("experimental, with a padded output: suppress outside the network")


def _quantised(view: View, node: NodeProto) -> Iterator[Finding]:
    yield _Say(view.place(node)).warning("INT8 is for newer GPUs: the Nano has none")


def _several(*rules: Rule) -> Rule:
    def all_of_them(view: View, node: NodeProto) -> Iterator[Finding]:
        return (finding for rule in rules for finding in rule(view, node))
    return all_of_them


def _table() -> Iterator[Tuple[str, Rule]]:
    """Operators that have rules beside those of their constant inputs."""
    for names, rule in (
            ("Conv ConvTranspose AveragePool", _windows), ("MaxPool", _max_pool), ("Pad", _pad),
            ("Resize Upsample", _resize), ("PRelu", _prelu), ("Clip", _clip), ("Softmax LogSoftmax", _softmax),
            ("TopK", _top_k), ("InstanceNormalization", _instance_norm), ("Cast", _cast), ("Split", _split),
            ("BatchNormalization", _batch_norm), ("NonMaxSuppression", _suppression),
            ("QuantizeLinear DequantizeLinear", _quantised),
            ("ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSumSquare",
             _reduce)):
        for name in names.split():
            yield name, _several(inputs, rule)


RULES: Dict[str, Rule] = dict(_table())


def of_operator(view: View, node: NodeProto) -> Iterator[Finding]:
    return RULES.get(node.op_type, inputs)(view, node)
