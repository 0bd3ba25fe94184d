"""3DDFA_V2 mb05: a MobileNet of half width that gives 62 pose and shape parameters, and 68 landmarks by a head that
upstream trained and never uses.
"""
from typing import Any, Dict, List, Mapping, Sequence

import numpy as np
from onnx import ModelProto

from edge.core.errors import ModelError
from engines.convert.graph import Graph, Kernel, fold, same, torch_norm
from engines.convert.unpickle import read_pkl, read_pth

_SIDE = 120
_POSE = 12  # of the 62 parameters: a 3 x 4 matrix, row by row
# depthwise-separable blocks in order, with the stride of their depthwise half
_BLOCKS = (
    ("dw2_1", 1), ("dw2_2", 2), ("dw3_1", 1), ("dw3_2", 2), ("dw4_1", 1), ("dw4_2", 2),
    ("dw5_1", 1), ("dw5_2", 1), ("dw5_3", 1), ("dw5_4", 1), ("dw5_5", 1), ("dw5_6", 2), ("dw6", 1),
)


def _file(files: Sequence[str], ending: str) -> str:
    found = [f for f in files if f.endswith(ending)]
    if not found:
        raise ModelError("the network mb05 needs a {} file beside {}".format(ending, ", ".join(files)))
    return found[0]


def _conv(graph: Graph, weights: Mapping[str, np.ndarray], names: Sequence[str], x: str, kernel: Kernel) -> str:
    """Convolution, batch normalisation and Relu; `names` are those of the first two in the state dict."""
    conv, norm = names
    weight, bias = fold(weights[conv + ".weight"], None, torch_norm(weights, norm))
    return graph.add("Relu", conv + ".relu", [graph.conv(conv, x, weight, bias, kernel)])


def convert(files: Sequence[str], options: Mapping[str, Any]) -> ModelProto:
    """Outputs: params (1, 62), in units of their standard deviation; landmarks (1, 136), x of all 68 and then y."""
    weights = read_pth(_file(files, ".pth"))
    graph = Graph("mb05")
    x = graph.input([1, 3, _SIDE, _SIDE])
    x = _conv(graph, weights, ("conv1", "bn1"), x, same(3, stride=2))
    for block, stride in _BLOCKS:
        channels = len(weights[block + ".conv_dw.weight"])
        x = _conv(graph, weights, (block + ".conv_dw", block + ".bn_dw"), x, same(3, stride, channels))
        x = _conv(graph, weights, (block + ".conv_sep", block + ".bn_sep"), x, same(1))
    x = graph.add("Flatten", "features", [graph.add("GlobalAveragePool", "pool", [x])], axis=1)
    for head, output in (("fc_param", "params"), ("fc_lm", "landmarks")):
        factors = [graph.constant(head + "." + part, weights[head + "." + part]) for part in ("weight", "bias")]
        graph.add("Gemm", output, [x] + factors, transB=1)
    return graph.model(["params", "landmarks"])


def pose_statistics(files: Sequence[str]) -> Dict[str, List[float]]:
    """Mean and standard deviation of the first 12 parameters, exactly as the file has them."""
    arrays = read_pkl(_file(files, ".pkl"))
    numbers = {name: [float(v) for v in arrays[name].ravel()[:_POSE]] for name in ("mean", "std")}
    if any(len(values) != _POSE or not np.all(np.isfinite(values)) for values in numbers.values()):
        raise ValueError("fewer than 12 finite numbers")
    return numbers
