"""ONNX Runtime on one thread. Works from version 1.10, the last for Python 3.6."""
from typing import Any, List, Mapping, Sequence, Tuple, Type

import numpy as np

from edge.core.contracts import Tensor
from edge.core.roles import ONNXRUNTIME
from edge.host.analytics import load_runtime
from edge.host.packages import install
from edge.runtimes.cpu.runner import CpuRunner, OpenTensor, imported, own_tensors, static_tensor, zeros

PACKAGE = ONNXRUNTIME
CURE = install(PACKAGE)
FATAL_ONLY = 4  # log severity: what goes wrong comes as an exception as well


class OnnxRunner(CpuRunner):
    """Runs `cpu_file`: its PReLU kernel takes twice as long as the same arithmetic spelled out."""

    _session: Any = None
    _binding: Any = None

    def _load(self) -> Tuple[Tuple[Tensor, ...], Tuple[Tensor, ...]]:
        ort = imported(PACKAGE, CURE)
        self.backend = "onnxruntime {} cpu".format(".".join(ort.__version__.split(".")[:2]))
        self._failures = tuple(set(self._failures + _failures()))
        options = _options(ort)
        for name, value in self._open_dims().items():
            options.add_free_dimension_override_by_name(name, value)
        self._session = ort.InferenceSession(self._file, options, providers=["CPUExecutionProvider"],
                                             enable_fallback=0)  # which tries the same again, and prints that
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if self._interface is not None:
            return own_tensors(self.model, self._interface, _open(inputs), _open(outputs), self._shapes)
        return self._tensors(inputs), self._tensors(outputs)

    def _shapes(self, feed: Tensor) -> Sequence[Sequence[int]]:
        return [np.shape(values) for values in self._session.run(None, zeros([feed]))]

    def _tensors(self, nodes: Any) -> Tuple[Tensor, ...]:
        return tuple(static_tensor(self.model, n.name, n.shape, n.type == "tensor(float)") for n in nodes)

    def _bind(self, feeds: Mapping[str, np.ndarray], results: Mapping[str, np.ndarray]) -> None:
        """By address, so that nothing is copied; run() would allocate its outputs every time."""
        self._binding = self._session.io_binding()
        for name, array in feeds.items():
            self._binding.bind_input(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        for name, array in results.items():
            self._binding.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)

    def _run(self) -> None:
        self._session.run_with_iobinding(self._binding)

    def _unload(self) -> None:
        self._binding = self._session = None


def _open(nodes: Any) -> List[OpenTensor]:
    """A dimension that is left open has a name, or nothing."""
    return [(n.name, [d if isinstance(d, int) and d > 0 else None for d in n.shape], n.type == "tensor(float)") for n in nodes]


def _failures() -> Tuple[Type[Exception], ...]:
    """The exceptions of ONNX Runtime, which have no common base of their own."""
    state = vars(load_runtime("onnxruntime.capi.onnxruntime_pybind11_state"))
    return tuple(v for v in state.values() if isinstance(v, type) and issubclass(v, Exception))


def _options(ort: Any) -> Any:
    """One thread, the caller's: with more, idle ones spin and take the other stages' time."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = FATAL_ONLY
    for pool in ("intra_op", "inter_op"):
        options.add_session_config_entry("session.{}.allow_spinning".format(pool), "0")  # ignored where not known
    return options
