"""What the importers of TensorRT 8.2 ask of single operators. Read in onnx-tensorrt release/8.2-GA.

A rule takes the view and a node and yields what is wrong with it; RULES has them by operator.
"""
from typing import Any, Callable, Dict, Iterator, Mapping, NamedTuple, Tuple

import numpy as np
from onnx import NodeProto, TensorProto

from engines.lint.view import FAULT, WARNING, Finding, View, attribute, operand, type_name

Rule = Callable[[View, NodeProto], Iterator[Finding]]

# Inputs whose values the importer takes out of the file: operator -> position: what it is
WEIGHTS: Mapping[str, Mapping[int, str]] = {
    "Conv": {1: "the weight", 2: "the bias"},
    "ConvTranspose": {1: "the weight", 2: "the bias"},
    "CumSum": {1: "the axis"},
    "InstanceNormalization": {1: "the scale", 2: "the bias"},
    "NonMaxSuppression": {2: "the limit", 3: "the IoU", 4: "the threshold"},
    "ReduceSum": {1: "the axes"},
    "Resize": {2: "the scales"},
    "Slice": {3: "the axes"},
    "Split": {1: "the sizes"},
    "Squeeze": {1: "the axes"},
    "TopK": {1: "K"},
    "Unsqueeze": {1: "the axes"},
    "Upsample": {1: "the scales"},
}
# Inputs that may be calculated as long as the shape of the output can still be told
SHAPES = {"Expand": (1,), "Pad": (1,), "Reshape": (1,), "Resize": (3,), "Slice": (1, 2, 4), "Tile": (1,),
          "ConstantOfShape": (0,), "Range": (0, 1, 2)}
PAD_MODES = ("constant", "edge", "reflect")
RESIZE_COORDINATES = ("asymmetric", "align_corners", "half_pixel", "pytorch_half_pixel", "tf_half_pixel_for_nn")
CASTS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT32, TensorProto.BOOL, TensorProto.INT8,
         TensorProto.INT64, TensorProto.DOUBLE)
INTEGERS = (TensorProto.INT32, TensorProto.INT64)  # the parser has one type for both
BOOL = (TensorProto.BOOL,)
# Types that an importer refuses: operators, their inputs, the types
REFUSED_TYPES = (
    ("Pow PRelu Gemm MatMul", (0, 1), INTEGERS + BOOL),
    ("Resize Upsample TopK ArgMax ArgMin", (0,), INTEGERS + BOOL),
    ("LpPool LpNormalization", (0,), INTEGERS + BOOL + (TensorProto.INT8,)),
    ("Gather GatherElements GatherND DepthToSpace SpaceToDepth", (0,), BOOL),
    ("Clip", (0,), BOOL + (TensorProto.INT8,)),
    ("Where", (1, 2), BOOL),
)
# Ranks of the first input that an importer takes
RANKS = {"Conv": (3, 4, 5), "ConvTranspose": (3, 4, 5), "MaxPool": (3, 4, 5), "AveragePool": (3, 4, 5), "LpPool": (3, 4, 5),
         "InstanceNormalization": (3, 4, 5), "DepthToSpace": (4,), "SpaceToDepth": (4,), "EyeLike": (2,), "Gemm": (2,)}
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


def tensors(view: View, node: NodeProto) -> Iterator[Finding]:
    """Types and ranks, of any operator that takes some only."""
    say, ranks, shape = _Say(view.place(node)), RANKS.get(node.op_type), view.shape(operand(node, 0))
    if ranks and shape is not None and len(shape) not in ranks:
        yield say.fault("{} of rank {}: TensorRT has {}", node.op_type, len(shape), ", ".join(str(r) for r in ranks))
    for operators, positions, types in REFUSED_TYPES:
        if node.op_type in operators.split():
            for kind in sorted({view.type_of(operand(node, position)) for position in positions} & set(types)):
                yield say.fault("{} of {}: Cast first", node.op_type, type_name(kind))


def _max_pool(view: View, node: NodeProto) -> Iterator[Finding]:
    say = _Say(view.place(node))
    if len(node.output) > 1 and node.output[1]:
        yield say.fault("TensorRT's MaxPool has no indices: leave out the second output")
    if any(d != 1 for d in attribute(node, "dilations", [])):
        yield say.fault("TensorRT's pools have no dilation")


def _pad(view: View, node: NodeProto) -> Iterator[Finding]:
    say, mode, value = _Say(view.place(node)), attribute(node, "mode", "constant"), view.value(node, 2)
    if mode not in PAD_MODES:
        yield say.fault("a Pad of mode {}: there are {}", mode, ", ".join(PAD_MODES))
    whole = value is not None and value.dtype in (np.float32, np.float64, np.int32, np.int64)
    if value is not None and not (whole and (value.dtype.kind == "f" or not np.any(value))):
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
    before, after = view.shape(operand(node, 0)), view.shape(node.output[0])
    if mode == "linear" and before and after and before[:-3] != after[:-3]:
        yield say.fault("linear beyond the last three axes: only these are interpolated")


def _prelu(view: View, node: NodeProto) -> Iterator[Finding]:
    """A slope is spread as ONNX spreads it; one that would make the output larger is refused."""
    say, shape, slope = _Say(view.place(node)), view.shape(operand(node, 0)), view.shape(operand(node, 1))
    if shape is None or slope is None:
        return
    aligned = [1] * (len(shape) - len(slope)) + slope
    if len(slope) > len(shape) or any(s not in (1, n) for s, n in zip(aligned, shape)):
        yield say.fault("the slope is {} and cannot be spread over {}: for channels write it as ({})", tuple(slope),
                        tuple(shape), ", ".join(str(n) for n in [-1] + [1] * (len(shape) - 2)))
    elif len(shape) > 1 and shape[1] > 1 and int(np.prod(slope)) == 1:
        yield say.warning("one slope for all channels: write it as ({})",
                          ", ".join(str(n) for n in [shape[1]] + [1] * (len(shape) - 2)))


def _clip(view: View, node: NodeProto) -> Iterator[Finding]:
    """Bounds in the file are read as float32, double having been converted; others take a way for float32 and int32."""
    say, kind = _Say(view.place(node)), view.type_of(operand(node, 0))
    calculated = [what for position, what in ((1, "lower"), (2, "upper")) if view.is_calculated(node, position)]
    for what in calculated:
        if kind == TensorProto.FLOAT16:
            yield say.fault("the {} bound of a float16 is calculated: fold constants, or Cast first", what)
        else:
            yield say.warning("the {} bound is calculated: two layers instead of one", what)
    for position, what in ((1, "lower"), (2, "upper")):
        value = view.value(node, position)
        if value is not None and value.dtype == np.float16 and not calculated:
            yield say.fault("the {} bound is {}, and is read as if it were float32", what, value.dtype)


def _top_k(view: View, node: NodeProto) -> Iterator[Finding]:
    say, k = _Say(view.place(node)), view.value(node, 1)
    if not attribute(node, "largest", 1):
        yield say.fault("the smallest are asked for: TensorRT takes the largest all the same; negate the input")
    if k is not None and k.size != 1:
        yield say.fault("K has {} values instead of one", k.size)


def _instance_norm(view: View, node: NodeProto) -> Iterator[Finding]:
    yield _Say(view.place(node)).warning("a plugin, which needs cuDNN in memory")


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


def _celu(view: View, node: NodeProto) -> Iterator[Finding]:
    yield _Say(view.place(node)).fault("alpha is raised to a power instead of multiplied (put right in 8.4): write "
                                       "alpha * Elu(x / alpha)")


def _constant(view: View, node: NodeProto) -> Iterator[Finding]:
    for a in node.attribute:
        if a.name in ("sparse_value", "value_string", "value_strings", "value_int", "value_ints"):
            yield _Say(view.place(node)).fault("a Constant with {} is not read: write it as a tensor", a.name)


def _norm(view: View, node: NodeProto) -> Iterator[Finding]:
    if attribute(node, "p", 2) not in (1, 2):
        yield _Say(view.place(node)).fault("{} with p {}: there are 1 and 2", node.op_type, attribute(node, "p", 2))


def _einsum(view: View, node: NodeProto) -> Iterator[Finding]:
    strange = sorted(set(attribute(node, "equation", "")) - set("abcdefghijklmnopqrstuvwxyz->., "))
    if strange:
        yield _Say(view.place(node)).fault("an Einsum with {}: small letters only", " ".join(strange))


def _dropout(view: View, node: NodeProto) -> Iterator[Finding]:
    training = view.value(node, 2)
    if view.is_calculated(node, 2) or (training is not None and np.any(training)):
        yield _Say(view.place(node)).fault("a Dropout in training")


def _suppression(view: View, node: NodeProto) -> Iterator[Finding]:
    yield _Say(view.place(node)).fault("experimental, with a padded output: suppress outside the network")


def _quantised(view: View, node: NodeProto) -> Iterator[Finding]:
    yield _Say(view.place(node)).warning("INT8 is for newer GPUs: the Nano has none")


def _several(*rules: Rule) -> Rule:
    def all_of_them(view: View, node: NodeProto) -> Iterator[Finding]:
        return (finding for rule in rules for finding in rule(view, node))
    return all_of_them


def _table() -> Iterator[Tuple[str, Rule]]:
    """Operators that have rules beside those of their inputs."""
    for names, rule in (
            ("MaxPool", _max_pool), ("Pad", _pad), ("Resize Upsample", _resize), ("PRelu", _prelu), ("Clip", _clip),
            ("Celu", _celu), ("Constant", _constant), ("LpPool LpNormalization", _norm), ("Einsum", _einsum),
            ("Dropout", _dropout), ("TopK", _top_k), ("InstanceNormalization", _instance_norm), ("Cast", _cast),
            ("Split", _split), ("BatchNormalization", _batch_norm), ("NonMaxSuppression", _suppression),
            ("QuantizeLinear DequantizeLinear", _quantised),
            ("ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSumSquare",
             _reduce)):
        for name in names.split():
            yield name, _several(inputs, tensors, rule)


RULES: Dict[str, Rule] = dict(_table())


def of_operator(view: View, node: NodeProto) -> Iterator[Finding]:
    return RULES.get(node.op_type, _several(inputs, tensors))(view, node)
