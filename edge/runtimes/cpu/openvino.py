"""OpenVINO on one thread, in 32 bits. Works from version 2024.0."""
import ctypes
import sys
from contextlib import contextmanager
from typing import Any, Iterator, Mapping, Tuple

import numpy as np

from edge.core.contracts import Tensor
from edge.core.roles import OPENVINO
from edge.host.packages import install
from edge.runtimes.cpu.runner import CpuRunner, imported, static_tensor

RESULT = "/sink_port_"  # follows an output's name; get_any_name() may name another tensor that holds the same values
PACKAGE = OPENVINO
CURE = install(PACKAGE)
CONFIG = {
    "INFERENCE_PRECISION_HINT": "f32",  # its default is bfloat16 where the processor has that
    "INFERENCE_NUM_THREADS": 1,  # then infer() works in the calling thread
    "PERFORMANCE_HINT": "LATENCY",
    "NUM_STREAMS": 1,
    "ENABLE_CPU_PINNING": False,  # the threads are those of the pipeline; the system places them
}


class _Stack(ctypes.Structure):
    """stack_t of <signal.h> on Linux."""

    _fields_ = [("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]


@contextmanager
def signal_stack_kept() -> Iterator[None]:
    """On leaving, the calling thread has the signal stack again that it had before; mostly none.

    Where the processor has AMX, OpenVINO gives the thread that loads a network an alternate signal stack whose memory it
    does not keep: a signal that reaches the thread later, as Ctrl-C does the main one, is then handled in memory that
    was freed or reused, and the process dies. Seen with 2026.4; other threads are not affected.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    sigaltstack, before = ctypes.CDLL(None).sigaltstack, _Stack()
    known = sigaltstack(None, ctypes.byref(before)) == 0
    try:
        yield
    finally:
        if known:
            sigaltstack(ctypes.byref(before), None)


class OpenVinoRunner(CpuRunner):
    """Runs `cpu_file`, as ONNX Runtime does: the same as with PReLU kept but for roundings, and measured (2024.0 to 2026.4)
    to take 15 % less time with AVX-512, 7 % more with AVX2 alone.
    """

    _request: Any = None

    def _load(self) -> Tuple[Tuple[Tensor, ...], Tuple[Tensor, ...]]:
        ov = imported(PACKAGE, CURE)
        self.backend = "openvino {} f32".format(".".join(ov.__version__.split(".")[:2]))
        with signal_stack_kept():
            core, network = ov.Core(), self._file  # type: Any, Any
            if self._open_dims():
                network, sides = core.read_model(self._file), list(self._open_dims().values())
                network.reshape([d if d.is_static else sides.pop(0) for d in network.inputs[0].get_partial_shape()])
            self._request = core.compile_model(network, "CPU", CONFIG).create_infer_request()
        float32 = ov.Type.f32
        return self._tensors(self._request.model_inputs, float32), self._tensors(self._request.model_outputs, float32)

    def _tensors(self, ports: Any, float32: Any) -> Tuple[Tensor, ...]:
        return tuple(
            static_tensor(self.model, port.get_node().get_friendly_name().split(RESULT)[0],
                          [d.get_length() if d.is_static else None for d in port.get_partial_shape()],
                          port.get_element_type() == float32)
            for port in ports)

    def _bind(self, feeds: Mapping[str, np.ndarray], results: Mapping[str, np.ndarray]) -> None:
        tensor = imported(PACKAGE, CURE).Tensor
        for i, wanted in enumerate(self.inputs):
            self._request.set_input_tensor(i, tensor(feeds[wanted.name], shared_memory=True))
        for i, output in enumerate(self.outputs):
            self._request.set_output_tensor(i, tensor(results[output.name], shared_memory=True))

    def _run(self) -> None:
        self._request.infer(share_outputs=True)

    def _unload(self) -> None:
        self._request = None
