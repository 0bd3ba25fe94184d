"""A camera or a stream. Gives the newest picture; a device that is lost is opened again.

The device itself is read by a backend: a child process, or a thread (edge/sources/live/backend.py). This class checks that
pictures come and change, and reopens the device where they do not.
"""
import logging
import os
from typing import List, Optional, Tuple

from edge.core import clock
from edge.core.contracts import Source
from edge.core.errors import SourceError
from edge.core.packet import Frame
from edge.host.waiting import Event
from edge.sources.live.argus import ArgusRestart
from edge.sources.live.backend import MAX_HUNG, CaptureBackend, Picture, ThreadBackend
from edge.sources.live.device import DEFAULT_TIMEOUTS, RAW_NODE, Mode, Opener, Timeouts
from edge.sources.live.watch import FrozenFrameDetector, Rate, Shortfall, mismatch
from edge.sources.picture import FrameTransform

__all__ = ["MAX_HUNG", "LiveSource", "Mode", "Opener", "Timeouts"]
log = logging.getLogger(__name__)

PREPARE_S = 120.0  # for what prepares an opening; twice as long after each time that it was not enough
REPORT_AFTER_S = 2.0  # a preparation that takes longer is reported
POLL_S = 0.05  # how often a waiting read() looks after the device
SAME_PICTURE = "picture does not change"
STUCK = "{} hangs in its driver, which nothing here can end: unplug it, or restart the machine"
REOPEN_FROZEN_S = 60.0  # before a frozen picture is a reason for another reopening


class LiveSource(Source):
    """A device that is kept open.

    lost_since: since when no picture came (monotonic seconds), or None. absent: no picture came yet, and opening failed.
    trouble: why no picture comes, or "". doubt: what is wrong with those that come, or "".
    """

    live = True
    stills = False

    def __init__(self, opener: Opener, transform: FrameTransform, timeouts: Timeouts = DEFAULT_TIMEOUTS,
                 backend: Optional[CaptureBackend] = None, wait: bool = False) -> None:
        """`wait`: open() returns without a picture and raises nothing; read() goes on trying."""
        self.name = opener.name
        self._opener, self._timeouts, self._wait = opener, timeouts, wait
        self._backend = ThreadBackend(opener, transform, timeouts) if backend is None else backend
        self._argus = ArgusRestart(os.environ) if opener.daemon else None
        self._closed = Event()
        self._open = False  # the backend has begun, and was not given up
        self._early: Optional[Picture] = None  # open() fetched it
        self._first_at: Optional[float] = None
        self._last_at: Optional[float] = None
        self._opening_last_at: Optional[float] = None  # of the newest picture of this opening
        self._prepare_s = PREPARE_S
        self._opening_s = timeouts.first_frame_s  # how long the first picture of an opening may take
        self._retry_at, self._retry_s = 0.0, timeouts.retry_s
        self._rate, self._shortfall = Rate(), Shortfall()
        self._frozen_detector, self._frozen_at, self._frozen = FrozenFrameDetector(), float("-inf"), False
        self._size: Optional[Tuple[int, int]] = None
        self.lost_since: Optional[float] = None
        self.absent = self._preparation_reported = False
        self.trouble = ""

    @property
    def fps(self) -> Optional[float]:  # type: ignore
        """Nominal frames per second, where known."""
        return self._opener.fps

    @property
    def warning(self) -> str:  # type: ignore
        """How the pictures differ from what was asked for; "" while they agree."""
        parts: List[str] = list(self._opener.notes)
        if self._opener.wanted is not None and self._size is not None:
            parts.insert(0, mismatch(self._opener.wanted, self._size, self._opener.fps))
        slow = self._shortfall.slow
        if slow.reason:
            parts.append("{} (cure: {})".format(*slow))
        if RAW_NODE in self.trouble:  # to wait does not help
            parts.append(self.trouble)
        return "; ".join(part for part in parts if part)

    @property
    def doubt(self) -> str:  # type: ignore
        return SAME_PICTURE if self._frozen else self._shortfall.slow.reason

    @property
    def hung(self) -> int:
        """Threads or processes that hang in the driver."""
        return self._backend.hung

    def open(self) -> None:
        """Waits for the first picture, unless `wait` was given."""
        if self._wait:
            self.begin()
            return
        with self._backend.hush():
            self.begin()
            while self._backend.error is None and not self._silent(clock.monotonic()):
                self._report_preparation(clock.monotonic())
                self._early = self._backend.fetch(POLL_S)
                if self._early is not None:
                    self._size = self._early.size
                if self._early is not None or self._closed.is_set():
                    return
        error = self._backend.error or SourceError(self._unprepared() or "{} gives no picture within {:g} s: {}".format(
            self.name, self._timeouts.first_frame_s, "is another program using it, or is it stuck?"))
        reason = self._printed_reason()
        self.close()
        raise SourceError("{}; {}".format(reason, error)) if reason else error  # a command at its end can be copied

    def begin(self) -> None:
        """Start to open the device, and wait for nothing."""
        self._opening_last_at, self._open = None, True
        self._backend.begin()

    def read(self, timeout_s: float) -> Optional[Frame]:
        deadline = clock.monotonic() + timeout_s
        while True:
            if self._closed.is_set():
                raise EOFError(self.name + " was closed")
            picture = self._next(max(0.0, min(POLL_S, deadline - clock.monotonic())))
            if picture is not None:
                return self._frame_of(picture)
            now = clock.monotonic()
            self._look_after(now)
            if now >= deadline:
                return None

    def close(self) -> None:
        self._closed.set()
        self._backend.close()

    def _next(self, timeout_s: float) -> Optional[Picture]:
        if not self._open:
            self._closed.wait(timeout_s)
            return None
        early, self._early = self._early, None
        return self._backend.fetch(0.0 if early is not None else timeout_s) or early

    def _frame_of(self, picture: Picture) -> Frame:
        if self._first_at is None:
            self._first_at = picture.captured_at
        if self._opening_last_at is None:
            self._opener.remember()
            longest_s = self._timeouts.first_frame_s
            self._opening_s = min(longest_s, max(self._timeouts.again_s, 2 * (picture.captured_at - self._backend.began_at)))
            if self._argus is not None:
                self._argus.worked()
        self._last_at = self._opening_last_at = picture.captured_at
        self._size, self._retry_s = picture.size, self._timeouts.retry_s
        self.lost_since, self.absent, self.trouble = None, False, ""
        wanted, agreed_fps = self._opener.wanted, self._opener.fps
        if self._rate.add(picture.captured_at, picture.number, picture.worked_s) and wanted is not None:
            self._shortfall.add(picture.captured_at, self._rate, min(wanted.fps, agreed_fps or wanted.fps),
                                steady=bool(self._opener.daemon))
        self._watch_change(picture)
        return Frame(picture.number, picture.captured_at, picture.captured_at - self._first_at, picture.image)

    def _watch_change(self, picture: Picture) -> None:
        """A frozen picture may be a covered lens: the device is reopened once, then only watched."""
        frozen_s = self._frozen_detector.add(picture.image, picture.captured_at)
        self._frozen = frozen_s >= self._timeouts.frozen_s
        if self._frozen and picture.captured_at - frozen_s - self._frozen_at > REOPEN_FROZEN_S:
            self._frozen_at = picture.captured_at
            self._end(clock.monotonic())

    def _report_preparation(self, now: float) -> None:
        """Once, after REPORT_AFTER_S; a source that is waited for counts as absent until then."""
        if self._preparation_reported or not self._backend.preparing or now - self._backend.began_at < REPORT_AFTER_S:
            return
        self._preparation_reported = True
        log.warning("%s: %s", self.name, self._opener.preparation)
        if self._last_at is None:
            self.absent, self.trouble = self._wait, self._opener.preparation

    def _unprepared(self) -> str:
        """The text of a preparation that timed out; "" where something else failed."""
        if not self._backend.preparing:
            return ""
        return "{}: not ended within {:g} s: {}".format(self.name, self._prepare_s, self._opener.preparation)

    def _silent(self, now: float) -> bool:
        if self._backend.preparing:
            return now - self._backend.began_at > self._prepare_s
        if self._opening_last_at is not None:
            return now - self._opening_last_at > self._timeouts.silence_s
        return now - self._backend.began_at > self._opening_s

    def _look_after(self, now: float) -> None:
        """Give up a device that is silent; open it again when its time has come."""
        if not self._open:
            if now >= self._retry_at and self._backend.ready():
                self.begin()
            elif self._backend.hung >= MAX_HUNG:
                self.trouble = STUCK.format(self.name)
            return
        error = self._backend.error
        if error is None and not self._silent(now):
            self._report_preparation(now)
            return
        unprepared = self._unprepared() if error is None else ""
        damaged = self._opening_last_at is not None and self._backend.damaged > 0
        text = (error.short or str(error)) if error is not None else unprepared or "{} {}".format(
            self.name, "gives damaged pictures" if damaged else "gives no picture")
        printed = self._printed_reason()
        self._end(now)
        self._frozen_detector.interrupted()
        if unprepared:
            self._prepare_s *= 2
        argus = "" if self._argus is None or unprepared else self._argus.failed(self._backend.killed > 0)
        self.trouble = "; ".join(part for part in (text, printed, argus) if part)
        if self._last_at is None:
            self.absent = True
        elif self.lost_since is None:
            self.lost_since = self._last_at

    def _printed_reason(self) -> str:
        return self._backend.printed_reason() if self._opener.explained else ""

    def _end(self, now: float) -> None:
        """This opening is over; the next one comes after a pause."""
        self._open = False
        self._backend.give_up()
        self._retry_at, self._retry_s = now + self._retry_s, min(2 * self._retry_s, self._timeouts.retry_max_s)
        self._rate, self._shortfall = Rate(), Shortfall()
