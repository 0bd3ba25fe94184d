"""What is logged of frames that a stage or the source could not give."""
import logging
from typing import Callable, Dict, Optional

from edge.core import clock
from edge.core.errors import FrameError

log = logging.getLogger(__name__)

LOG_INTERVAL_S = 10.0


class DropLog:
    """Logs the first FrameError of a stage, then at most one line in a while with the number that came in between."""

    def __init__(self, now: Optional[Callable[[], float]] = None) -> None:
        self._now = now or (lambda: clock.monotonic())
        self._last_at: Dict[str, float] = {}
        self._suppressed: Dict[str, int] = {}

    def add(self, stage: str, error: FrameError) -> None:
        now, last_at = self._now(), self._last_at.get(stage)
        if last_at is not None and now - last_at < LOG_INTERVAL_S:
            self._suppressed[stage] = self._suppressed.get(stage, 0) + 1
            return
        self._last_at[stage] = now
        suppressed = self._suppressed.pop(stage, 0)
        log.warning("%s: frame dropped: %s%s", stage, error, " ({} more before it)".format(suppressed) if suppressed else "")
