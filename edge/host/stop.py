"""The request to stop a run, the signals that make it, and the end of the process."""
import atexit
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import Any, Callable, Dict, Iterator, List, Optional

from edge.core import clock

STEP_S = 0.05
SAME_PRESS_S = 0.3  # a terminal and a wrapping make both pass a Ctrl-C on


class Stop:
    """Stands where threading.Event would. That one may not be set from a signal handler: the handler runs in the main
    thread, and would wait for ever for a lock which that thread holds while it waits for the event.
    """

    def __init__(self) -> None:
        self._wanted = False

    def set(self) -> None:
        self._wanted = True

    def is_set(self) -> bool:
        return self._wanted

    def wait(self, timeout_s: float) -> bool:
        """Sleep until set() or the time is over; True when set. Notices a signal within 0.05 s."""
        deadline = clock.monotonic() + timeout_s
        while not self._wanted:
            left_s = deadline - clock.monotonic()
            if left_s <= 0.0:
                break
            time.sleep(min(STEP_S, left_s))
        return self._wanted


class Signals:
    """SIGINT, SIGTERM and a closed terminal, of this process. All of it is the main thread's.

    Inside take() the first one acts and a second one ends the process at once. Those that the parent process has set to be
    ignored (nohup, a script's background) stay ignored.
    """

    def __init__(self) -> None:
        self.asked = False  # a signal came: to this process, or where it was not noted, since the outermost take() began
        self._asked_at = 0.0
        self._act: Optional[Callable[[], None]] = None

    def note(self) -> None:
        """From now on until the process ends, for a later take()."""
        self._act = _nothing
        for number in self._wanted():
            signal.signal(number, self._on_signal)

    def ignore(self) -> None:
        """For the time in which the process ends."""
        for number in self._wanted():
            signal.signal(number, signal.SIG_IGN)

    @contextmanager
    def take(self, act: Callable[[], None]) -> Iterator[None]:
        """The first signal calls `act` meanwhile; one that was noted before calls it now."""
        outer = self._act
        before: Dict[int, Any] = {}
        try:
            if outer is None:
                self.asked = False
            self._act = act
            with suppress(ValueError):  # not the main thread: signals are another's
                for number in self._wanted():
                    before[number] = signal.signal(number, self._on_signal)
            if self.asked:
                act()
            yield
        finally:
            self._act = outer
            for number, handler in before.items():
                signal.signal(number, handler)

    def _wanted(self) -> List[int]:
        numbers = [getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP")]
        return [n for n in numbers if n is not None and signal.getsignal(n) != signal.SIG_IGN]

    def _on_signal(self, number: int, _frame: Any) -> None:
        if not self.asked:
            self.asked, self._asked_at = True, clock.monotonic()
            if self._act is not None:
                self._act()
        elif clock.monotonic() - self._asked_at > SAME_PRESS_S:
            os._exit(128 + number)


SIGNALS = Signals()


@contextmanager
def stopped_by_signals(stop: Stop) -> Iterator[None]:
    """SIGINT, SIGTERM and a closed terminal set `stop`; a second one ends the process at once. Main thread only."""
    with SIGNALS.take(stop.set):
        yield


@contextmanager
def interrupted_by_signals(first: Callable[[], None]) -> Iterator[None]:
    """The first of them calls `first` and raises KeyboardInterrupt.

    So does the end: code of others may have swallowed that or made another error of it, as modules do while they are loaded.
    """
    def interrupt() -> None:
        first()
        raise KeyboardInterrupt()

    try:
        with SIGNALS.take(interrupt):
            yield
    finally:
        if SIGNALS.asked:
            raise KeyboardInterrupt()


def leave(code: int) -> None:
    """End the process. A thread that is left behind may be inside a network: the interpreter would end it there, in the
    middle of C++, which aborts. And where it has seen a KeyboardInterrupt pass through code of an extension, it ends by the
    signal instead of with the code."""
    SIGNALS.ignore()
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with suppress(OSError, ValueError):
            stream.flush()
    alone = len(threading.enumerate()) == 1
    if SIGNALS.asked and alone:
        atexit._run_exitfuncs()
    if SIGNALS.asked or not alone:
        os._exit(code)
    sys.exit(code)


def _nothing() -> None:
    """take() acts on it later."""
