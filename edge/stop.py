"""The wish to stop a run."""
import time

from edge.core import clock

STEP_S = 0.05


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
