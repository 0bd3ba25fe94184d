"""FaceBoxes, as 3DDFA_V2 ships it: boxes and scores for 1706 priors of a 240 x 320 picture."""
from typing import Any, Dict, List, Mapping, Sequence

import numpy as np
from onnx import ModelProto

from engines.convert.graph import Graph, Kernel, fold, same, torch_norm
from engines.convert.unpickle import read_pth

_INPUT = (1, 3, 240, 320)


class _Network:
    """Emits modules of the state dict under their own names."""

    def __init__(self, graph: Graph, weights: Dict[str, np.ndarray]) -> None:
        self.graph, self.weights = graph, weights

    def normalised(self, module: str, x: str, kernel: Kernel) -> str:
        weight, bias = fold(self.weights[module + ".conv.weight"], None, torch_norm(self.weights, module + ".bn"))
        return self.graph.conv(module + ".conv", x, weight, bias, kernel)

    def relu(self, module: str, x: str, kernel: Kernel) -> str:
        return self.graph.add("Relu", module + ".relu", [self.normalised(module, x, kernel)])

    def crelu(self, module: str, x: str, kernel: Kernel) -> str:
        """Relu of the channels and of their negatives."""
        y = self.normalised(module, x, kernel)
        both = self.graph.add("Concat", module + ".both", [y, self.graph.add("Neg", module + ".neg", [y])], axis=1)
        return self.graph.add("Relu", module + ".relu", [both])

    def shrunk(self, name: str, x: str) -> str:
        return self.graph.max_pool(name, x, (3, 3), same(3, stride=2))

    def inception(self, module: str, x: str) -> str:
        branch = module + ".branch"
        pooled = self.graph.add(
            "AveragePool", branch + "1x1_2.pool", [x], kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1],
            count_include_pad=1)
        middle = self.relu(branch + "3x3_2", self.relu(branch + "3x3_reduce_2", x, same(1)), same(3))
        branches = [
            self.relu(branch + "1x1", x, same(1)),
            self.relu(branch + "1x1_2", pooled, same(1)),
            self.relu(branch + "3x3", self.relu(branch + "3x3_reduce", x, same(1)), same(3)),
            self.relu(branch + "3x3_3", middle, same(3)),
        ]
        return self.graph.add("Concat", module, branches, axis=1)

    def features(self, x: str) -> List[str]:
        """Feature maps at 1/32, 1/64 and 1/128 of the picture."""
        x = self.shrunk("pool1", self.crelu("conv1", x, same(7, stride=4)))
        x = self.shrunk("pool2", self.crelu("conv2", x, same(5, stride=2)))
        for module in ("inception1", "inception2", "inception3"):
            x = self.inception(module, x)
        maps = [x]
        for stage in ("conv3", "conv4"):
            maps.append(self.relu(stage + "_2", self.relu(stage + "_1", maps[-1], same(1)), same(3, stride=2)))
        return maps

    def head(self, kind: str, maps: Sequence[str], columns: int, output: str) -> str:
        rows = []
        for i, x in enumerate(maps):
            module = "{}.{}".format(kind, i)
            y = self.graph.conv(module, x, self.weights[module + ".weight"], self.weights[module + ".bias"], same(3))
            rows.append(self.graph.rows(module + ".rows", y, (1, -1, columns)))
        return self.graph.add("Concat", output, rows, axis=1)


def convert(files: Sequence[str], options: Mapping[str, Any]) -> ModelProto:
    """options: input [1, 3, H, W]. Outputs: boxes (1, N, 4), undecoded; scores (1, N, 2), background and face."""
    graph = Graph("faceboxes")
    network = _Network(graph, read_pth(files[0]))
    maps = network.features(graph.input(options.get("input") or _INPUT))
    network.head("loc", maps, 4, "boxes")
    graph.add("Softmax", "scores", [network.head("conf", maps, 2, "logits")], axis=2)
    return graph.model(["boxes", "scores"])
