"""OpenVINO on one thread, in 32 bits. Works from version 2024.0."""
import ctypes
import sys
from contextlib import contextmanager
from typing import Any, Iterator, List, Mapping, Sequence, Tuple

import numpy as np

from edge.core.contracts import Tensor
from edge.core.interface import Interface
from edge.core.roles import OPENVINO
from edge.host.packages import install
from edge.runtimes.cpu.runner import CpuRunner, OpenTensor, imported, own_tensors, static_tensor, zeros

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
            if self._interface is not None:
                network = self._own_network(ov, self._interface)
            elif self._open_dims():
                network, sides = core.read_model(self._file), list(self._open_dims().values())
                network.reshape([d if d.is_static else sides.pop(0) for d in network.inputs[0].get_partial_shape()])
            self._request = core.compile_model(network, "CPU", CONFIG).create_infer_request()
        float32 = ov.Type.f32
        if self._interface is not None:
            return own_tensors(self.model, self._interface, self._open(self._request.model_inputs, float32),
                               self._open(self._request.model_outputs, float32), self._shapes)
        return self._tensors(self._request.model_inputs, float32), self._tensors(self._request.model_outputs, float32)

    def _own_network(self, ov: Any, interface: Interface) -> Any:
        """Read, its batch fixed, its inputs and outputs in 32 bits."""
        network = ov.Core().read_model(self._file)
        if len(network.inputs) == 1:
            dims = [d.get_length() if d.is_static else None for d in network.inputs[0].get_partial_shape()]
            network.reshape(list(interface.sized(dims, self.model)))
        steps = ov.preprocess.PrePostProcessor(network)
        for tensors, ports in ((steps.input, network.inputs), (steps.output, network.outputs)):
            for i in range(len(ports)):
                tensors(i).tensor().set_element_type(ov.Type.f32)
        return steps.build()

    def _open(self, ports: Any, float32: Any) -> List[OpenTensor]:
        """By the names of their tensors, of which a port may have several."""
        wanted = {} if self._interface is None else self._interface.outputs
        return [(next((name for name in sorted(port.get_names()) if name in wanted), name_of(port)),
                 [d.get_length() if d.is_static else None for d in port.get_partial_shape()],
                 port.get_element_type() == float32) for port in ports]

    def _shapes(self, feed: Tensor) -> Sequence[Sequence[int]]:
        self._request.infer(list(zeros([feed]).values()))
        return [tuple(self._request.get_output_tensor(i).shape) for i in range(len(self._request.model_outputs))]

    def _tensors(self, ports: Any, float32: Any) -> Tuple[Tensor, ...]:
        return tuple(
            static_tensor(self.model, name_of(port),
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


def name_of(port: Any) -> str:
    return port.get_node().get_friendly_name().split(RESULT)[0]  # type: ignore[no-any-return]
