"""Whatever has no end: a camera or a stream. A thread of its own keeps the newest frame; what is lost is opened again.

A driver may hang in any call and cannot be interrupted from Python, so each opened device belongs to one daemon thread.
When it falls silent the thread is abandoned, not joined: it frees the device itself once the driver lets go of it.
"""
import threading
from abc import ABC, abstractmethod
from typing import Any, List, NamedTuple, Optional, Tuple

import cv2
import numpy as np

from edge.core import clock
from edge.core.contracts import Source
from edge.core.packet import Frame
from edge.errors import SourceError
from edge.sources.picture import Shape, is_picture
from edge.sources.quiet import quiet

POLL_S = 0.05  # how often a waiting read() looks after the device
CLOSE_S = 0.8  # how long close() waits for the driver
DIM_LIGHT = "in dim light many cameras halve it: `v4l2-ctl -c exposure_auto_priority=0`"
MAX_HUNG = 3  # abandoned threads that may still hang in the driver before no more are started


class Patience(NamedTuple):
    """How long to wait for what, in seconds."""

    first_frame_s: float = 8.0  # from the start of opening to the first picture
    silence_s: float = 2.0  # without a picture, until the device counts as lost
    retry_s: float = 0.5  # before it is opened again; doubles with each failure
    retry_max_s: float = 5.0
    failed_read_s: float = 0.02  # pause after a read that gave nothing


DEFAULT_PATIENCE = Patience()


class Mode(NamedTuple):
    """What a camera is asked for."""

    width: int = 640
    height: int = 480
    fps: float = 30.0


class Opener(ABC):
    """Opens one device, as often as it is lost. Called from the capture threads."""

    name = ""
    wanted: Optional[Mode] = None  # of a camera: what it was asked for
    fps: Optional[float] = None  # where it is known

    @abstractmethod
    def open(self) -> Any:
        """A cv2.VideoCapture or its like: grab(), retrieve(), release(). Raises SourceError with the cure."""


class _Session:
    """One opened device and the thread that reads it."""

    def __init__(self, source: "LiveSource", opener: Opener, pause_s: float) -> None:
        self._source, self._opener, self._pause_s = source, opener, pause_s
        self._stop = threading.Event()
        self.began_at = clock.monotonic()
        self.heard_at: Optional[float] = None  # of the newest frame
        self.error: Optional[SourceError] = None
        self.thread = threading.Thread(target=self._run, name="capture " + opener.name, daemon=True)
        self.thread.start()

    def abandon(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        try:
            capture = self._opener.open()
        except SourceError as e:
            self.error = e
            return
        try:
            while not self._stop.is_set():
                if not self._read(capture):
                    self._stop.wait(self._pause_s)
        except cv2.error as e:
            reason = str(e).strip().split("\n")[0]
            self.error = SourceError("{}: the driver failed: {}".format(self._opener.name, reason))
        finally:
            capture.release()

    def _read(self, capture: Any) -> bool:
        """A frame counts from the moment the driver has it, before it is decoded."""
        if not capture.grab():
            return False
        captured_at = clock.monotonic()
        done, image = capture.retrieve()
        if not done or not is_picture(image):
            return False
        self._source.deliver(self, captured_at, image)
        return True


class LiveSource(Source):
    """A device that is kept open. `lost_since` (monotonic seconds, or None) says since when no picture came."""

    live = True
    stills = False

    def __init__(self, opener: Opener, shape: Shape, patience: Patience = DEFAULT_PATIENCE) -> None:
        self.name = opener.name
        self._opener, self._shape, self._patience = opener, shape, patience
        self._changed = threading.Condition()  # guards all that follows
        self._session: Optional[_Session] = None
        self._abandoned: List[_Session] = []
        self._newest: Optional[Frame] = None
        self._closed = False
        self._seq = -1
        self._first_at: Optional[float] = None
        self._last_at: Optional[float] = None
        self._retry_at, self._retry_s = 0.0, patience.retry_s
        self._rate = Rate()
        self._size: Optional[Tuple[int, int]] = None
        self.lost_since: Optional[float] = None

    @property
    def fps(self) -> Optional[float]:
        """Nominal frames per second, where known."""
        return self._opener.fps

    @property
    def warning(self) -> str:
        """What came instead of what was asked for; "" while they agree."""
        if self._opener.wanted is None or self._size is None:
            return ""
        return mismatch(self._opener.wanted, self._size, self._rate.fps)

    @property
    def hung(self) -> int:
        """Threads that hang in the driver. When it stays at MAX_HUNG only a restart of the process can help."""
        with self._changed:
            self._abandoned = [s for s in self._abandoned if s.thread.is_alive()]
            return len(self._abandoned)

    def open(self) -> None:
        """Waits for the first picture."""
        deadline = clock.monotonic() + self._patience.first_frame_s
        with quiet(), self._changed:
            self._session = session = _Session(self, self._opener, self._patience.failed_read_s)
            while self._newest is None and session.error is None and not self._closed and clock.monotonic() < deadline:
                self._changed.wait(POLL_S)
            if self._newest is not None:
                return
        self.close()
        silent = "{} gives no picture within {:g} s: is another program using it, or is it stuck?"
        raise session.error or SourceError(silent.format(self.name, self._patience.first_frame_s))

    def read(self, timeout_s: float) -> Optional[Frame]:
        deadline = clock.monotonic() + timeout_s
        with self._changed:
            while True:
                if self._closed:
                    raise EOFError(self.name + " was closed")
                if self._newest is not None:
                    frame, self._newest = self._newest, None
                    return frame
                now = clock.monotonic()
                self._look_after(now)
                if now >= deadline:
                    return None
                self._changed.wait(min(POLL_S, deadline - now))

    def close(self) -> None:
        with self._changed:
            self._closed = True
            session, self._session = self._session, None
            self._changed.notify_all()
        if session is not None:
            session.abandon()
            session.thread.join(CLOSE_S)

    def deliver(self, session: _Session, captured_at: float, image: np.ndarray) -> None:
        """A session's newest frame, which replaces the one that nobody fetched. Called from its thread."""
        size = (image.shape[1], image.shape[0])
        image = self._shape(image)
        with self._changed:
            if session is not self._session:
                return  # abandoned while it hung
            if self._first_at is None:
                self._first_at = captured_at
            self._seq += 1
            self._newest = Frame(self._seq, captured_at, captured_at - self._first_at, image)
            self._last_at = session.heard_at = captured_at
            self._size, self.lost_since, self._retry_s = size, None, self._patience.retry_s
            self._rate.add(captured_at)
            self._changed.notify_all()

    def _look_after(self, now: float) -> None:
        """Give up a device that is silent; open it again when its time has come. Holds the lock."""
        session = self._session
        if session is None:
            self._abandoned = [s for s in self._abandoned if s.thread.is_alive()]
            if now >= self._retry_at and len(self._abandoned) < MAX_HUNG:
                self._session = _Session(self, self._opener, self._patience.failed_read_s)
            return
        heard = session.heard_at
        silent = now - heard > self._patience.silence_s if heard is not None else (
            now - session.began_at > self._patience.first_frame_s)
        if not silent and session.error is None:
            return
        session.abandon()
        self._abandoned.append(session)
        self._session = None
        self._retry_at, self._retry_s = now + self._retry_s, min(2 * self._retry_s, self._patience.retry_max_s)
        self._rate = Rate()
        if self.lost_since is None:
            self.lost_since = self._last_at


class Rate:
    """Frames per second, measured over windows of two seconds; None until the first is full."""

    WINDOW_S = 2.0

    def __init__(self) -> None:
        self.fps: Optional[float] = None
        self._since: Optional[float] = None
        self._count = 0

    def add(self, at: float) -> None:
        if self._since is None:
            self._since = at
            return
        self._count += 1
        if at - self._since >= self.WINDOW_S:
            self.fps = self._count / (at - self._since)
            self._since, self._count = at, 0


def mismatch(wanted: Mode, size: Tuple[int, int], fps: Optional[float]) -> str:
    """The line that tells what is different; "" where nothing is. A tenth less than the rate is not worth a word."""
    parts = []
    if size != (wanted.width, wanted.height):
        parts.append("{}x{} instead of {}x{}".format(size[0], size[1], wanted.width, wanted.height))
    if fps is not None and fps < 0.9 * wanted.fps:
        parts.append("{:.0f} frames per second instead of {:g} ({})".format(fps, wanted.fps, DIM_LIGHT))
    return "the camera gives " + " and ".join(parts) if parts else ""
