"""One network run node by node, each node in the arithmetic that is asked for: FP32, or one of two kinds of FP16.

ONNX Runtime computes every node on its own, in FP32; FP16 is made around it by rounding what goes in and what comes out. Sums
in FP16 are `halfmath`'s, for the operators of `SUMMING`; others add up too little for it to show.
"""
from typing import AbstractSet, Any, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from calibration.fp16.halfmath import FP16_SUMS, FP32, Window, convolve, mean, multiply, rounded
from edge.host.analytics import load_runtime

Tensors = Dict[str, np.ndarray]


class Step(NamedTuple):
    """One node and what it reads and gives, without the names that were left out."""

    node: NodeProto
    reads: Tuple[str, ...]  # not the constants
    gives: Tuple[str, ...]


class Emulation:
    """Sessions are made when first needed and kept. Not for two threads."""

    def __init__(self, model: ModelProto) -> None:
        self._model = model
        self.constants: Tensors = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        self._rounded = {name: _in_half(value) for name, value in self.constants.items()}
        self.input = next(i.name for i in model.graph.input if i.name not in self.constants)
        self.outputs = [o.name for o in model.graph.output]
        self.steps = [Step(node, tuple(n for n in node.input if n and n not in self.constants),
                           tuple(n for n in node.output if n)) for node in model.graph.node]
        self._sessions: Dict[Tuple[int, bool], Any] = {}

    def run(self, feeds: Mapping[str, np.ndarray], how: str, pinned: AbstractSet[str] = frozenset()) -> Tensors:
        """Every tensor of the network; the nodes whose names are in `pinned` stay in FP32."""
        known: Tensors = dict(feeds)
        for number, step in enumerate(self.steps):
            known.update(self._step(number, known, FP32 if step.node.name in pinned else how))
        return known

    def alone(self, exact: Mapping[str, np.ndarray], number: int, how: str) -> Tensors:
        """The network's outputs when only one node is not FP32. `exact` has every tensor of the run in FP32."""
        changed: Tensors = self._step(number, exact, how)
        known = dict(exact)
        known.update(changed)
        touched = set(changed)
        for later in range(number + 1, len(self.steps)):
            step = self.steps[later]
            if touched.intersection(step.reads):
                known.update(self._step(later, known, FP32))
                touched.update(step.gives)
        return {name: known[name] for name in self.outputs}

    def _step(self, number: int, known: Mapping[str, np.ndarray], how: str) -> Tensors:
        step = self.steps[number]
        if how == FP32:
            return self._by_runtime(number, known, False)
        read = {name: _in_half(known[name]) for name in step.reads}
        if how == FP16_SUMS and step.node.op_type in SUMMING:
            operands = [read[n] if n in read else self._rounded[n] for n in step.node.input if n]
            summed = SUMMING[step.node.op_type](step.node, operands)
            if summed is not None:
                return {step.gives[0]: summed}
        return {name: _in_half(value) for name, value in self._by_runtime(number, read, True).items()}

    def _by_runtime(self, number: int, known: Mapping[str, np.ndarray], half: bool) -> Tensors:
        step = self.steps[number]
        session = self._sessions.get((number, half))
        if session is None:
            session = self._sessions[number, half] = self._session(number, known, half)
        found = session.run(list(step.gives), {name: known[name] for name in step.reads})
        return dict(zip(step.gives, found))

    def _session(self, number: int, known: Mapping[str, np.ndarray], half: bool) -> Any:
        """Of a network that is this one node, with its constants rounded or not."""
        step, constants = self.steps[number], self._rounded if half else self.constants
        used = sorted({name for name in step.node.input if name in self.constants})
        graph = helper.make_graph(
            [step.node], "one",
            [helper.make_tensor_value_info(n, _onnx_type(known[n]), known[n].shape) for n in sorted(set(step.reads))],
            [helper.make_empty_tensor_value_info(name) for name in step.gives],
            initializer=[numpy_helper.from_array(constants[name], name) for name in used])
        model = helper.make_model(graph, opset_imports=list(self._model.opset_import))
        model.ir_version = self._model.ir_version
        return session_of(model)


def session_of(model: ModelProto) -> Any:
    """ONNX Runtime with the graph as it is: nothing fused, one thread."""
    ort = load_runtime("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4  # what goes wrong comes as an exception as well
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _in_half(value: np.ndarray) -> np.ndarray:
    return rounded(value) if value.dtype == np.float32 else value


def _onnx_type(value: np.ndarray) -> int:
    types = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64, "int32": TensorProto.INT32, "bool": TensorProto.BOOL}
    return int(types[value.dtype.name])


def _attributes(node: NodeProto) -> Dict[str, Any]:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def _conv(node: NodeProto, operands: Sequence[np.ndarray]) -> Optional[np.ndarray]:
    """None for what is no plain convolution of pictures."""
    given, weight = _attributes(node), operands[1]
    if weight.ndim != 4 or given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        return None
    window = Window(weight.shape[2:], given.get("strides", (1, 1)), given.get("pads", (0, 0, 0, 0)),
                    given.get("dilations", (1, 1)))
    return convolve(operands[0], weight, operands[2] if len(operands) > 2 else None, window, given.get("group", 1))


def _gemm(node: NodeProto, operands: Sequence[np.ndarray]) -> Optional[np.ndarray]:
    given = _attributes(node)
    if given.get("alpha", 1.0) != 1.0 or given.get("beta", 1.0) != 1.0:
        return None
    a = operands[0].T if given.get("transA", 0) else operands[0]
    b = operands[1].T if given.get("transB", 0) else operands[1]
    product = multiply(a, b)
    return product if len(operands) < 3 else rounded(product + operands[2])


def _matmul(node: NodeProto, operands: Sequence[np.ndarray]) -> Optional[np.ndarray]:
    return multiply(operands[0], operands[1]) if operands[0].ndim == operands[1].ndim == 2 else None


def _average(node: NodeProto, operands: Sequence[np.ndarray]) -> Optional[np.ndarray]:
    return mean(operands[0]) if operands[0].ndim == 4 else None


# operators whose sums are rounded to float16; each gives None for a case that it does not have
SUMMING = {"Conv": _conv, "Gemm": _gemm, "MatMul": _matmul, "GlobalAveragePool": _average}
