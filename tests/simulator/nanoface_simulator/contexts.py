"""CUDA contexts: the one primary context of the device, and the stack of current contexts that every thread has."""
import os
import sys
import threading

from . import errors, settings
from .ledger import ledger

NOT_EMPTY = """\
-------------------------------------------------------------------
PyCUDA ERROR: The context stack was not empty upon module cleanup.
-------------------------------------------------------------------
A context was still active when the context stack was being
cleaned up. At this point in our execution, CUDA may already
have been deinitialized, so there is no way we can finish
cleanly. The program will be aborted now.
Use Context.pop() to avoid this problem.
-------------------------------------------------------------------
"""


# may synchronize or allocate: not while this thread, or with the global mode any, captures a stream
UNSAFE = {"cuMemAlloc", "cuMemHostAlloc", "cuMemFree", "cuMemFreeHost", "cuModuleLoadDataEx", "cuEventQuery",
          "cuEventSynchronize"}


class Driver:
    """The state of the driver in this process."""

    def __init__(self):
        self.initialised = False
        self.failure = ""  # after a failed launch every call fails with this
        self.retained = 0  # of the primary context
        self.launches = 0
        self.captures = []  # that are being recorded, see graphs.py

    def reset(self):
        self.failure, self.launches = "", 0


class _Stack(list):
    """The current contexts of one thread. It goes with its thread, and the process with it where it is not empty."""

    def __init__(self):
        super().__init__()
        ledger.born_stack(self)

    def __del__(self):
        if self and not ledger.closing:
            ledger.violation("context", "a thread ended with a context on its stack")
            path = settings.text("REPORT")
            if path:
                ledger.write(path)
            _abort()


class _Threads(threading.local):
    """Each thread's own stack."""

    def __init__(self):
        self.stack = _Stack()


def _abort():
    sys.stderr.write(NOT_EMPTY)
    sys.stderr.flush()
    os.abort()


driver = Driver()
threads = _Threads()


def abort_at_end():
    """As the main thread's stack does when the interpreter ends; not for tests that have put the simulator away."""
    mine = sys.modules.get(__name__)
    if threads.stack and mine is not None and mine.threads is threads:
        _abort()


ledger.last.append(abort_at_end)


class Context:
    """A pycuda context. Only the primary one can be made here: Device(0).retain_primary_context()."""

    __slots__ = ("_valid", "_thread", "__weakref__")

    def __init__(self):
        raise errors.RuntimeError("This class cannot be instantiated from Python")

    @property
    def handle(self):
        return 0x55D0000

    def __eq__(self, other):
        return isinstance(other, Context)

    def __ne__(self, other):
        return not self == other

    def __hash__(self):
        return 0x55D0000 ^ id(self)

    def push(self):
        """Make it current in this thread. A context that was detached cannot be."""
        if not self._valid:
            ledger.violation("context", "push() of a context that was detached")
            raise errors.failed("cuCtxPushCurrent", errors.INVALID_CONTEXT)
        threads.stack.append(self)
        ledger.count("contexts pushed")

    @staticmethod
    def pop():
        if not threads.stack:
            ledger.violation("context", "pop() of an empty context stack")
            raise errors.failed("context::pop", errors.INVALID_CONTEXT, "cannot pop non-current context")
        threads.stack.pop()

    def detach(self):
        """Release the primary context. From a thread where it is not current and that did not make it, it is leaked."""
        if not self._valid:
            raise errors.failed("context::detach", errors.INVALID_CONTEXT, "cannot detach from invalid context")
        stack = threads.stack
        active = bool(stack) and stack[-1] is self
        if active or self._thread == threading.get_ident():
            self._release()
        else:
            ledger.violation("context", "detach() in a thread that did not make the context: it is leaked")
        self._valid = False
        ledger.gone("primary context", self)
        while active and stack and not stack[-1]._valid:
            stack.pop()

    def _release(self):
        driver.retained -= 1
        if not driver.retained:
            _released()

    @staticmethod
    def get_current():
        return threads.stack[-1] if threads.stack else None

    @staticmethod
    def get_device():
        current("cuCtxGetDevice")
        return Device(0)

    @staticmethod
    def synchronize():
        from .streams import synchronize_all
        current("cuCtxSynchronize")
        no_capture("cuCtxSynchronize", errors.CAPTURE_UNSUPPORTED)
        synchronize_all()
        checked("cuCtxSynchronize")

    def __del__(self):
        try:
            if self._valid and not ledger.closing:
                self.detach()
        except (AttributeError, errors.Error):
            return


def _released():
    """The primary context is destroyed, and with it what was made in it."""
    for kind in ("device memory", "page-locked memory", "stream", "event", "module", "engine", "execution context"):
        number = len(ledger.alive(kind))
        if number:
            ledger.violation("order", "the context was released before {} {}".format(number, kind))


class Device:
    """The GPU that the environment names."""

    __slots__ = ()

    def __init__(self, ordinal):
        if not driver.initialised:
            raise errors.failed("cuDeviceGet", errors.NOT_INITIALIZED)
        if ordinal != 0:
            raise errors.failed("cuDeviceGet", errors.INVALID_DEVICE)

    @staticmethod
    def count():
        if not driver.initialised:
            raise errors.failed("cuDeviceGetCount", errors.NOT_INITIALIZED)
        return 1

    def name(self):
        return settings.board().gpu

    def compute_capability(self):
        return settings.board().compute_capability

    def total_memory(self):
        return settings.board().memory_bytes

    def get_attribute(self, attribute):
        return attribute.value_here()

    def retain_primary_context(self):
        """It is not made current: call push() in each thread that uses CUDA."""
        if settings.fault("primary_context"):
            raise errors.failed("cuDevicePrimaryCtxRetain", errors.OUT_OF_MEMORY)
        context = Context.__new__(Context)
        context._valid, context._thread = True, threading.get_ident()
        driver.retained += 1
        ledger.born("primary context", context)
        return context

    def make_context(self, flags=0):
        ledger.violation("context", "make_context() makes a second context beside TensorRT's: use retain_primary_context()")
        context = self.retain_primary_context()
        context.push()
        return context

    def __eq__(self, other):
        return isinstance(other, Device)

    def __hash__(self):
        return 0


def init(flags=0):
    ledger.watch()
    if settings.fault("no_device"):
        raise errors.failed("cuInit", errors.NO_DEVICE)
    driver.initialised = True


def current(routine):
    """The context that is current in this thread. Raises LogicError where there is none, LaunchError after a failure."""
    stack = threads.stack
    if not stack:
        ledger.violation("context", "{} in a thread without a current context".format(routine))
        raise errors.failed(routine, errors.INVALID_CONTEXT)
    if driver.failure:
        raise errors.failed(routine, driver.failure)
    return stack[-1]


def ward():
    """As current(), for the constructors of what depends on a context."""
    stack = threads.stack
    if not stack:
        ledger.violation("context", "something was made in a thread without a current context")
        raise errors.failed("explicit_context_dependent", errors.INVALID_CONTEXT, "no currently active context?")
    return stack[-1]


def checked(routine):
    """Raises LaunchError where a kernel has failed."""
    if driver.failure:
        raise errors.failed(routine, driver.failure)
    if driver.captures and routine in UNSAFE:
        uncaptured(routine)


def uncaptured(routine):
    """Raises LogicError for a call that a capture forbids to this thread."""
    for capture in [capture for capture in driver.captures if capture.concerns()]:
        capture.spoil(routine + " while a stream is captured")
        raise errors.failed(routine, errors.CAPTURE_UNSUPPORTED)


def no_capture(routine, reason):
    """Raises LogicError where any stream is captured, whoever calls: such a call waits for all of them."""
    for capture in list(driver.captures):
        capture.spoil("{} while a stream is captured".format(routine))
    if driver.captures:
        raise errors.failed(routine, reason)


def may_free(context, what):
    """Whether pycuda can free here what was made in `context`; otherwise it leaks, which is recorded."""
    stack = threads.stack
    if not context._valid:
        why = "after its context"
    elif not (stack and stack[-1] is context) and context._thread != threading.get_ident():
        why = "in a thread where its context is not current"
    else:
        return True
    ledger.violation("order", "{} was freed {}: it is leaked".format(what, why))
    ledger.leaked[what] = ledger.leaked.get(what, 0) + 1
    return False
