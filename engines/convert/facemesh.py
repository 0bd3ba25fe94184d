"""facemesh.pth: MediaPipe's face_landmark as somebody read it out of an iOS framework. The weights are those of the
.tflite (up to float16 rounding); the code published beside them pads the first convolution on the wrong side. Every
stride of two here pads to the right and at the bottom, as TFLite does.
"""
from typing import Any, Dict, Mapping, Sequence

import numpy as np
from onnx import ModelProto

from engines.convert.graph import Graph, Kernel, same
from engines.convert.unpickle import read_pth

_SIDE = 192
_HALVING = (0, 0, 1, 1)  # top, left, bottom, right
# module of the state dict -> stride of the residual blocks
_BACKBONE = tuple(("backbone.{}".format(i), 2 if i in (4, 7, 10, 13) else 1) for i in range(2, 16))
_COORD_HEAD = (("coord_head.0", 2), ("coord_head.1", 1), ("coord_head.2", 1))
_CONF_HEAD = (("conf_head.0", 2),)


class _Network:
    """Emits modules of the state dict under their own names."""

    def __init__(self, graph: Graph, weights: Dict[str, np.ndarray]) -> None:
        self.graph, self.weights = graph, weights

    def conv(self, module: str, x: str, kernel: Kernel) -> str:
        return self.graph.conv(module, x, self.weights[module + ".weight"], self.weights[module + ".bias"], kernel)

    def prelu(self, module: str, x: str) -> str:
        return self.graph.prelu(module, x, self.weights[module + ".weight"])

    def block(self, module: str, x: str, stride: int) -> str:
        """Depthwise-separable convolution beside a shortcut, which is pooled and padded with channels where sizes
        change.
        """
        channels = len(self.weights[module + ".convs.0.weight"])
        wider = len(self.weights[module + ".convs.1.weight"]) - channels
        kernel = same(3, 1, channels) if stride == 1 else Kernel((2, 2), _HALVING, (1, 1), channels)
        y = self.conv(module + ".convs.1", self.conv(module + ".convs.0", x, kernel), Kernel())
        if stride == 2:
            x = self.graph.max_pool(module + ".pool", x, (2, 2), Kernel((2, 2)))
        if wider:
            pads = self.graph.constant(module + ".pad.pads", [0, 0, 0, 0, 0, wider, 0, 0], np.int64)
            x = self.graph.add("Pad", module + ".pad", [x, pads], mode="constant")
        return self.prelu(module + ".act", self.graph.add("Add", module + ".add", [x, y]))

    def head(self, blocks: Sequence, last: Sequence[str], x: str, output: str) -> str:
        """Blocks, a narrowing convolution, one more block and a convolution over all of the 3 x 3 pixels that are
        left.
        """
        for module, stride in blocks:
            x = self.block(module, x, stride)
        narrow, act, block, final = last
        x = self.block(block, self.prelu(act, self.conv(narrow, x, Kernel())), 1)
        return self.graph.reshape(output, self.conv(final, x, Kernel()), (1, len(self.weights[final + ".bias"])))


def convert(files: Sequence[str], options: Mapping[str, Any]) -> ModelProto:
    """Input RGB in [0, 1]. Outputs as of face_landmark: landmarks (1, 1404) in pixels of the crop, presence (1, 1)
    logit.
    """
    graph = Graph("facemesh")
    network = _Network(graph, read_pth(files[0]))
    x = graph.input([1, 3, _SIDE, _SIDE])
    x = network.prelu("backbone.1", network.conv("backbone.0", x, Kernel((2, 2), _HALVING)))
    for module, stride in _BACKBONE:
        x = network.block(module, x, stride)
    network.head(_COORD_HEAD, ["coord_head.{}".format(i) for i in (3, 4, 5, 6)], x, "landmarks")
    network.head(_CONF_HEAD, ["conf_head.{}".format(i) for i in (1, 2, 3, 4)], x, "presence")
    return graph.model(["landmarks", "presence"])
