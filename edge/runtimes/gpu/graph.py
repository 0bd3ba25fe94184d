"""CUDA graphs: what a thread enqueues on a stream is recorded once and launched by one call, through the driver's own library.

pycuda has no graphs. The calls are those of CUDA 10.2, which later drivers keep. While a thread records, it may neither wait
nor allocate, and nobody in the process may use the default stream, as TensorRT does while it loads: PRIMARY.opening.
"""
import ctypes
from typing import Any, Callable, Optional

from edge.core.errors import EngineError

LIBRARY = "libcuda.so.1"
THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL of cuda.h: calls of other threads do not break the recording
_HANDLE, _PLACE = ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)
_SIGNATURES = {
    "cuStreamBeginCapture_v2": (_HANDLE, ctypes.c_int),
    "cuStreamEndCapture": (_HANDLE, _PLACE),
    "cuGraphInstantiate": (_PLACE, _HANDLE, _PLACE, ctypes.c_char_p, ctypes.c_size_t),
    "cuGraphLaunch": (_HANDLE, _HANDLE),
    "cuGraphDestroy": (_HANDLE,),
    "cuGraphExecDestroy": (_HANDLE,),
    "cuGetErrorName": (ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)),
}


def driver() -> Optional[Any]:
    """CUDA's library, None where it is not, or is older than graphs. It is loaded once for the process."""
    try:
        library = ctypes.CDLL(LIBRARY)
        for name, arguments in _SIGNATURES.items():
            getattr(library, name).argtypes = arguments
    except (OSError, AttributeError):
        return None
    return library


class Graph:
    """Recorded work. Used in one thread that has the context pushed, and closed before what it uses is freed."""

    def __init__(self, library: Any, stream: int, work: Callable[[], None]) -> None:
        """Record what `work` enqueues on `stream`, a handle; nothing of it runs. Raises EngineError, and what `work` does."""
        self._library = library
        self._stream, self._launchable = ctypes.c_void_p(stream), ctypes.c_void_p()
        graph = ctypes.c_void_p()
        try:
            self._record(work, graph)
            self._call("cuGraphInstantiate", ctypes.byref(self._launchable), graph, None, None, 0)
        finally:
            if graph:
                library.cuGraphDestroy(graph)

    def launch(self) -> None:
        """Enqueue it on its stream. Raises EngineError where that fails; a fault of the device shows where it is awaited."""
        code = self._library.cuGraphLaunch(self._launchable, self._stream)
        if code:
            self._check("cuGraphLaunch", code)

    def close(self) -> None:
        """May be called twice. The stream has been waited for."""
        launchable, self._launchable = self._launchable, ctypes.c_void_p()
        if launchable:
            self._library.cuGraphExecDestroy(launchable)

    def _record(self, work: Callable[[], None], graph: Any) -> None:
        self._call("cuStreamBeginCapture_v2", self._stream, THREAD_LOCAL)
        try:
            work()
        finally:
            code = self._library.cuStreamEndCapture(self._stream, ctypes.byref(graph))
        self._check("cuStreamEndCapture", code)

    def _call(self, name: str, *arguments: Any) -> None:
        self._check(name, getattr(self._library, name)(*arguments))

    def _check(self, name: str, code: int) -> None:
        if code:
            text = ctypes.c_char_p()
            self._library.cuGetErrorName(code, ctypes.byref(text))
            raise EngineError("{}: {}".format(name, (text.value or b"error %d" % code).decode("ascii", "replace")))
