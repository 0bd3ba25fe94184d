"""TFLite to ONNX: NHWC to NCHW, one small function for each operator."""
from typing import Any, Collection, Dict, List, Mapping, Sequence, Set, Tuple

import numpy as np
import tflite
from onnx import ModelProto

from edge.core.errors import ModelError
from engines.convert.graph import Graph, Kernel
from engines.convert.lite_file import LiteFile, LiteOp, read

_NHWC_TO_NCHW = (0, 3, 1, 2)


def same_pads(size: Sequence[int], window: Sequence[int], strides: Sequence[int]) -> Tuple[int, ...]:
    """TFLite's SAME: (top, left, bottom, right), the odd pixel at the bottom and on the right."""
    totals = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(size, window, strides)]
    before = [t // 2 for t in totals]
    return tuple(before) + tuple(t - b for t, b in zip(totals, before))


def options_of(op: LiteOp, table_class: Any) -> Any:
    table = table_class()
    table.Init(op.options.Bytes, op.options.Pos)
    return table


def needed(lite: LiteFile, outputs: Sequence[int], given: Collection[int] = ()) -> List[LiteOp]:
    """The operators that `outputs` depend on, in their order, without those that make what is `given`."""
    wanted: Set[int] = set(outputs)
    kept: List[LiteOp] = []
    for op in reversed(lite.ops):
        if op.output in wanted and op.output not in given:
            wanted.update(op.inputs)
            kept.append(op)
    return kept[::-1]


class Translation:
    """The state of one conversion. `tensors` maps a TFLite index to the name of its NCHW tensor."""

    def __init__(self, lite: LiteFile, graph: Graph, batch: int, outputs: Mapping[int, str]) -> None:
        self.lite, self.graph, self.batch, self.outputs = lite, graph, batch, outputs
        self.tensors: Dict[int, str] = {}
        self.folded_pads: Dict[int, Tuple[int, ...]] = {}  # output of a PAD that its convolutions take over
        self._taken: Set[str] = set()
        self._readers: Dict[int, List[LiteOp]] = {}
        for op in lite.ops:
            for i in op.inputs:
                self._readers.setdefault(i, []).append(op)

    def name(self, index: int) -> str:
        """Upstream's name, short: of names that the TFLite compiler joined the first, and of its path the last two
        parts.
        """
        if index in self.outputs:
            return self.outputs[index]
        short = "_".join(self.lite.tensors[index].name.split(";")[0].split("/")[-2:])
        name = short if short not in self._taken else "{}_t{}".format(short, index)
        self._taken.add(name)
        return name

    def shape(self, index: int) -> Tuple[int, ...]:
        return self.lite.tensors[index].shape

    def constant(self, index: int) -> np.ndarray:
        values = self.lite.tensors[index].values
        if values is None:
            raise ModelError("the constant {} of the network is calculated".format(self.lite.tensors[index].name))
        return values

    def activated(self, op: LiteOp, emit: Any, activation: int) -> None:
        """Emit the operator under its name, followed by the Relu that TFLite fused into it, if any."""
        name = self.name(op.output)
        if activation == tflite.ActivationFunctionType.NONE:
            self.tensors[op.output] = emit(name)
        elif activation == tflite.ActivationFunctionType.RELU:
            self.tensors[op.output] = self.graph.add("Relu", name, [emit(name + ".linear")])
        else:
            raise ModelError("{} ends in an activation ({}) that no known network uses".format(name, activation))

    def only_read_by(self, index: int, kinds: Sequence[str]) -> bool:
        """Whether every reader is a convolution of `kinds` without padding of its own."""
        tables = {"CONV_2D": tflite.Conv2DOptions, "DEPTHWISE_CONV_2D": tflite.DepthwiseConv2DOptions}
        return index not in self.outputs and all(
            op.kind in kinds and options_of(op, tables[op.kind]).Padding() == tflite.Padding.VALID
            for op in self._readers[index])


def _convolution(t: Translation, op: LiteOp) -> None:
    depthwise = op.kind == "DEPTHWISE_CONV_2D"
    options = options_of(op, tflite.DepthwiseConv2DOptions if depthwise else tflite.Conv2DOptions)
    # (O, kh, kw, I) or (1, kh, kw, O) -> (O, I or 1, kh, kw)
    weight = t.constant(op.inputs[1]).astype(np.float32).transpose(_NHWC_TO_NCHW if not depthwise else (3, 0, 1, 2))
    bias = t.constant(op.inputs[2]).astype(np.float32) if len(op.inputs) > 2 and op.inputs[2] >= 0 else None
    if options.DilationHFactor() != 1 or options.DilationWFactor() != 1:
        raise ModelError("a dilated convolution, which no known TFLite network uses")
    strides = options.StrideH(), options.StrideW()
    pads = t.folded_pads.get(op.inputs[0], (0, 0, 0, 0))
    if options.Padding() == tflite.Padding.SAME:
        pads = same_pads(t.shape(op.inputs[0])[1:3], weight.shape[2:], strides)
    kernel = Kernel(strides, pads, (1, 1), t.shape(op.inputs[0])[3] if depthwise else 1)
    x = t.tensors[op.inputs[0]]
    t.activated(op, lambda name: t.graph.conv(name, x, weight, bias, kernel), options.FusedActivationFunction())


def _max_pool(t: Translation, op: LiteOp) -> None:
    options = options_of(op, tflite.Pool2DOptions)
    window, strides = (options.FilterHeight(), options.FilterWidth()), (options.StrideH(), options.StrideW())
    same = options.Padding() == tflite.Padding.SAME
    kernel = Kernel(strides, same_pads(t.shape(op.inputs[0])[1:3], window, strides) if same else (0, 0, 0, 0))
    x = t.tensors[op.inputs[0]]
    t.activated(op, lambda name: t.graph.max_pool(name, x, window, kernel), options.FusedActivationFunction())


def _prelu(t: Translation, op: LiteOp) -> None:
    slope = t.constant(op.inputs[1]).astype(np.float32)
    if slope.size != t.shape(op.inputs[0])[3]:
        raise ModelError("a PRELU with more than one slope a channel")
    t.tensors[op.output] = t.graph.prelu(t.name(op.output), t.tensors[op.inputs[0]], slope)


def _relu(t: Translation, op: LiteOp) -> None:
    t.tensors[op.output] = t.graph.add("Relu", t.name(op.output), [t.tensors[op.inputs[0]]])


def _add(t: Translation, op: LiteOp) -> None:
    inputs = [t.tensors[i] for i in op.inputs]
    activation = options_of(op, tflite.AddOptions).FusedActivationFunction()
    t.activated(op, lambda name: t.graph.add("Add", name, inputs), activation)


def _pad(t: Translation, op: LiteOp) -> None:
    """Spatial padding moves into the convolutions that read it; padding of the channels stays a Pad."""
    n, h, w, c = t.constant(op.inputs[1]).tolist()
    if n == c == [0, 0] and t.only_read_by(op.output, ("CONV_2D", "DEPTHWISE_CONV_2D")):
        t.tensors[op.output] = t.tensors[op.inputs[0]]
        t.folded_pads[op.output] = (h[0], w[0], h[1], w[1])
        return
    name = t.name(op.output)
    pads = [before for before, _ in (n, c, h, w)] + [after for _, after in (n, c, h, w)]
    t.tensors[op.output] = t.graph.add(
        "Pad", name, [t.tensors[op.inputs[0]], t.graph.constant(name + ".pads", pads, np.int64)], mode="constant")


def _reshape(t: Translation, op: LiteOp) -> None:
    before, after = t.shape(op.inputs[0]), t.shape(op.output)
    if len(before) != 4 or len(after) == 4 or before[0] != after[0]:
        raise ModelError("a RESHAPE from {} to {}, which no known network uses".format(before, after))
    emit = t.graph.reshape if before[1:3] == (1, 1) else t.graph.rows
    t.tensors[op.output] = emit(t.name(op.output), t.tensors[op.inputs[0]], (t.batch,) + after[1:])


def _concatenation(t: Translation, op: LiteOp) -> None:
    options, rank = options_of(op, tflite.ConcatenationOptions), len(t.shape(op.output))
    axis = options.Axis() % rank
    inputs = [t.tensors[i] for i in op.inputs]
    axis = (0, 2, 3, 1)[axis] if rank == 4 else axis
    t.activated(op, lambda name: t.graph.add("Concat", name, inputs, axis=axis), options.FusedActivationFunction())


def _resize(t: Translation, op: LiteOp) -> None:
    options = options_of(op, tflite.ResizeBilinearOptions)
    if not options.HalfPixelCenters() or options.AlignCorners():
        raise ModelError("a RESIZE_BILINEAR without half-pixel centres, which no known network uses")
    name = t.name(op.output)
    scales = [float(o) / i for o, i in zip(t.shape(op.output)[1:3], t.shape(op.inputs[0])[1:3])]
    t.tensors[op.output] = t.graph.add(
        "Resize", name, [t.tensors[op.inputs[0]], t.graph.constant(name + ".roi", []),
                         t.graph.constant(name + ".scales", [1.0, 1.0] + scales)],
        mode="linear", coordinate_transformation_mode="half_pixel")


def _depth_to_space(t: Translation, op: LiteOp) -> None:
    block = options_of(op, tflite.DepthToSpaceOptions).BlockSize()
    t.tensors[op.output] = t.graph.add(
        "DepthToSpace", t.name(op.output), [t.tensors[op.inputs[0]]], blocksize=block, mode="DCR")


EMIT = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "MAX_POOL_2D": _max_pool,
    "PRELU": _prelu,
    "RELU": _relu,
    "ADD": _add,
    "PAD": _pad,
    "RESHAPE": _reshape,
    "CONCATENATION": _concatenation,
    "RESIZE_BILINEAR": _resize,
    "DEPTH_TO_SPACE": _depth_to_space,
}


def _named_outputs(lite: LiteFile, wanted: Mapping[str, str]) -> Dict[int, str]:
    """Index of a tensor -> name of the output."""
    by_name = {lite.tensors[i].name: i for i in lite.outputs}
    wanted = wanted or {name: name for name in by_name}
    unknown = sorted(set(wanted.values()) - set(by_name))
    if unknown:
        raise ModelError("the network has no output {}: it has {}".format(
            ", ".join(unknown), ", ".join(sorted(by_name))))
    return {by_name[old]: new for new, old in wanted.items()}


def convert(files: Sequence[str], options: Mapping[str, Any]) -> ModelProto:
    """options: name of the graph; batch (1); outputs {name: upstream's tensor}. An output of 1 x 1 pixels comes out as
    (N, C).
    """
    lite, batch = read(files[0]), int(options.get("batch", 1))
    outputs = _named_outputs(lite, options.get("outputs") or {})
    graph = Graph(str(options.get("name", "tflite")))
    pixels = {i: name for i, name in outputs.items() if len(lite.tensors[i].shape) == 4}
    t = Translation(lite, graph, batch, {i: name for i, name in outputs.items() if i not in pixels})
    _, height, width, channels = lite.tensors[lite.inputs[0]].shape
    t.tensors[lite.inputs[0]] = graph.input([batch, channels, height, width])
    for op in needed(lite, list(outputs)):
        if op.kind not in EMIT:
            raise ModelError("the operator {} of the network is not supported".format(op.kind))
        EMIT[op.kind](t, op)
    for i, name in pixels.items():
        graph.reshape(name, t.tensors[i], (batch, int(np.prod(lite.tensors[i].shape[1:]))))
    return graph.model(list(outputs.values()))
