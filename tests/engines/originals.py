"""Compares a converted network with what its original gave in its original runtime."""
from typing import Any, Dict, List, Mapping, NamedTuple, Union

import numpy as np
from golden import Case, Golden, moments, read

from edge.core.errors import ModelError
from edge.host.analytics import load_runtime
from edge.host.packages import install

INPUT = "input"


class Differences(NamedTuple):
    """The largest absolute difference of each output over all cases, beside what rounding explains."""

    network: str
    largest: Mapping[str, float]
    tolerances: Mapping[str, float]
    problems: List[str]  # what is wrong, one line each; empty: the conversion is right

    @property
    def agree(self) -> bool:
        return not self.problems


def _session(model: Union[str, bytes]) -> Any:
    try:
        onnxruntime = load_runtime("onnxruntime")
    except ImportError as e:
        raise ModelError("verifying needs ONNX Runtime: " + install("onnxruntime")) from e
    state = load_runtime("onnxruntime.capi.onnxruntime_pybind11_state")
    refusals = (
        state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf, state.NoSuchFile,
        state.NotImplemented, state.RuntimeException)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except refusals as e:
        raise ModelError("ONNX Runtime refuses the network: {}".format(str(e).splitlines()[0])) from e


def _compare(case: Case, outputs: Mapping[str, np.ndarray], golden: Golden, largest: Dict[str, float]) -> List[str]:
    problems = []
    for name, expected in case.expected.items():
        values = outputs[name]
        samples = values.ravel()[::expected.step]
        if samples.size != expected.values.size:
            return ["{}: {} has {} values, not as many as upstream's".format(golden.network, name, values.size)]
        errors = np.append(samples.astype(np.float64) - expected.values, moments(values) - expected.moments)
        difference = float(np.abs(errors).max())
        if not difference <= largest[name]:  # NaN is the largest of all
            largest[name] = difference
        if not difference <= golden.tolerances[name]:
            problems.append("{}: {} differs by {:.2g} from {} on {} (at most {:.2g} is rounding)".format(
                golden.network, name, difference, golden.runtime, case.title, golden.tolerances[name]))
    return problems


def verify(model: Union[str, bytes], golden: str) -> Differences:
    """`model` is the path or the bytes of an ONNX file, `golden` the path of an .npz. Raises ModelError for either of
    them that cannot be read; a network that differs is not an error but has `problems`.
    """
    expected = read(golden)
    session = _session(model)
    inputs = {value.name: list(value.shape) for value in session.get_inputs()}
    names = [output.name for output in session.get_outputs()]
    largest = {name: 0.0 for name in expected.tolerances}
    wanted = {INPUT: list(expected.cases[0].feed.shape)}
    if inputs != wanted or sorted(names) != sorted(largest):
        problem = "{}: inputs {} and outputs {} instead of {} and {}".format(
            expected.network, inputs, ", ".join(sorted(names)), wanted, ", ".join(sorted(largest)))
        return Differences(expected.network, largest, expected.tolerances, [problem])
    problems: List[str] = []
    for case in expected.cases:
        outputs = dict(zip(names, session.run(names, {INPUT: case.feed})))
        problems += _compare(case, outputs, expected, largest)
    return Differences(expected.network, largest, expected.tolerances, problems)
