"""Every call of TensorRT that running a plan takes, as version 8.2 has them.

num_bindings, get_binding_*, binding_is_input and execute_async_v2 are called otherwise from 8.5 on and gone in 10: another
version is a matter of this file. Nothing here raises what TensorRT does not: it answers with None and False, and logs why.
"""
from collections import deque
from contextlib import suppress
from functools import lru_cache
from typing import Any, Callable, Deque, Dict, List, NamedTuple, Optional, Tuple

from edge.core.roles import TENSORRT
from edge.runtimes.cpu.runner import imported
from edge.runtimes.gpu.context import this_thread

PACKAGE = TENSORRT
CURE = "sudo apt install python3-libnvinfer (it comes with JetPack 4.6.1 or later)"
KEPT = 8  # errors of a thread
LONGEST = 300  # characters of TensorRT's words in a message


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
            self.said: Dict[int, Deque[str]] = {}  # thread -> its last errors
            self.errors = (trt.Logger.INTERNAL_ERROR, trt.Logger.ERROR)
            self.listener: Optional[Callable[[Any, str], None]] = None  # hears everything: the build shows it

        def log(self, severity: Any, msg: str) -> None:
            with suppress(BaseException):  # what is raised here ends the process: TensorRT calls from where nothing may throw
                if severity in self.errors:
                    self.said.setdefault(this_thread(), deque(maxlen=KEPT)).append(msg)
                if self.listener is not None:
                    self.listener(severity, msg)

    return Log()


def forget_words(trt: Any) -> None:
    """Before a call: what this thread was told until now is of no interest any more."""
    log_of(trt).said.pop(this_thread(), None)


def words(trt: Any) -> str:
    """What TensorRT told this thread, in one line: the cause comes first, then what it could not do for it."""
    told = [" ".join(str(message).split()) for message in log_of(trt).said.get(this_thread(), ())]
    return (" ".join(told) or "TensorRT does not say why")[:LONGEST]


def runtime_of(trt: Any) -> Optional[Any]:
    """None where CUDA does not start, which the bindings say with a TypeError. Holds the interpreter's lock."""
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


def context_of(engine: Any) -> Optional[Any]:
    """None where there is no memory for it. Holds the interpreter's lock."""
    return engine.create_execution_context()


def enqueue(context: Any, addresses: List[int], stream: int) -> bool:
    """False where nothing was enqueued. `stream`: its handle."""
    return bool(context.execute_async_v2(addresses, stream))
