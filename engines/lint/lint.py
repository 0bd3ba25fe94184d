"""What TensorRT 8.2 would do with an ONNX file, as far as the file shows it: `nanoface models lint`.

Read in onnx-tensorrt release/8.2-GA. Its parser checks neither opset nor IR: what is newer than it knows is misread
without a word.
"""
import os
import stat
import warnings
from collections import Counter
from typing import Dict, Iterator, List, Optional

import numpy as np
from google.protobuf.message import DecodeError
from onnx import ModelProto, NodeProto, TensorProto

from edge.core.errors import ModelError
from engines.convert.graph import INPUT, dims_of
from engines.lint.fp16 import LARGEST_FLOAT16, risks
from engines.lint.fp16 import constants as risky_constants
from engines.lint.frame import check_frame
from engines.lint.operators import ABSENT, CONTROL_FLOW, IMPORTED, RECURRENT
from engines.lint.rules import MOST_INT32, of_operator
from engines.lint.view import FAULT, MALFORMED, OWN_DOMAINS, WARNING, Finding, View, type_name

MIN_OPSET, MAX_OPSET, MAX_IR = 7, 13, 7
MOST_BYTES = 2 ** 31 - 1  # of a message of protocol buffers
KNOWN_TYPES = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT32, TensorProto.INT64, TensorProto.DOUBLE,
               TensorProto.BOOL, TensorProto.INT8)
# Operators that take int64 as the parser wants it: the sizes and places of a shape
SHAPE_ARGUMENTS = frozenset("""
    Reshape Slice Squeeze Unsqueeze Split Pad Resize Expand Tile TopK ConstantOfShape CumSum ReduceSum Gather GatherND
    GatherElements ScatterND ScatterElements Constant Upsample
""".split())


def read_onnx(path: str) -> ModelProto:
    """Raises ModelError for a file that is no ONNX. Nothing but a regular file is opened: a pipe would wait for ever."""
    model = ModelProto()
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            raise ModelError("{} is no file".format(path))
        if found.st_size > MOST_BYTES:
            raise ModelError("{} is no ONNX file: it has more than 2 GB".format(path))
        with open(path, "rb") as f:
            check_frame(f, 0, found.st_size)
            data = f.read()
        with warnings.catch_warnings(record=True) as incomplete:  # protobuf 3.19 warns and leaves out the rest
            warnings.simplefilter("always", RuntimeWarning)
            model.ParseFromString(data)
    except OSError as e:
        raise ModelError("{} cannot be read ({})".format(path, e.strerror or e)) from e
    except MemoryError as e:
        raise ModelError("{} does not fit into memory".format(path)) from e
    except (DecodeError, ValueError, RecursionError) as e:  # the latter two: protobuf in Python
        raise ModelError("{} is no ONNX file, or was cut short".format(path)) from e
    if incomplete or not model.graph.node or not (model.opset_import or model.ir_version):
        raise ModelError("{} is no ONNX file: there is no graph in it".format(path))
    return model


def lint(model: ModelProto) -> List[str]:
    """The faults of a network of ours, one line each: what TensorRT 8.2 would refuse, misread or overflow in float16, and
    what nanoface's own runners and builds could not handle. Empty where nothing is wrong.
    """
    return [finding.line for finding in findings(model, ours=True) if finding.severity == FAULT]


def verdict(path: str) -> Dict[str, List[str]]:
    """What the index keeps of a network of ours: its faults, the names that TensorRT's parser has for its nodes, and the
    outputs of its grouped convolutions, depthwise ones aside.

    Raises ModelError for a file that is no ONNX.
    """
    model = read_onnx(path)
    nodes = {node.name or "node_of_" + "".join(node.output[:1]) for node in model.graph.node}  # onnx-tensorrt: getNodeName
    several = {weight.name for weight in model.graph.initializer if len(weight.dims) > 1 and weight.dims[1] > 1}
    grouped = [node.output[0] for node in model.graph.node if node.op_type == "Conv" and set(node.input[1:2]) & several
               and any(a.name == "group" and a.i > 1 for a in node.attribute)]
    return {"faults": lint(model), "nodes": sorted(nodes), "grouped": sorted(grouped)}


def findings(model: ModelProto, ours: bool = False) -> List[Finding]:
    """Everything there is to say, the whole file first, then node after node, then constants. With `ours` also what only
    nanoface asks: one picture as the input, and names by which a layer can be pinned. What is malformed is a fault too.
    """
    try:
        return _findings(View(model), ours)
    except MALFORMED as e:
        return [Finding(FAULT, "", "is not what ONNX says of a network ({})".format(_short(e)))]


def _findings(view: View, ours: bool) -> List[Finding]:
    found = list(_header(view)) + view.damage + list(_interface(view, ours))
    for node in view.nodes:
        try:
            found += _node(view, node)
        except MALFORMED as e:
            found.append(Finding(FAULT, view.place(node), "is not what ONNX says of {} ({})".format(node.op_type, _short(e))))
    return found + list(_names(view, ours)) + list(_constants(view)) + list(risky_constants(view))


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:100] or type(error).__name__


def _header(view: View) -> Iterator[Finding]:
    model = view.model
    others = [o.domain for o in model.opset_import if o.domain not in OWN_DOMAINS]
    if view.opset > MAX_OPSET:
        yield Finding(FAULT, "", "opset {}: newer than {} is misread without a word".format(view.opset, MAX_OPSET))
    elif 0 < view.opset < MIN_OPSET:
        yield Finding(WARNING, "", "opset {}: the parser is tested from {} on".format(view.opset, MIN_OPSET))
    elif not view.opset:
        named = " but those of " + ", ".join(others) if others else ""
        yield Finding(FAULT, "", "names no opset of ONNX" + named)
    if model.ir_version > MAX_IR:
        yield Finding(FAULT, "", "IR version {}: at most {}".format(model.ir_version, MAX_IR))
    if len(getattr(model, "functions", ())):
        yield Finding(FAULT, "", "functions of its own, which the parser does not know: inline them")
    if len(view.graph.sparse_initializer):
        yield Finding(FAULT, "", "sparse constants, which the parser does not know: write them out")


def _interface(view: View, ours: bool) -> Iterator[Finding]:
    names = [value.name for value in view.inputs]
    if ours and names != [INPUT]:
        yield Finding(FAULT, "", "the inputs are {} and not one called {}".format(", ".join(names) or "none", INPUT))
    if not view.graph.output:
        yield Finding(FAULT, "", "there is no output")
    for value in view.inputs:
        if 0 in (dims_of(value) or [0]):
            yield Finding(FAULT, value.name, "the input has no static shape, and nanoface builds no optimisation profile")
    for value in list(view.inputs) + list(view.graph.output):
        kind = value.type.tensor_type.elem_type
        if kind != TensorProto.FLOAT and (ours or kind not in KNOWN_TYPES):
            yield Finding(FAULT, value.name, "it is {} and not float32".format(type_name(kind)))
        elif kind in (TensorProto.INT64, TensorProto.DOUBLE):
            yield Finding(WARNING, value.name, "{} becomes {}".format(type_name(kind), _becomes(kind)))
    for value in view.graph.output:
        if value.name in view.tensors:
            yield Finding(FAULT, value.name, "an output and a constant")
        elif view.shape(value.name) is None and all(view.shape(v.name) is not None for v in view.inputs):
            yield Finding(FAULT, value.name, "the output has no static shape")
    both = sorted({t.name for t in view.graph.initializer} & {v.name for v in view.graph.input})
    if both:
        yield Finding(WARNING, "", "{} constants are listed as inputs, so that ONNX Runtime folds nothing: strip them"
                      .format(len(both)))


def _becomes(kind: int) -> str:
    return "int32" if kind == TensorProto.INT64 else "float32"


def _node(view: View, node: NodeProto) -> List[Finding]:
    place, op = view.place(node), node.op_type
    unknown = _unknown(node, place)
    if unknown is not None:
        return [unknown]
    if op in CONTROL_FLOW:
        found = [Finding(WARNING, place, "of what is inside {} only the operators are looked at".format(op))]
        return found + [inner for inner in (_unknown(n, "{}/{}".format(place, n.name or n.op_type))
                                            for n in _inside(node)) if inner is not None]
    found = list(of_operator(view, node)) + list(risks(view, node))
    if op in RECURRENT:
        found.append(Finding(WARNING, place, "{} becomes a loop of small layers".format(op)))
    if op not in SHAPE_ARGUMENTS:
        found += [Finding(WARNING, place, "calculates with the int64 {}, which becomes int32".format(name))
                  for name in node.input if name in view.tensors and view.type_of(name) == TensorProto.INT64]
    return found


def _unknown(node: NodeProto, place: str) -> Optional[Finding]:
    """What is said of an operator that the parser has no importer for; None where it has one."""
    op = node.op_type
    if op in ABSENT:
        return Finding(FAULT, place, "there is no importer for {}: {}".format(op, ABSENT[op]))
    if op.endswith("_TRT"):
        return Finding(WARNING, place, "{} must be a plugin of TensorRT's own".format(op))
    if op not in IMPORTED or node.domain not in OWN_DOMAINS:
        text = "{} is not known to have an importer: spell it out with other operators, or cut the network there"
        return Finding(FAULT, place, text.format(op if node.domain in OWN_DOMAINS else node.domain + "." + op))
    return None


def _inside(node: NodeProto) -> Iterator[NodeProto]:
    """The nodes of the graphs in a node's attributes, and of the graphs in those."""
    for a in node.attribute:
        for inner in list(a.g.node) + [n for graph in a.graphs for n in graph.node]:
            yield inner
            for deeper in _inside(inner):
                yield deeper


def _names(view: View, ours: bool) -> Iterator[Finding]:
    """A layer is pinned to FP32 by the name of its node."""
    counts = Counter(node.name for node in view.nodes)
    for name in sorted(name for name, count in counts.items() if count > 1 or not name):
        text = "{} nodes have the name {!r}".format(counts[name], name) if name else "{} of the nodes {} no name".format(
            counts[name], "has" if counts[name] == 1 else "have")
        yield Finding(FAULT if ours else WARNING, "", text)


def _constants(view: View) -> Iterator[Finding]:
    for name, tensor in view.tensors.items():
        kind, value = tensor.data_type, view.values.get(name)
        if kind not in KNOWN_TYPES:
            yield Finding(FAULT, name, "{} is a type that TensorRT does not have".format(type_name(kind)))
        elif kind == TensorProto.DOUBLE:
            yield Finding(WARNING, name, "double becomes float32")
        elif kind == TensorProto.FLOAT and value is not None and not _fits(value) and not _only_bounds(view, name):
            yield Finding(FAULT, name, "does not fit float16")
        elif kind == TensorProto.INT64 and value is not None and not _only_bounds(view, name) and not _fits_int32(value):
            yield Finding(FAULT, name, "does not fit int32, to which it is cut")


def _fits(value: np.ndarray) -> bool:
    return not value.size or bool(np.abs(value).max() <= LARGEST_FLOAT16)


def _fits_int32(value: np.ndarray) -> bool:
    return not value.size or (int(value.max()) <= MOST_INT32 and int(value.min()) >= -MOST_INT32)


def _only_bounds(view: View, name: str) -> bool:
    """Whether a constant only says where something ends: cut off it says the same."""
    uses = view.uses.get(name, [])
    return bool(uses) and all(
        (node.op_type == "Clip" and name in node.input[1:]) or
        (node.op_type == "Slice" and name in (node.input[1], node.input[2])) for node in uses)
