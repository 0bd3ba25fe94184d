"""CUDA graphs through the driver's own library, as `ctypes.CDLL("libcuda.so.1")` gives it once pycuda.driver was imported.

While a stream is captured, what is queued on it is kept as steps; each launch of the graph queues them anew. What may not be
done meanwhile fails as the driver documents it for CUDA 10.2, spoils the capture, and is a violation in the report.
"""
import ctypes
import itertools
import sys
import threading
import weakref

from . import settings
from .contexts import driver, threads
from .copies import check_unchanged, poison, watching
from .hold import burn
from .ledger import ledger
from .races import order
from .streams import fail_launch, launch_fails, lines, put

LIBRARY = "libcuda.so.1"
CODES = {
    "CUDA_SUCCESS": 0, "CUDA_ERROR_INVALID_VALUE": 1, "CUDA_ERROR_INVALID_CONTEXT": 201, "CUDA_ERROR_INVALID_HANDLE": 400,
    "CUDA_ERROR_ILLEGAL_STATE": 401, "CUDA_ERROR_LAUNCH_FAILED": 719, "CUDA_ERROR_NOT_SUPPORTED": 801,
    "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED": 900, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED": 901,
    "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD": 908, "CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE": 910, "CUDA_ERROR_UNKNOWN": 999,
}
RELAXED, TOPOLOGY_CHANGED = 2, 2
_handles = itertools.count(0x7F5000000080, 0x80)
_graphs, _executables = {}, {}


class Capture:
    """What is being recorded on one stream. Steps: ("use", block, start, end, writes), ("count", what), ("work", ...)."""

    def __init__(self, line, mode):
        self.line, self.mode, self.thread = line, mode, threading.get_ident()
        self.steps, self.needs, self.engines = [], [], []
        self.spoiled = ""

    def spoil(self, text):
        """It can only be ended any more."""
        ledger.violation("capture", text)
        self.spoiled = self.spoiled or text

    def concerns(self):
        """Whether calls of this thread that may break a capture are forbidden."""
        return self.mode != RELAXED and (self.mode == 0 or self.thread == threading.get_ident())

    def need(self, thing):
        """What must still be there when the graph is launched: a module, an execution context."""
        self.needs.append(weakref.ref(thing))


class _Graph:
    """A graph, or what was made of it to be launched."""

    def __init__(self, source):
        self.steps, self.needs, self.engines = list(source.steps), list(source.needs), list(source.engines)
        self.line, self.number = None, 0  # of the last launch

    def kinds(self):
        return [(step[0], step[1]) for step in self.steps if step[0] != "use"]


def _begin(stream, mode):
    line = lines.get(_value(stream))
    if line is None or not threads.stack:
        return _fault("begun on a stream that does not live, or without a context", "CUDA_ERROR_INVALID_HANDLE")
    if not line.handle:
        return _fault("of the default stream", "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED")
    if line.capture is not None:
        return _fault("begun twice", "CUDA_ERROR_ILLEGAL_STATE")
    if settings.fault("capture"):
        return CODES["CUDA_ERROR_NOT_SUPPORTED"]
    line.capture = Capture(line, _value(mode))
    driver.captures.append(line.capture)
    ledger.born("capture that was not ended", line.capture)
    return 0


def _end(stream, place):
    line = lines.get(_value(stream))
    place._obj.value = None
    if line is None or line.capture is None:
        return _fault("ended that was not begun", "CUDA_ERROR_ILLEGAL_STATE")
    capture = line.capture
    if capture.mode != RELAXED and capture.thread != threading.get_ident():
        return _fault("ended in another thread", "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD")
    forget(capture)
    if capture.spoiled:
        return CODES["CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"]
    place._obj.value = _keep("graph", _graphs, _Graph(capture))
    ledger.count("captures")
    return 0


def forget(capture):
    capture.line.capture = None
    driver.captures.remove(capture)
    ledger.gone("capture that was not ended", capture)


def _instantiate(place, graph, node, log, size):
    found = _graphs.get(_value(graph))
    if found is None:
        return _fault("whose graph was destroyed is instantiated", "CUDA_ERROR_INVALID_VALUE")
    if settings.fault("instantiate"):
        return CODES["CUDA_ERROR_NOT_SUPPORTED"]
    place._obj.value = _keep("executable graph", _executables, _Graph(found))
    return 0


def _update(executable, graph, node, result):
    """The executable takes over the parameters of a graph of the same shape."""
    old, new = _executables.get(_value(executable)), _graphs.get(_value(graph))
    if old is None or new is None:
        return _fault("that was destroyed is updated", "CUDA_ERROR_INVALID_VALUE")
    same = old.kinds() == new.kinds()
    result._obj.value = 0 if same else TOPOLOGY_CHANGED
    if not same:
        return CODES["CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE"]
    old.steps, old.needs, old.engines = list(new.steps), list(new.needs), list(new.engines)
    return 0


def _launch(executable, stream):
    found, line = _executables.get(_value(executable)), lines.get(_value(stream))
    if found is None or line is None:
        return _fault("that was destroyed is launched, or on a stream that was", "CUDA_ERROR_INVALID_VALUE")
    if not threads.stack:
        return _fault("launched without a current context", "CUDA_ERROR_INVALID_CONTEXT")
    if driver.failure:
        return CODES["CUDA_ERROR_LAUNCH_FAILED"]
    if line.capture is not None:
        line.capture.spoil("a graph is launched into a capture: not simulated")
        return CODES["CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"]
    if any(need() is None for need in found.needs):
        return _fault("launched after its kernel's module or execution context was destroyed", "CUDA_ERROR_INVALID_VALUE")
    if any(step[0] == "use" and step[1].freed for step in found.steps):
        return _fault("launched after memory that it uses was freed", "CUDA_ERROR_INVALID_VALUE")
    for names in found.engines:
        false_from = settings.fault("execute_false_from", names)
        if false_from is not None and ledger.counts.get("executions", 0) + 1 >= int(false_from):
            ledger.count("executions")
            return CODES["CUDA_ERROR_UNKNOWN"]
    burn(float(settings.text("GRAPH_MS", "0")) / 1000.0)
    ledger.count("graph launches")
    _queue(found, line)
    return 0


def _queue(found, line):
    fails = False
    for step in found.steps:
        if step[0] == "use":
            _use(line, *step[1:])
        elif step[0] == "count":
            ledger.count(step[1])
            fails = step[1] in ("kernels", "executions") and launch_fails()
        else:
            put(line, *((fail_launch, ()) if fails else step[1:]))
            fails = False
    found.line, found.number = line, line.made
    for thing in [need() for need in found.needs]:
        if hasattr(thing, "_number"):  # an execution context: what is in flight on it
            thing._line, thing._number = line, line.made


def _use(line, block, start, end, writes):
    pinned = block.what[0] == "p"  # page-locked: the host sees it
    if pinned and writes:
        poison(block, start, end)
    order(line, block, start, end, writes)
    if pinned and not writes and watching():
        seen = block.bytes[start:end]
        put(line, check_unchanged, (seen, seen.copy()))


def _destroy_graph(graph):
    return _drop("graph", _graphs, graph)


def _destroy_executable(executable):
    found = _executables.get(_value(executable))
    if found is not None and found.line is not None and found.line.done < found.number:
        ledger.violation("order", "an executable graph was destroyed with work in flight")
    return _drop("executable graph", _executables, executable)


def _keep(kind, where, thing):
    handle = next(_handles)
    where[handle] = thing
    ledger.born(kind, thing)
    return handle


def _drop(kind, where, handle):
    thing = where.pop(_value(handle), None)
    if thing is None:
        return _fault("destroyed twice, or never there", "CUDA_ERROR_INVALID_VALUE")
    ledger.gone(kind, thing)
    return 0


def _error_name(code, place):
    name = next((name for name, number in CODES.items() if number == _value(code)), None)
    place._obj.value = name.encode("ascii") if name else None
    return 0 if name else CODES["CUDA_ERROR_INVALID_VALUE"]


def _fault(text, code):
    ledger.violation("capture", "a capture or graph " + text)
    return CODES[code]


def _value(argument):
    return getattr(argument, "value", argument) or 0


class _Call:
    """A function of the library: takes argtypes, and arguments as ctypes does."""

    def __init__(self, function):
        self._function, self.argtypes, self.restype = function, None, ctypes.c_int

    def __call__(self, *arguments):
        return self._function(*arguments)


class _Library:
    """The names that CUDA 10.2 has."""

    def __init__(self):
        for name, function in (
                ("cuStreamBeginCapture_v2", _begin), ("cuStreamEndCapture", _end), ("cuGraphInstantiate", _instantiate),
                ("cuGraphExecUpdate", _update), ("cuGraphLaunch", _launch), ("cuGraphDestroy", _destroy_graph),
                ("cuGraphExecDestroy", _destroy_executable), ("cuGetErrorName", _error_name)):
            setattr(self, name, _Call(function))


library = _Library()


def install():
    """From now on ctypes.CDLL gives the simulated driver, as long as this module is the one that is imported."""
    if getattr(ctypes.CDLL, "is_simulator", False):
        return

    class CDLL(ctypes.CDLL):
        """ctypes.CDLL but for libcuda.so.1."""

        is_simulator = True

        def __new__(cls, name=None, *rest, **more):
            graphs = sys.modules.get(__name__)
            return graphs.library if name == LIBRARY and graphs is not None else super().__new__(cls)

    ctypes.CDLL = CDLL
