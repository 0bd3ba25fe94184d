"""Waits of one thread for another, on the monotonic clock: a step of the wall clock neither stretches nor ends one.

Those of the standard library end at a moment of the wall clock before Python 3.11, and later wherever the interpreter was
built for a C library older than 2.30: sem_timedwait() knows no other clock. Where a board learns the time and its clock goes
back by an hour, a wait of 50 ms takes an hour, and the watchdog kills the service. So every wait with a time-out is one of
these, on every Python, and `tests/rules/test_waits.py` refuses the others. What is left of the kind is inside Python 3.6: the
moment at which a thread asks for the interpreter's lock. A step makes it miss one request, which matters only to a thread
that computes in Python for seconds; a thread that waits, reads or infers releases that lock anyway.

A thread that waits sleeps in poll() on a pipe of its own, whose time-out is a duration and not a moment; it is woken by
a byte. That costs a few system calls, 10 to 30 us on a PC, and frames are handed over without a time-out. A thread that keeps
the deadlines of all others would need no pipes, but would itself be woken at every frame. Pipes that are kept for the next
wait would save half of it, and look like a leak of descriptors.
"""
import os
import select
import threading
import time
from collections import deque
from typing import Any, Callable, Deque, Optional

SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.0005, 0.01  # between two polls of what cannot wake a thread


class _Gate:
    """Where a thread waits that has no time-out, or no pipe. The waking thread calls open()."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self.open = self._lock.release

    def wait(self, timeout_s: Optional[float]) -> None:
        if timeout_s is None:
            self._lock.acquire()
        else:
            acquire(self._lock, timeout_s)

    def close(self) -> None:
        """Nobody will open it any more."""


class _Pipe:
    """The same with a time-out. Raises OSError where no descriptor is left, AttributeError where there is no poll()."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._readable, self._writable = os.pipe()
        self._poll.register(self._readable, select.POLLIN)

    def open(self) -> None:
        os.write(self._writable, b".")

    def wait(self, timeout_s: float) -> None:
        self._poll.poll(1000.0 * timeout_s)  # rounded up to milliseconds

    def close(self) -> None:
        os.close(self._readable)
        os.close(self._writable)


def _gate(timeout_s: Optional[float]) -> Any:
    if timeout_s is not None:
        try:
            return _Pipe()
        except (AttributeError, OSError):
            pass
    return _Gate()


class Condition:
    """What threading.Condition is. Of a re-entrant lock only the outermost holder may wait."""

    def __init__(self, lock: Optional[Any] = None) -> None:
        self._lock: Any = threading.RLock() if lock is None else lock
        self._waiting: Deque[Any] = deque()  # the gates of those not notified yet, with the lock held

    def __enter__(self) -> bool:
        return bool(self._lock.__enter__())

    def __exit__(self, *error: Any) -> None:
        self._lock.__exit__(*error)

    def wait(self, timeout_s: Optional[float] = None) -> bool:
        """Release the lock until notified, or for `timeout_s`: then False."""
        if timeout_s is not None and timeout_s <= 0.0:
            return False
        gate = _gate(timeout_s)
        self._waiting.append(gate)
        self._lock.release()
        try:
            gate.wait(timeout_s)
        finally:
            self._lock.acquire()
            notified = gate not in self._waiting
            if not notified:
                self._waiting.remove(gate)
            gate.close()
        return notified

    def wait_for(self, condition: Callable[[], Any], timeout_s: Optional[float] = None) -> bool:
        """Until `condition()`, which is looked at with the lock held; False where it does not come in time."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s  # real time, also where a test has its own
        while not condition():
            left_s = None if deadline is None else deadline - time.monotonic()
            if left_s is not None and left_s <= 0.0:
                return False
            self.wait(left_s)
        return True

    def notify(self) -> None:
        """Wake one that waits, with the lock held."""
        if self._waiting:
            self._waiting.popleft().open()

    def notify_all(self) -> None:
        while self._waiting:
            self._waiting.popleft().open()


class Event:
    """What threading.Event is, without clear()."""

    def __init__(self) -> None:
        self._changed, self._set = Condition(threading.Lock()), False

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        """Not from a signal handler: see edge.host.stop."""
        with self._changed:
            self._set = True
            self._changed.notify_all()

    def wait(self, timeout_s: Optional[float] = None) -> bool:
        """True when set."""
        if self._set:
            return True
        with self._changed:
            return self._changed.wait_for(self.is_set, timeout_s)


def join(thread: threading.Thread, timeout_s: float) -> bool:
    """Whether the thread, which was started, has ended within `timeout_s`."""
    return _poll_until(lambda: not thread.is_alive(), timeout_s)


def acquire(lock: Any, timeout_s: float) -> bool:
    """Whether the lock could be had within `timeout_s`."""
    return _poll_until(lambda: bool(lock.acquire(False)), timeout_s)


def _poll_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """By polling, as subprocess does: for the end of a run, where 10 ms do not matter."""
    deadline, pause_s = time.monotonic() + timeout_s, SHORTEST_PAUSE_S
    while not condition():
        left_s = deadline - time.monotonic()
        if left_s <= 0.0:
            return False
        time.sleep(min(pause_s, left_s))
        pause_s = min(2.0 * pause_s, LONGEST_PAUSE_S)
    return True
