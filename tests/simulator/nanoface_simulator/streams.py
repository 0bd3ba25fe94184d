"""Streams and events: work is queued, and done when somebody waits for it or asks whether it is done.

There is no thread behind a stream. The thread that waits computes its work, in order; how long it takes is modelled when it is
queued (NANOFACE_SIM_DEVICE_MS) or else measured. The device does one thing at a time: modelled work of two streams adds up.
A waiting thread sleeps without the interpreter lock until the modelled time has come.
"""
import itertools
import threading
import time
from collections import deque

from . import errors, settings
from .contexts import checked, current, driver, may_free, no_capture, ward
from .hold import sleep_until
from .ledger import ledger

DISABLE_TIMING = 2
now = time.perf_counter

_doing = threading.RLock()  # computing: one thread at a time, as there is one device
_booking = threading.Lock()  # of modelled time
_handles = itertools.count(0x7F4000000040, 0x40)
_numbers = itertools.count(1)


class Clock:
    """When the device has done what was modelled."""

    free_at = 0.0


class Line:
    """What a stream has to do. It outlives the Stream while memory remembers who used it."""

    __slots__ = ("handle", "number", "queue", "made", "done", "known", "free_at", "extra_s", "capture")

    def __init__(self, handle):
        self.handle, self.number = handle, next(_numbers)
        self.queue = deque()  # (number of the work, function, arguments)
        self.made = self.done = 0  # numbers of the newest work that is queued and that is done
        self.known = {}  # number of another line -> number of its work that comes before what is queued here now
        self.free_at = 0.0  # when the modelled work is done
        self.extra_s = 0.0  # measured seconds of work that was not modelled
        self.capture = None  # a Capture of graphs.py, that takes what is queued


default = Line(0)  # of stream 0: it waits for all others, and they for it
lines = {0: default}  # of the streams that live, by handle


class Stream:
    """A pycuda stream."""

    __slots__ = ("_ward", "_line", "__weakref__")

    def __init__(self, flags=0):
        self._ward = None  # where ward() raises, __del__ still comes
        self._ward = ward()
        checked("cuStreamCreate")
        self._line = Line(next(_handles))
        lines[self._line.handle] = self._line
        ledger.born("stream", self)

    @property
    def handle(self):
        return self._line.handle

    def synchronize(self):
        current("cuStreamSynchronize")
        not_captured(self._line, "cuStreamSynchronize")
        finish(self._line)
        checked("cuStreamSynchronize")

    def is_done(self):
        current("cuStreamQuery")
        not_captured(self._line, "cuStreamQuery")
        if self._line.free_at > now():
            return False
        finish(self._line)
        checked("cuStreamQuery")
        return True

    def wait_for_event(self, event):
        """What is queued here from now on comes after what `event` recorded."""
        current("cuStreamWaitEvent")
        mark, line = event._mark, self._line
        if mark is None or mark.line is line:
            return
        if line.capture is not None or mark.capture is not None:
            spoiled = line.capture or mark.capture
            spoiled.spoil("a captured stream waits for another one, or another one for it: not simulated")
            raise errors.failed("cuStreamWaitEvent", errors.CAPTURE_ISOLATION)
        for number, seen in list(mark.known.items()) + [(mark.line.number, mark.number)]:
            line.known[number] = max(line.known.get(number, 0), seen)
        put(line, drain, (mark.line, mark.number))
        line.free_at = max(line.free_at, mark.at)

    def __del__(self):
        try:
            if ledger.closing or self._ward is None:
                return
            if self._line.capture is not None:
                ledger.violation("capture", "a stream was destroyed before its capture was ended")
            if self._line.queue:
                ledger.violation("order", "a stream was destroyed with work in flight")
                drain(self._line)
            if may_free(self._ward, "stream"):
                ledger.gone("stream", self)
            lines.pop(self._line.handle, None)
        except AttributeError:
            return


def line_of(stream):
    """The line of a stream that is an argument of pycuda; None is stream 0, before which everything else is done."""
    if stream is None:
        finish_others()
        return default
    if not isinstance(stream, Stream):
        raise TypeError("No registered converter was able to produce a C++ rvalue of type pycuda::stream from this "
                        "Python object of type {}".format(type(stream).__name__))
    line = stream._line
    if line.capture is not None and line.capture.spoiled:
        raise errors.failed("cuStreamIsCapturing", errors.CAPTURE_INVALIDATED)
    return line


def not_captured(line, routine):
    if line.capture is not None:
        line.capture.spoil("{} of a stream that is captured".format(routine))
        raise errors.failed(routine, errors.CAPTURE_UNSUPPORTED)


def counted(line, what):
    """Count it where it is queued; what a graph holds at each of its launches."""
    if line.capture is None:
        ledger.count(what)
    else:
        line.capture.steps.append(("count", what))


def put(line, work, arguments, seconds=0.0):
    """Queue work(*arguments) that takes so long on the device. Its number."""
    if line.capture is not None:
        line.capture.steps.append(("work", work, arguments, seconds))
        return line.made
    at = now()
    if line.free_at > at:
        at = line.free_at
    if seconds:
        with _booking:
            at = max(at, Clock.free_at) + seconds
            Clock.free_at = at
    line.free_at = at
    line.made = number = line.made + 1
    line.queue.append((number, work, arguments))
    if line is default:  # all others were waited for before, and will wait for it
        drain(line)
    return number


def drain(line, number=None):
    """Compute what is queued up to that work; does not wait for the modelled time."""
    queue = line.queue
    if not queue or (number is not None and line.done >= number):
        return
    with _doing:
        while queue and (number is None or queue[0][0] <= number):
            upto, work, arguments = queue.popleft()
            if not driver.failure:
                work(*arguments)
            line.done = upto


def finish(line):
    """Compute everything, and wait until the device would have done it."""
    drain(line)
    sleep_until(line.free_at)


def finish_others(routine="the default stream"):
    no_capture(routine, errors.CAPTURE_IMPLICIT)
    for line in list(lines.values()):
        if line.queue or line.free_at > now():
            finish(line)


def synchronize_all():
    finish_others()
    finish(default)


class Mark:
    """Where in a line an event was recorded."""

    __slots__ = ("line", "number", "at", "reached_at", "known", "capture")

    def __init__(self, line):
        self.line, self.known, self.reached_at, self.capture = line, dict(line.known), None, line.capture
        self.number = put(line, self.reach, ())
        self.at = line.free_at

    def reach(self):
        self.reached_at = self.at + self.line.extra_s


class Event:
    """A pycuda event. Its time is that of its stream when all work before it is done."""

    __slots__ = ("_ward", "_flags", "_mark", "_asked", "__weakref__")

    def __init__(self, flags=0):
        self._ward = None
        self._ward = ward()
        checked("cuEventCreate")
        self._flags, self._mark, self._asked = int(flags), None, False
        ledger.born("event", self)

    def record(self, stream=None):
        current("cuEventRecord")
        checked("cuEventRecord")
        self._mark, self._asked = Mark(line_of(stream)), False
        return self

    def synchronize(self):
        current("cuEventSynchronize")
        self._uncaptured("cuEventSynchronize")
        if self._mark is not None:
            drain(self._mark.line, self._mark.number)
            sleep_until(self._mark.at)
        checked("cuEventSynchronize")
        return self

    def query(self):
        """Whether it has come. Work whose time is not modelled is first said to be running, and done when asked again."""
        current("cuEventQuery")
        checked("cuEventQuery")
        self._uncaptured("cuEventQuery")
        mark = self._mark
        if mark is None:
            return True
        if mark.reached_at is None and mark.at <= now():
            if not self._asked and mark.line.done < mark.number - 1:
                self._asked = True
                return False
            drain(mark.line, mark.number)
            checked("cuEventQuery")
        return mark.at <= now()

    def _uncaptured(self, routine):
        checked(routine)
        if self._mark is not None and self._mark.capture is not None:
            self._mark.capture.spoil("{} of an event that was recorded in a capture".format(routine))
            raise errors.failed(routine, errors.CAPTURED_EVENT)

    def time_since(self, start):
        current("cuEventElapsedTime")
        checked("cuEventElapsedTime")
        for event in (self, start):
            if event._mark is None or event._flags & DISABLE_TIMING:
                raise errors.failed("cuEventElapsedTime", errors.INVALID_HANDLE)
            if event._mark.reached_at is None or event._mark.at > now():
                raise errors.failed("cuEventElapsedTime", errors.NOT_READY)
        return (self._mark.reached_at - start._mark.reached_at) * 1000.0

    def time_till(self, end):
        return end.time_since(self)

    def __del__(self):
        try:
            if not ledger.closing and self._ward is not None and may_free(self._ward, "event"):
                ledger.gone("event", self)
        except AttributeError:
            return


def fail_launch():
    """The kernel that runs now fails, and with it the context."""
    driver.failure = errors.LAUNCH_FAILED
    ledger.count("failed launches")


def launch_fails():
    """Whether the launch that is queued now is the one to fail, as NANOFACE_SIM_FAULTS asks: {"launch_error_from": 3}."""
    driver.launches += 1
    first = settings.fault("launch_error_from")
    return first is not None and driver.launches >= int(first)
