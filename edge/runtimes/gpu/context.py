"""The GPU of this process: one primary context for all threads, pushed where a runner is open, and one stream a thread.

pycuda keeps the stack of contexts per thread, and ends the process where a thread ends with one still on it; so each
enter() has its leave(), in the same thread. What is allocated belongs to the context, and may be freed in any thread that
has it pushed. The context itself can be released only by the thread that retained it, or it stays for good; as any
runner may close last, a thread of its own holds it.
"""
import threading
from typing import Any, NamedTuple, Optional

from edge.core.errors import EngineError
from edge.host import commands
from edge.host.waiting import Event
from edge.runtimes.cpu.runner import imported, reason
from edge.runtimes.gpu.frames import FrameStore

PYCUDA = "pycuda"
CURE = "run `sh setup.sh` (docs/jetson-nano.md)"
NO_DRIVER = ("install NVIDIA's driver (on a Jetson it comes with JetPack: flash 4.6.1 or later; a container is to be given "
             "the GPU with --runtime nvidia)")
FREE_MEMORY = "free memory: stop the desktop (`sudo systemctl isolate multi-user.target`) and what else uses the GPU"


class Gpu(NamedTuple):
    """What a plan and a cubin are bound to."""

    name: str  # from CUDA, e.g. NVIDIA Tegra X1
    compute_capability: str  # 5.3


class ThreadStream:
    """What the open runners of one thread share."""

    def __init__(self, cuda: Any) -> None:
        """`cuda`: pycuda's driver. Raises its errors."""
        self.cuda = cuda
        self.stream = cuda.Stream()  # None once the thread has left, also in references that remain


def driver() -> Any:
    """pycuda's driver module. Raises EngineError where it is not installed, or finds no driver."""
    imported(PYCUDA, CURE)
    return imported(PYCUDA + ".driver", NO_DRIVER)


def gpu() -> Gpu:
    """The GPU that is used, the first. Makes no context. Raises EngineError where there is none."""
    cuda = driver()
    try:
        cuda.init()
        device = cuda.Device(0)
        return Gpu(device.name(), "{}.{}".format(*device.compute_capability()))
    except cuda.Error as e:
        raise EngineError("CUDA finds no GPU ({}): {}".format(reason(e), NO_DRIVER)) from e


def failure(cuda: Any, error: Exception, doing: str) -> EngineError:
    """What pycuda raised while `doing`, as one line with the cure."""
    error.with_traceback(None)  # its frames would keep streams and events for longer than their context
    if isinstance(error, cuda.MemoryError):
        return EngineError("{} failed, the GPU's memory is full ({}): {}".format(doing, reason(error), FREE_MEMORY))
    return EngineError("{} failed on the GPU ({}): {}".format(doing, reason(error), gpu_cure()))


def gpu_cure() -> str:
    return "start again; if it stays, look at `dmesg` and the power supply (5 V, 4 A), and " + commands.run("doctor")


def this_thread() -> int:
    return threading.get_ident()


class _ThreadState(threading.local):
    """Of each thread: its stream, and how many open runners use it."""

    stream: Optional[ThreadStream] = None
    users = 0


class _ContextThread(threading.Thread):
    """Retains the primary context, and waits to release it."""

    def __init__(self, cuda: Any) -> None:
        super().__init__(name="nanoface-cuda", daemon=True)
        self.context: Any = None
        self.error: Optional[Exception] = None  # why there is no context
        self._cuda = cuda
        self._retained, self._unused = Event(), Event()

    def retain(self) -> None:
        """Returns with `context` or `error` set."""
        self.start()
        self._retained.wait()

    def release(self) -> None:
        """No thread has it pushed any more."""
        self._unused.set()
        self.join()

    def run(self) -> None:
        try:
            self._cuda.init()
            self.context = self._cuda.Device(0).retain_primary_context()
        except self._cuda.Error as e:
            self.error = e
        self._retained.set()
        if self.error is None:
            self._unused.wait()
            self.context.detach()
            self.context = None


class Primary:
    """Counts the threads that use the primary context. It is retained for the first thread and released after the last."""

    def __init__(self) -> None:
        self.opening = threading.RLock()  # around loading a plan and recording a graph: one would break the other
        self._lock = threading.Lock()
        self._holder: Optional[_ContextThread] = None
        self._threads = 0  # that have it pushed
        self._frames: Optional[FrameStore] = None
        self._local = _ThreadState()

    def enter(self) -> ThreadStream:
        """Push the context where this thread has not yet; to be matched by leave(). Raises EngineError."""
        local = self._local
        if local.stream is None:
            local.stream = self._push(driver())
        local.users += 1
        return local.stream

    def leave(self) -> None:
        """Everything that the caller made on the device is freed already."""
        local = self._local
        local.users -= 1
        if local.users == 0 and local.stream is not None:
            thread, local.stream = local.stream, None
            thread.stream = None  # while its context is there
            self._pop(thread.cuda)

    def frames(self, cuda: Any) -> FrameStore:
        """The frames on the device, for every thread that has entered."""
        with self._lock:
            if self._frames is None:
                self._frames = FrameStore(cuda, threading.Lock())
            return self._frames

    def _push(self, cuda: Any) -> ThreadStream:
        with self._lock:
            if self._holder is None:
                holder = _ContextThread(cuda)
                holder.retain()
                if holder.error is not None:
                    raise failure(cuda, holder.error, "making a context")
                self._holder = holder
            try:
                self._holder.context.push()
            except cuda.Error as e:
                self._release_unused()
                raise failure(cuda, e, "entering the context") from e
            self._threads += 1
        try:
            return ThreadStream(cuda)
        except cuda.Error as e:
            self._pop(cuda)
            raise failure(cuda, e, "making a stream") from e

    def _pop(self, cuda: Any) -> None:
        with self._lock:
            self._threads -= 1
            if self._threads == 0 and self._frames is not None:
                self._frames.free()
                self._frames = None
            cuda.Context.pop()
            self._release_unused()

    def _release_unused(self) -> None:
        if self._threads == 0 and self._holder is not None:
            self._holder.release()
            self._holder = None


PRIMARY = Primary()
