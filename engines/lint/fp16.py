"""What of a graph risks something in float16: shown as warnings, because only numbers tell (`nanoface calibrate fp16`).

float16 ends at 65504, its steps are 1 from 1024 on, and below 6e-5 it loses digits.
"""
from typing import Iterator, List, Optional

import numpy as np
from onnx import NodeProto

from engines.lint.view import WARNING, Finding, View, attribute, operand

LARGEST_FLOAT16 = 65504.0
MOST_TERMS = 4096  # of one sum: added one by one in float16, its last digits are those of rounding
LARGE_CONSTANT = 1024.0
SMALLEST_NORMAL = 6.104e-05
MOST_TINY = 0.5  # share of a constant's values that may lie below that
REDUCTIONS = frozenset(("ReduceSum", "ReduceMean", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp",
                        "ReduceSumSquare", "ReduceProd"))
GROWING = {"Pow": "powers", "Exp": "exponentials", "ReduceSumSquare": "squares", "ReduceL2": "squares",
           "InstanceNormalization": "a variance"}


def risks(view: View, node: NodeProto) -> Iterator[Finding]:
    place = view.place(node)
    if node.op_type in GROWING:
        yield Finding(WARNING, place, "float16: {} overflow early".format(GROWING[node.op_type]))
    terms = _terms(view, node)
    if terms is not None and terms > MOST_TERMS:
        yield Finding(WARNING, place, "float16: sums of {} terms".format(terms))


def constants(view: View) -> Iterator[Finding]:
    """The same for the values in the file that belong to calculations."""
    for name, value in view.values.items():
        if value.dtype not in (np.float32, np.float64) or not value.size or not np.isfinite(value).all():
            continue
        size = np.abs(value)
        largest = float(size.max())
        if LARGE_CONSTANT < largest <= LARGEST_FLOAT16 and _is_calculated_with(view, name):
            yield Finding(WARNING, name, "float16: values up to {:.0f}".format(largest))
        tiny = float(np.mean((size > 0) & (size < SMALLEST_NORMAL)))
        if tiny > MOST_TINY:
            yield Finding(WARNING, name, "float16: {:.0f} % of the values lie below 6e-5".format(100 * tiny))


def _is_calculated_with(view: View, name: str) -> bool:
    return any(node.op_type not in ("Clip", "Resize", "Upsample") for node in view.uses.get(name, []))


def _terms(view: View, node: NodeProto) -> Optional[int]:
    """How many products or values one output of the node adds up."""
    shape, weight = view.shape(operand(node, 0)), view.shape(operand(node, 1))
    if node.op_type == "Conv" and weight:
        return int(np.prod(weight[1:]))
    if node.op_type == "ConvTranspose" and weight:
        return weight[0] * int(np.prod(weight[2:])) // attribute(node, "group", 1)
    if node.op_type == "Gemm" and weight:
        return weight[1 if attribute(node, "transB", 0) else 0]
    if node.op_type == "MatMul" and shape:
        return shape[-1]
    if node.op_type == "GlobalAveragePool" and shape:
        return int(np.prod(shape[2:]))
    if node.op_type in REDUCTIONS and shape:
        return int(np.prod([shape[axis] for axis in _axes(view, node, len(shape))]))
    return None


def _axes(view: View, node: NodeProto, rank: int) -> List[int]:
    given = view.value(node, 1) if node.op_type == "ReduceSum" and view.opset >= 13 else attribute(node, "axes", None)
    axes = range(rank) if given is None else [int(axis) for axis in given]
    return [axis for axis in axes if -rank <= axis < rank]
