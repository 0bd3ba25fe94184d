"""The board's camera daemon: it keeps a sensor locked for a client that was killed, until it is restarted.

We may not restart it ourselves; a file in our runtime folder asks the privileged oneshot of the service to. Rarely: other
programs lose their cameras by it.
"""
import os
from typing import Callable, Mapping

from edge.core import clock
from edge.host.safeopen import open_new

DAEMON = "nvargus-daemon"
REQUEST = "/run/nanoface/restart-argus"
VARIABLE = "NANOFACE_ARGUS_REQUEST"  # of the environment, where the service watches another file
FAILURES = 3  # openings in a row that failed, before the daemon is suspected
RARELY_S = 600.0  # between two requests
BY_HAND = "nvargus-daemon may hold the sensor: sudo systemctl restart nvargus-daemon"
ASKED = "a restart of nvargus-daemon was asked for"


class ArgusRestart:
    """What to report and to do when a camera of the daemon does not open again."""

    def __init__(self, environ: Mapping[str, str], now: Callable[[], float] = clock.monotonic) -> None:
        self._path, self._now = environ.get(VARIABLE) or REQUEST, now
        self._failures = 0
        self._asked_at = float("-inf")

    def worked(self) -> None:
        self._failures = 0

    def failed(self, killed: bool) -> str:
        """One more opening failed. The text for the user; "" while nothing points at the daemon. `killed`: its client was."""
        self._failures += 1
        if self._failures < FAILURES:
            return BY_HAND if killed else ""
        now = self._now()
        if now - self._asked_at < RARELY_S:
            return ASKED
        return ASKED if self._ask(now) else BY_HAND

    def _ask(self, now: float) -> bool:
        """False where there is no service that would see the file."""
        if not os.access(os.path.dirname(self._path), os.W_OK | os.X_OK):
            return False
        try:
            with os.fdopen(open_new(self._path), "w") as f:
                f.write("{} failed openings in a row\n".format(self._failures))
        except OSError:
            return False
        self._asked_at = now
        return True
