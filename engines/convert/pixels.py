"""A network as a CPU reads it best: pixels as the warp leaves them, and the last convolutions as matrices.

The input becomes (N, H + border, W + border, 3) of pixel values 0..255, blue first. Colour order, scale and offset go
into the first convolution's weights, its padding into the input: beyond the crop lie pixels whose value is zero in the
network's own numbers. A bias cannot take an offset over where a convolution pads with zeros; a border can, and is filled
once. A convolution as large as what it sees is a Gemm. Only the roundings differ. Measured with the crop, paired, one
thread of an AMD EPYC, ms less: OpenVINO 2026.4 face_landmark 0.18 to 0.26 (of it 0.05 to 0.1 by Gemm), iris_landmark
0.12 to 0.19, mb05 0.13, yunet_s 0.24; ONNX Runtime 1.32 and 1.10 0.02 to 0.11, Gemm there neither gains nor loses.
"""
from typing import Dict, List, Optional, Tuple

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, helper, numpy_helper

from engines.convert.graph import dims_of, inferred_shapes
from engines.manifest.entries import Input

NO_PADS = [0, 0, 0, 0]


def with_pixel_input(model: ModelProto, look: Input) -> Optional[Tuple[ModelProto, List[int]]]:
    """A copy of `model` that sees pixels, and its border: rows and columns at the top, left, bottom and right.

    None where the input goes anywhere but into one plain convolution of three channels.
    """
    first = _first_convolution(model)
    if first is None:
        return None
    values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    variant = ModelProto()
    variant.CopyFrom(model)
    feed, shapes = variant.graph.input[0], inferred_shapes(model)
    constants: Dict[str, np.ndarray] = {}
    del variant.graph.node[:], variant.graph.initializer[:]
    planes = feed.name + ".planes"
    nodes = [helper.make_node("Transpose", [feed.name], [planes], name=planes, perm=[0, 3, 1, 2])]
    for node in model.graph.node:
        if node is first:
            nodes.append(_folded(node, planes, look, values, constants))
        elif _sees_all(node, shapes, values):
            nodes.extend(_as_gemm(node, shapes, values, constants))
        else:
            nodes.append(node)
    top, left, bottom, right = border = _ints(first, "pads", NO_PADS)
    batch, _, height, width = dims_of(feed)
    shape = [batch, height + top + bottom, width + left + right, 3]
    feed.CopyFrom(helper.make_tensor_value_info(feed.name, onnx.TensorProto.FLOAT, shape))
    used = {name for node in nodes for name in node.input}
    variant.graph.node.extend(nodes)
    variant.graph.initializer.extend(t for t in model.graph.initializer if t.name in used)
    variant.graph.initializer.extend(numpy_helper.from_array(v, name) for name, v in constants.items())
    return variant, border


def _first_convolution(model: ModelProto) -> Optional[NodeProto]:
    feeds, constants = model.graph.input, {t.name for t in model.graph.initializer}
    if len(feeds) != 1 or len(dims_of(feeds[0])) != 4 or dims_of(feeds[0])[1] != 3:
        return None
    readers = [node for node in model.graph.node if feeds[0].name in node.input]
    if len(readers) != 1 or not _is_plain(readers[0]) or not constants.issuperset(readers[0].input[1:]):
        return None
    return readers[0]


def _is_plain(node: NodeProto) -> bool:
    """Whether a node is a convolution of one group whose padding is written down."""
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return (node.op_type == "Conv" and attributes.get("group", 1) == 1
            and attributes.get("auto_pad", b"NOTSET") == b"NOTSET")


def _ints(node: NodeProto, name: str, default: List[int]) -> List[int]:
    return next((list(a.ints) for a in node.attribute if a.name == name), default)


def _folded(node: NodeProto, planes: str, look: Input, values: Dict[str, np.ndarray],
            constants: Dict[str, np.ndarray]) -> NodeProto:
    """The first convolution on pixels. Calculated in double precision."""
    weight = values[node.input[1]].astype(np.float64)
    bias = values[node.input[2]] if len(node.input) > 2 else np.zeros(len(weight))
    offset = np.array(look.offset, np.float64)
    order = slice(None, None, -1 if look.colour == "rgb" else 1)
    out = node.output[0]
    weight_name, bias_name = out + ".pixel_weight", out + ".pixel_bias"
    constants[weight_name] = np.ascontiguousarray((weight * look.scale)[:, order], np.float32)
    constants[bias_name] = (bias + (weight.sum(axis=(2, 3)) * offset).sum(axis=1)).astype(np.float32)
    folded = NodeProto()
    folded.CopyFrom(node)
    del folded.input[:]
    folded.input.extend([planes, weight_name, bias_name])
    for attribute in folded.attribute:
        if attribute.name == "pads":
            attribute.ints[:] = NO_PADS
    return folded


def _sees_all(node: NodeProto, shapes: Dict[str, List[int]], values: Dict[str, np.ndarray]) -> bool:
    """Whether each output of a convolution is a product with all that it sees."""
    if not _is_plain(node) or node.input[1] not in values or any(_ints(node, "pads", NO_PADS)):
        return False
    seen = shapes.get(node.input[0], [])
    return list(values[node.input[1]].shape[1:]) == seen[1:] and shapes.get(node.output[0], [])[2:] == [1, 1]


def _as_gemm(node: NodeProto, shapes: Dict[str, List[int]], values: Dict[str, np.ndarray],
             constants: Dict[str, np.ndarray]) -> List[NodeProto]:
    (x, weight), out = node.input[:2], node.output[0]
    rows, flat, shape, product = out + ".rows", out + ".flat", out + ".shape", out + ".product"
    count = len(values[weight])
    constants[out + ".matrix"] = values[weight].reshape(count, -1)
    constants[flat] = np.array([shapes[x][0], -1], np.int64)
    constants[shape] = np.array(shapes[out], np.int64)
    return [helper.make_node("Reshape", [x, flat], [rows], name=rows),
            helper.make_node("Gemm", [rows, out + ".matrix"] + list(node.input[2:]), [product], name=product, transB=1),
            helper.make_node("Reshape", [product, shape], [out], name=out)]
