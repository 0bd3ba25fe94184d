"""The wish to stop a run, and the signals that tell it."""
import os
import signal
import time
from contextlib import contextmanager
from typing import Any, Iterator, List

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


@contextmanager
def stopped_by_signals(stop: Stop) -> Iterator[None]:
    """SIGINT, SIGTERM and a closed terminal set `stop`; a second one ends the process at once. Main thread only."""
    asked_at: List[float] = []

    def on_signal(number: int, _frame: Any) -> None:
        if asked_at and clock.monotonic() - asked_at[0] > SAME_PRESS_S:
            os._exit(128 + number)
        asked_at.append(clock.monotonic())
        stop.set()

    numbers = [signal.SIGINT, signal.SIGTERM]
    hang_up = getattr(signal, "SIGHUP", None)
    if hang_up is not None and signal.getsignal(hang_up) != signal.SIG_IGN:  # ignored under nohup
        numbers.append(hang_up)
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
