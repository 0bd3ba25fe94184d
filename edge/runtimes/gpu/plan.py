"""A plan in memory: TensorRT's runtime, the engine, and the execution context of one runner.

num_bindings, get_binding_*, binding_is_input and execute_async_v2 are called as version 8.2 has them, otherwise from 8.5 on
and gone in 10: another version is a matter of this file. TensorRT returns None or False, and logs why; here that becomes an
EngineError with the logged errors and the cure.
"""
from collections import deque
from contextlib import suppress
from functools import lru_cache
from typing import Any, Callable, Deque, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from edge.core.contracts import Tensor
from edge.core.errors import EngineError, ModelError
from edge.core.roles import TENSORRT
from edge.host import commands
from edge.runtimes.cpu.runner import imported, rebuild, static_tensor
from edge.runtimes.gpu.context import FREE_MEMORY, gpu_cure, this_thread
from edge.store.plans import StoredPlan

PACKAGE = TENSORRT
CURE = "sudo apt install python3-libnvinfer (it comes with JetPack 4.6.1 or later)"
KEPT = 8  # errors of a thread
LONGEST = 300  # characters of TensorRT's errors in a message


class Binding(NamedTuple):
    """One input or output of an engine."""

    name: str
    shape: Tuple[int, ...]  # -1 where it is not fixed
    is_input: bool
    is_float32: bool


def package() -> Any:
    """TensorRT's module; OpenCV and numpy are imported before it. Raises EngineError where it cannot be used."""
    return imported(PACKAGE, CURE)


@lru_cache(maxsize=1)
def log_of(trt: Any) -> Any:
    """The one logger of the process, which must outlive whatever was made with it. Any thread may log."""

    class Log(trt.ILogger):  # type: ignore
        """Keeps the last errors."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.recent: Dict[int, Deque[str]] = {}  # thread -> its last errors
            self.errors = (trt.Logger.INTERNAL_ERROR, trt.Logger.ERROR)
            self.listener: Optional[Callable[[Any, str], None]] = None  # gets every message: the build shows them

        def log(self, severity: Any, msg: str) -> None:
            with suppress(BaseException):  # what is raised here ends the process: TensorRT calls from where nothing may throw
                if severity in self.errors:
                    self.recent.setdefault(this_thread(), deque(maxlen=KEPT)).append(msg)
                if self.listener is not None:
                    self.listener(severity, msg)

    return Log()


def forget_errors(trt: Any) -> None:
    """Before a call: those that this thread has logged so far are not its."""
    log_of(trt).recent.pop(this_thread(), None)


def last_errors(trt: Any) -> str:
    """Those that TensorRT logged in this thread, in one line: the cause comes first, then what failed because of it."""
    errors = [" ".join(str(message).split()) for message in log_of(trt).recent.get(this_thread(), ())]
    return (" ".join(errors) or "TensorRT does not say why")[:LONGEST]


def runtime_of(trt: Any) -> Optional[Any]:
    """None where CUDA does not start, for which the bindings raise a TypeError. Holds the interpreter's lock."""
    try:
        return trt.Runtime(log_of(trt))
    except TypeError:
        return None


def engine_of(runtime: Any, plan: str) -> Optional[Any]:
    """None for a plan that does not fit. The file's bytes are gone when this returns. Raises OSError."""
    with open(plan, "rb") as f:
        return runtime.deserialize_cuda_engine(f.read())


def bindings(trt: Any, engine: Any) -> List[Binding]:
    """In the order in which enqueue() wants their addresses."""
    return [Binding(engine.get_binding_name(i), tuple(engine.get_binding_shape(i)), bool(engine.binding_is_input(i)),
                    engine.get_binding_dtype(i) == trt.DataType.FLOAT)
            for i in range(engine.num_bindings)]


class LoadedPlan:
    """Made, loaded, used and closed in one thread that has the CUDA context pushed."""

    def __init__(self, plan: StoredPlan) -> None:
        self.inputs: Tuple[Tensor, ...] = ()
        self.outputs: Tuple[Tensor, ...] = ()
        self._plan = plan
        self._names: Sequence[str] = ()  # of all bindings, in the engine's order
        self._runtime: Any = None
        self._engine: Any = None
        self._context: Any = None

    def load(self) -> None:
        """The plan's file was checked against its sidecar. close() is to be called also where this raises EngineError."""
        trt, plan = package(), self._plan
        forget_errors(trt)
        self._runtime = runtime_of(trt)
        if self._runtime is None:
            raise EngineError("TensorRT does not start ({}): {}".format(last_errors(trt), gpu_cure()))
        try:
            self._engine = engine_of(self._runtime, plan.file)
        except OSError as e:
            raise EngineError("{} cannot be read ({}): {}".format(plan.file, e.strerror or e, plan.cure)) from e
        if self._engine is None:
            raise EngineError("TensorRT does not take {} ({}): {}; if that was just done, {}".format(
                plan.file, last_errors(trt), again(plan), FREE_MEMORY))
        self._context = self._engine.create_execution_context()  # holds the interpreter's lock
        if self._context is None:
            raise EngineError("TensorRT cannot make network {} ready to run ({}): {}".format(
                plan.network, last_errors(trt), FREE_MEMORY))
        self._describe(trt)

    def order(self, addresses: Mapping[str, int]) -> List[int]:
        """Device addresses by the name of the tensor, in the order in which enqueue() takes them."""
        return [addresses[name] for name in self._names]

    def enqueue(self, addresses: List[int], stream: int) -> None:
        """`stream`: its handle. Raises EngineError where nothing was enqueued; what fails on the device shows when the
        stream is waited for.
        """
        if not self._context.execute_async_v2(addresses, stream):
            raise EngineError("TensorRT cannot run network {} ({}): {}; if that does not help, {}".format(
                self._plan.network, last_errors(package()), FREE_MEMORY, again(self._plan)))

    def close(self) -> None:
        """May be called twice. What was made last goes first: it relies on what was there before it."""
        self._context = None
        self._engine = None
        self._runtime = None

    def _describe(self, trt: Any) -> None:
        """Raises EngineError unless all is static float32, as in the sidecar."""
        found, plan = bindings(trt, self._engine), self._plan
        try:
            tensors = [static_tensor(plan.network, b.name, b.shape, b.is_float32) for b in found]
            self.inputs = tuple(t for b, t in zip(found, tensors) if b.is_input)
            self.outputs = tuple(t for b, t in zip(found, tensors) if not b.is_input)
        except ModelError as e:
            reason = str(e).replace(": " + rebuild(), "")  # the network's cure, not the plan's
            raise EngineError("{} cannot be used, {}: {}".format(plan.file, reason, again(plan))) from e
        for key, ours in (("inputs", self.inputs), ("outputs", self.outputs)):
            if not _same(plan.sidecar.get(key), ours):
                raise EngineError("{} has the {} {}, and not those of its sidecar: {}".format(
                    plan.file, key, ", ".join("{} {}".format(*t) for t in ours), again(plan)))
        self._names = [b.name for b in found]


def again(plan: StoredPlan) -> str:
    """The cure for a plan that is up to date by its sidecar."""
    return commands.run("build --only {} --force".format(plan.role))


def _same(described: Any, tensors: Sequence[Tensor]) -> bool:
    """Whether a sidecar, which may hold anything, has just these names and shapes, in any order."""
    try:
        return sorted((name, tuple(shape)) for name, shape in described) == sorted((t.name, t.shape) for t in tensors)
    except (TypeError, ValueError):
        return False
