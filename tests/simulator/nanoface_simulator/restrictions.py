"""What the importers of TensorRT 8.2 refuse of operators that they have, read in onnx-tensorrt release/8.2-GA.

Written apart from the project's linter, so that each is a test of the other: tests/engines/test_parser_facts.py.
"""
FLOAT, INT8, INT32, INT64, BOOL, FLOAT16, DOUBLE = 1, 3, 6, 7, 9, 10, 11  # onnx.TensorProto
TYPES = (FLOAT, INT8, INT32, INT64, BOOL, FLOAT16, DOUBLE)
WHOLE = (INT32, INT64)  # one type to the parser
TRANSFORMATIONS = ("half_pixel", "pytorch_half_pixel", "tf_half_pixel_for_nn", "asymmetric", "align_corners")


class Graph:
    """What an importer knows when it meets a node."""

    def __init__(self, model):
        graph = model.graph
        self.constants = {w.name: w for w in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant" and node.output:
                self.constants[node.output[0]] = next((a.t for a in node.attribute if a.name == "value"), None)
        values = list(graph.input) + list(graph.value_info) + list(graph.output)
        self._types = {v.name: v.type.tensor_type for v in values}
        self.opset = max([o.version for o in model.opset_import if o.domain in ("", "ai.onnx")] or [0])

    def calculated(self, node, position):
        return position < len(node.input) and bool(node.input[position]) and node.input[position] not in self.constants

    def type(self, node, position=0):
        if position >= len(node.input):
            return 0
        constant = self.constants.get(node.input[position])
        found = self._types.get(node.input[position])
        return constant.data_type if constant is not None else found.elem_type if found is not None else 0

    def shape(self, name):
        """None where it is not known; -1 for a side that is not."""
        if self.constants.get(name) is not None:
            return list(self.constants[name].dims)
        found = self._types.get(name)
        if found is None or not found.HasField("shape"):
            return None
        return [d.dim_value if d.HasField("dim_value") else -1 for d in found.shape.dim]

    def rank(self, node):
        shape = self.shape(node.input[0]) if node.input else None
        return None if shape is None else len(shape)


def attribute(node, name, default=None):
    for found in node.attribute:
        if found.name == name:
            return {1: found.f, 2: found.i, 3: found.s.decode(), 6: list(found.floats), 7: list(found.ints)}.get(found.type)
    return default


def refused(node, graph):
    """(function of the parser, text) where it would not import a node that it has an importer for; else None."""
    text = next((text for check in _CHECKS.get(node.op_type, ()) for text in check(node, graph)), None)
    return ("import" + node.op_type, text) if text else None


def cannot_import(tensor):
    """Whether a constant of the file is one that 8.2 has no weights for."""
    import numpy as np
    from onnx import numpy_helper

    if tensor.data_type not in TYPES:
        return True
    try:
        return numpy_helper.to_array(tensor).size != int(np.prod(tensor.dims, dtype=np.int64))
    except (ValueError, TypeError, KeyError):
        return True


def _initializers(*positions, **how):
    def check(node, graph):
        for position in positions:
            if graph.opset >= how.get("since", 0) and graph.calculated(node, position):
                yield "inputs.at({0}).is_weights() && \"Input {0} must be an initializer!\"".format(position)
    return check


def _types(positions, refused_types):
    def check(node, graph):
        if any(graph.type(node, position) in refused_types for position in positions):
            yield "\"This version of TensorRT does not support the type of an input of {}!\"".format(node.op_type)
    return check


def _ranks(*ranks):
    def check(node, graph):
        if graph.rank(node) is not None and graph.rank(node) not in ranks:
            yield "nbDims && \"The rank of the input of {} is not supported!\"".format(node.op_type)
    return check


def _pool(node, graph):
    if node.op_type == "MaxPool" and len([name for name in node.output if name]) > 1:
        yield "node.output().size() == 1 && \"TensorRT does not support the indices output in MaxPool!\""
    if any(d != 1 for d in attribute(node, "dilations", [])):
        yield "dilations && \"This version of TensorRT does not support dilated pools!\""


def _resize(node, graph):
    mode = attribute(node, "mode", "nearest")
    if mode == "cubic":
        yield "(mode == \"nearest\" || mode == \"linear\") && \"This version of TensorRT does not support cubic resize!\""
    if node.op_type == "Resize" and graph.opset >= 11:
        how = attribute(node, "coordinate_transformation_mode", "half_pixel")
        if how not in TRANSFORMATIONS:
            yield "!\"TensorRT does not support the transformation mode {}!\"".format(how)
        if how == "tf_half_pixel_for_nn" and attribute(node, "nearest_mode", "round_prefer_floor") != "round_prefer_floor":
            yield "\"This version of TensorRT only support round_prefer_floor nearest mode in tf_half_pixel_for_nn!\""
    if graph.calculated(node, 2 if node.op_type == "Resize" and graph.opset >= 11 else 1):
        yield "scales.is_weights() && \"Resize scales must be an initializer!\""
    before, after = graph.shape(node.input[0]), graph.shape(node.output[0])
    if mode != "nearest" and before and after and before[:-3] != after[:-3]:
        yield "canUseLinearResize(scaleSize, scaleValues) && \"linear resizing on the outermost 3 dimensions only\""


def _slope(node, graph):
    shape, slope = graph.shape(node.input[0]), graph.shape(node.input[1])
    if shape and slope and (len(slope) > len(shape) or any(
            s not in (1, n) for s, n in zip(slope[::-1], shape[::-1]) if n > 0)):
        yield "\"Failed to broadcast the slope of PRelu!\""


def _clip(node, graph):
    if graph.type(node) == FLOAT16 and (graph.calculated(node, 1) or graph.calculated(node, 2)):
        yield "\"This version of TensorRT only supports FLOAT or INT32 inputs for Clip!\""


def _pad(node, graph):
    if attribute(node, "mode", "constant") not in ("constant", "edge", "reflect"):
        yield "\"Unsupported pad mode\""


def _cast(node, graph):
    if attribute(node, "to", 0) not in TYPES:
        yield "convertDtype(onnxType, &dtype) && \"Unsupported cast!\""


def _top_k(node, graph):
    shape = graph.shape(node.input[1]) if len(node.input) > 1 else None
    if shape and shape != [1]:
        yield "inputs.at(1).weights().count() == 1 && \"The input K must contain exactly 1 value.\""


def _norm(node, graph):
    if attribute(node, "p", 2) not in (1, 2):
        yield "(p == 1 || p == 2) && \"Only L1 and L2 normalization are supported.\""


def _einsum(node, graph):
    if any(letter not in "abcdefghijklmnopqrstuvwxyz->., " for letter in attribute(node, "equation", "")):
        yield "\"Invalid character(s) in Einsum equation\""


def _dropout(node, graph):
    from onnx import numpy_helper

    training = graph.constants.get(node.input[2]) if len(node.input) > 2 else None
    if graph.calculated(node, 2) or (training is not None and numpy_helper.to_array(training).any()):
        yield "\"TensorRT does not support the Dropout operator in training mode.\""


def _constant(node, graph):
    if any(a.name in ("sparse_value", "value_string", "value_strings") for a in node.attribute):
        yield "\"This version of TensorRT does not support the sparse_value, value_string and value_strings attributes.\""


_FLOATS = _types((0,), WHOLE + (BOOL,))
_CHECKS = {
    "Conv": (_initializers(1, 2), _ranks(3, 4, 5)), "ConvTranspose": (_initializers(1, 2), _ranks(3, 4, 5)),
    "MaxPool": (_pool, _ranks(3, 4, 5)), "AveragePool": (_ranks(3, 4, 5),), "LpPool": (_FLOATS, _norm, _ranks(3, 4, 5)),
    "LpNormalization": (_FLOATS, _norm), "Resize": (_FLOATS, _resize), "Upsample": (_FLOATS, _resize),
    "TopK": (_FLOATS, _initializers(1), _top_k), "ArgMax": (_FLOATS,), "ArgMin": (_FLOATS,),
    "PRelu": (_types((0, 1), WHOLE + (BOOL,)), _slope), "Pow": (_types((0, 1), WHOLE + (BOOL,)),),
    "Gemm": (_types((0, 1), WHOLE + (BOOL,)), _ranks(2)), "MatMul": (_types((0, 1), WHOLE + (BOOL,)),),
    "Clip": (_types((0,), (BOOL, INT8)), _clip), "Pad": (_pad,), "Cast": (_cast,), "Einsum": (_einsum,),
    "Dropout": (_dropout,), "Constant": (_constant,), "Where": (_types((1, 2), (BOOL,)),), "CumSum": (_initializers(1),),
    "Gather": (_types((0,), (BOOL,)),), "GatherElements": (_types((0,), (BOOL,)),), "GatherND": (_types((0,), (BOOL,)),),
    "DepthToSpace": (_types((0,), (BOOL,)), _ranks(4)), "SpaceToDepth": (_types((0,), (BOOL,)), _ranks(4)),
    "EyeLike": (_ranks(2),), "Slice": (_initializers(3),), "Split": (_initializers(1, since=13),),
    "Squeeze": (_initializers(1),), "Unsqueeze": (_initializers(1),), "ReduceSum": (_initializers(1),),
    "InstanceNormalization": (_initializers(1, 2), _ranks(3, 4, 5)), "NonMaxSuppression": (_initializers(2, 3, 4),),
}
