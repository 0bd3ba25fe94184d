"""Reports the health of the run to the service manager: ready, alive, a line of status.

Ready is when the first frame has passed every stage, or when the source is known to give none: then the networks are
loaded, and a camera that is plugged in is all that is missing. Signs of life stop when a stage hangs, and only then: a
source that hangs is opened again, which a restart would not do better.
"""
from typing import Callable, List, Mapping, Optional, Tuple

from edge.core import clock
from edge.core.roles import DEGRADED, ENDED, RUNNING, STOPPING
from edge.telemetry.notify import Notifier

OPENING_S = 120.0  # a network may take that long to load, part of it in calls that let no other thread run
FIRST_FRAME_S = 60.0  # the first pass through every network loads the rest of its libraries
STATUS_INTERVAL_S = 5.0
STALE_S = 10.0  # a stage that is at one frame for longer hangs, where no watchdog sets the limit
READY_IN = (RUNNING, DEGRADED)
ENDING = (STOPPING,) + ENDED


class Health:
    """tick() and opening() may be called from different threads; tick() always from the same one."""

    def __init__(self, notifier: Notifier, now: Callable[[], float] = clock.monotonic) -> None:
        """`now`: the clock of the heartbeats."""
        self._notifier, self._now = notifier, now
        watchdog_s = notifier.watchdog_s
        self.limit_s = STALE_S if watchdog_s is None else 0.5 * watchdog_s
        self._alive_interval_s = None if watchdog_s is None else 0.5 * watchdog_s
        self._last = ("", "")
        self._status_at: Optional[float] = None  # the last STATUS=
        self._alive_at: Optional[float] = None  # the last WATCHDOG=1
        self._delivered_then = 0  # at the last STATUS=
        self._fps: Optional[float] = None
        self._hung_then: List[str] = []
        self.ready = False

    def opening(self, part: str) -> None:
        """`part` is about to be opened: it may hold the interpreter, and with it the thread that calls tick()."""
        self.waiting("opening " + part)

    def waiting(self, text: str) -> None:
        """The run has not begun: the start may take longer. To be called again within two minutes."""
        self._notifier.extend_timeout(OPENING_S)
        self._notifier.status("starting: " + text)

    def failed(self, reason: str) -> None:
        """The run ends before it began."""
        self._notifier.status("failed: " + reason)

    def tick(self, state: str, reason: str, heartbeats: Mapping[str, float], delivered: int,
             source_absent: bool) -> None:
        """How the run is now; about five times a second, and at every change of `state` and `reason`."""
        now = self._now()
        changed, before = (state, reason) != self._last, self._last[0]
        self._last = (state, reason)
        if state in ENDING:
            if changed:
                self._end(state, reason)
            return
        if state not in READY_IN:
            return  # opening() reports
        if before not in READY_IN:
            self._notifier.extend_timeout(FIRST_FRAME_S)
        if not self.ready and (delivered > 0 or source_absent):
            self.ready = self._notifier.ready() or not self._notifier.listening  # lost at a busy boot, it is sent again
            changed = changed or self.ready
        hung = hanging(heartbeats, now, self.limit_s)
        if not hung:
            self._send_watchdog(now)
        due = self._status_at is None or now - self._status_at >= STATUS_INTERVAL_S
        if changed or due or hung != self._hung_then:
            self._hung_then = hung
            self._measure_fps(now, delivered)
            self._notifier.status(self._status_text(state, reason, hung, delivered))

    def _send_watchdog(self, now: float) -> None:
        interval_s = self._alive_interval_s
        if interval_s is None or (self._alive_at is not None and now - self._alive_at < interval_s - 0.25):
            return  # a quarter of a second early: the next tick would be late
        if self._notifier.watchdog():
            self._alive_at = now

    def _end(self, state: str, reason: str) -> None:
        if state == STOPPING:
            self._notifier.stopping()
        self._notifier.status(state.lower() + (": " + reason if reason else ""))

    def _measure_fps(self, now: float, delivered: int) -> None:
        elapsed_s = 0.0 if self._status_at is None else now - self._status_at
        if self._status_at is not None and elapsed_s < 1.0:
            return  # too short to count frames in
        self._fps = (delivered - self._delivered_then) / elapsed_s if elapsed_s else None
        self._status_at, self._delivered_then = now, delivered

    def _status_text(self, state: str, reason: str, hung: List[str], delivered: int) -> str:
        if hung:
            left = "" if self._alive_interval_s is None else ": no more signs of life, the watchdog will restart the service"
            return "{} hangs{}".format(", ".join(hung), left)
        if not delivered:
            return "degraded: " + reason if reason else "waiting for the first frame"
        text = "degraded: " + reason if state == DEGRADED else "tracking"
        return text if self._fps is None else "{}, {:.1f} frames per second".format(text, self._fps)


def hanging(heartbeats: Mapping[str, float], now: float, limit_s: float) -> List[str]:
    """The workers that have been at one frame for longer than `limit_s`, in a fixed order."""
    late: List[Tuple[str, float]] = [(name, now - at) for name, at in heartbeats.items()]
    return sorted(name for name, age_s in late if age_s > limit_s)
