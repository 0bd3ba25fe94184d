"""How far a run over a recorded source is, and how long it will take. Text only; printing is the command's."""
from typing import Optional

from edge.telemetry.status.table import duration

WINDOW_S = 5.0  # over which the speed is taken: long enough to be steady, short enough to follow


class Progress:
    """Times are seconds of one monotonic clock."""

    def __init__(self, total: Optional[int], now: float) -> None:
        """`total` frames, None where it is not known; `now` is when the first frame may come."""
        self._total = total
        self._since, self._done_then = now, 0  # where the present window of the speed began
        self._fps = 0.0

    def line(self, done: int, now: float) -> str:
        """Such as "412/900 frames  46 %  88 fps  5 s left"; without a total only what is known."""
        fps = self._speed(done, now)
        parts = ["{} frames".format(done if not self._total else "{}/{}".format(done, self._total))]
        if self._total:
            parts.append("{:.0f} %".format(100.0 * min(1.0, done / self._total)))
        if fps > 0.0:
            parts.append("{:.0f} fps".format(fps) if fps >= 10.0 else "{:.1f} fps".format(fps))
            if self._total:
                parts.append("{} left".format(duration(max(0, self._total - done) / fps + 0.5)))
        return "  ".join(parts)

    def _speed(self, done: int, now: float) -> float:
        """Frames per second of the window that is under way; of the last one while it has just begun."""
        elapsed_s = now - self._since
        if elapsed_s > 0.0 and (elapsed_s >= 0.5 * WINDOW_S or self._done_then == 0):
            self._fps = (done - self._done_then) / elapsed_s
        if elapsed_s >= WINDOW_S:
            self._since, self._done_then = now, done
        return self._fps
