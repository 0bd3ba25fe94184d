"""Grouped convolutions of a parsed network made dense: the same sums, with zeros for the channels of other groups.

TensorRT 8.2 may run the groups of a convolution one after the other, and nobody has published how fast that is on Maxwell; a
dense one multiplies more, at a speed that is known. `nanoface build --tune` tries both. Depthwise convolutions stay: TensorRT
has kernels of their own for those.
"""
from typing import Any, List

import numpy as np

from edge.core.errors import EngineError


def block_diagonal(kernel: np.ndarray, groups: int) -> np.ndarray:
    """(outputs, inputs / groups, ...) as (outputs, inputs, ...), zero outside of each output's own group."""
    outputs, inputs = kernel.shape[:2]
    dense = np.zeros((outputs, inputs * groups) + kernel.shape[2:], kernel.dtype)
    each = outputs // groups
    for group in range(groups):
        rows = slice(group * each, (group + 1) * each)
        dense[rows, group * inputs:(group + 1) * inputs] = kernel[rows]
    return dense


def make_dense(trt: Any, network: Any) -> List[np.ndarray]:
    """The new kernels, which the network only points at: to be kept until its plan is made. Raises EngineError for none."""
    kernels = []
    for i in range(network.num_layers):
        layer = network.get_layer(i)
        if layer.type != trt.LayerType.CONVOLUTION:
            continue
        layer.__class__ = trt.IConvolutionLayer  # the bindings hand out what all layers have in common
        groups, outputs, inputs = layer.num_groups, layer.num_output_maps, layer.get_input(0).shape[1]
        if not 1 < groups < inputs:
            continue
        shape = (outputs, inputs // groups) + tuple(layer.kernel_size_nd)
        kernel = block_diagonal(np.array(layer.kernel, np.float32).reshape(shape), groups)
        kernels.append(np.ascontiguousarray(kernel.ravel()))
        layer.kernel, layer.num_groups = kernels[-1], 1
    if not kernels:
        raise EngineError("the network has no grouped convolutions to be made dense")
    return kernels
