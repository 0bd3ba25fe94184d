"""The networks behind the crops of the attention mesh, all of one shape, as one network with grouped convolutions."""
from typing import Any, Callable, Dict, List, Sequence

import numpy as np
import tflite

from edge.core.errors import ModelError
from engines.convert.graph import Kernel
from engines.convert.lite_file import LiteOp
from engines.convert.lite_graph import Translation, needed, options_of, same_pads

PLANE = 80  # numbers that each of a part's x and y take in the output; fewer points are filled up with the first


class GroupedHeads:
    """Emits the nodes heads/, and geo/head, the last convolution.

    The parts share crops, and then their first layers: `crops` and `branches` are the first and the last tensor of each part,
    those with a crop of their own first. Where the parts divide, the channels of the shared ones are there twice from then on.
    """

    def __init__(self, t: Translation, crops: Sequence[int], branches: Sequence[int]) -> None:
        self._t, self._graph, self._branches = t, t.graph, branches
        self._chains = [needed(t.lite, [branch], [crop]) for branch, crop in zip(branches, crops)]
        if len({tuple(op.kind for op in chain) for chain in self._chains}) != 1:
            raise ModelError("the parts of this attention mesh are not of one shape")
        self._crops, self._groups = crops, len(set(crops))
        self._values: Dict[int, str] = {}  # tensor of the file -> the grouped one that has it

    def emit(self, crops: str) -> str:
        """(1, parts * 160, 1, 1): of each part every x, then every y. `crops` (1, groups * C, H, W)."""
        self._values = {crop: crops for crop in self._crops}
        out = crops
        for number, step in enumerate(zip(*self._chains)):
            ops = list({op.output: op for op in step}.values())
            if len(ops) > self._groups:
                self._divide(ops)
            name = "heads/{:02d}_{}".format(number, ops[0].kind.lower())
            if ops[0].kind not in _EMIT:
                raise ModelError("the operator {} in a part of an attention mesh is not supported".format(ops[0].kind))
            out = _EMIT[ops[0].kind](self, name, ops)
            self._values.update((op.output, out) for op in ops)
        return out

    def _divide(self, ops: Sequence[LiteOp]) -> None:
        """From here on each part has channels of its own."""
        shared = [op.inputs[0] for op in ops]
        channels, own = self._t.shape(shared[0])[3], shared[:self._groups]
        again = [own.index(tensor) for tensor in shared[self._groups:]]
        if again != list(range(again[0], again[-1] + 1)):
            raise ModelError("an attention mesh whose parts divide in another way than is translated")
        bounds = [self._graph.constant("heads/divide." + key, [value], np.int64) for key, value in (
            ("start", channels * again[0]), ("end", channels * (again[-1] + 1)), ("axis", 1))]
        x = self._values[shared[0]]
        twice = self._graph.add("Slice", "heads/divide.again", [x] + bounds)
        out = self._graph.add("Concat", "heads/divide", [x, twice], axis=1)
        self._values.update((tensor, out) for tensor in shared)
        self._groups = len(ops)

    def _convolution(self, name: str, ops: List[LiteOp]) -> str:
        depthwise = ops[0].kind == "DEPTHWISE_CONV_2D"
        options = options_of(ops[0], tflite.DepthwiseConv2DOptions if depthwise else tflite.Conv2DOptions)
        if options.FusedActivationFunction() != tflite.ActivationFunctionType.NONE:
            raise ModelError("an activation inside a convolution, which no attention mesh has")
        order = (3, 0, 1, 2) if depthwise else (0, 3, 1, 2)
        weights = [self._constant(op.inputs[1]).transpose(order) for op in ops]
        biases = [self._constant(op.inputs[2]) for op in ops]
        if ops[0].output in self._branches:
            name = "geo/head"
            weights, biases = [planes(w) for w in weights], [planes(b) for b in biases]
        weight = np.concatenate(weights)
        strides, same = (options.StrideH(), options.StrideW()), options.Padding() == tflite.Padding.SAME
        size = self._t.shape(ops[0].inputs[0])[1:3]
        pads = same_pads(size, weight.shape[2:], strides) if same else (0, 0, 0, 0)
        kernel = Kernel(strides, pads, (1, 1), len(weight) if depthwise else len(ops))
        return self._graph.conv(name, self._values[ops[0].inputs[0]], weight, np.concatenate(biases), kernel)

    def _prelu(self, name: str, ops: List[LiteOp]) -> str:
        slopes = [self._constant(op.inputs[1]).ravel() for op in ops]
        return self._graph.prelu(name, self._values[ops[0].inputs[0]], np.concatenate(slopes))

    def _add(self, name: str, ops: List[LiteOp]) -> str:
        return self._graph.add("Add", name, [self._values[i] for i in ops[0].inputs])

    def _max_pool(self, name: str, ops: List[LiteOp]) -> str:
        options = options_of(ops[0], tflite.Pool2DOptions)
        size = options.FilterHeight(), options.FilterWidth()
        if size != (options.StrideH(), options.StrideW()):
            raise ModelError("a pooling that overlaps, which no attention mesh has")
        return self._graph.max_pool(name, self._values[ops[0].inputs[0]], size, Kernel(size))

    def _pad(self, name: str, ops: List[LiteOp]) -> str:
        """More channels at the end of each group's."""
        n, h, w, (before, more) = self._t.constant(ops[0].inputs[1]).tolist()
        if not n == h == w == [0, 0] or before:
            raise ModelError("a padding that is not of channels, which no attention mesh has")
        _, height, width, channels = self._t.shape(ops[0].inputs[0])
        x = self._graph.reshape(name + ".groups", self._values[ops[0].inputs[0]], [len(ops), channels, height, width])
        pads = self._graph.constant(name + ".pads", [0, 0, 0, 0, 0, more, 0, 0], np.int64)
        x = self._graph.add("Pad", name + ".more", [x, pads], mode="constant")
        return self._graph.reshape(name, x, [1, len(ops) * (channels + more), height, width])

    def _constant(self, index: int) -> np.ndarray:
        return self._t.constant(index).astype(np.float32)


def planes(rows: np.ndarray) -> np.ndarray:
    """Rows x0 y0 x1 y1 ... as x0 x1 ... y0 y1 ..., each plane filled up to 80 with its first row."""
    points = rows.reshape((-1, 2) + rows.shape[1:])
    filled = np.concatenate([points, np.repeat(points[:1], PLANE - len(points), axis=0)])
    return filled.swapaxes(0, 1).reshape((-1,) + rows.shape[1:])


_EMIT: Dict[str, Callable[[GroupedHeads, str, List[LiteOp]], Any]] = {
    "CONV_2D": GroupedHeads._convolution,
    "DEPTHWISE_CONV_2D": GroupedHeads._convolution,
    "PRELU": GroupedHeads._prelu,
    "ADD": GroupedHeads._add,
    "MAX_POOL_2D": GroupedHeads._max_pool,
    "PAD": GroupedHeads._pad,
}
