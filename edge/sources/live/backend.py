"""What a live source reads its pictures from: a thread of this process, or a child process."""
import threading
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import Iterator, List, NamedTuple, Optional, Tuple

import numpy as np

from edge.core import clock
from edge.core.errors import SourceError
from edge.host import waiting
from edge.sources.live.device import Opener, Reader, Timeouts
from edge.sources.live.quiet import quiet
from edge.sources.picture import FrameTransform

CLOSE_S = 0.8  # how long close() waits for the driver
MAX_HUNG = 3  # threads or processes that may still hang in the driver before no more are started


class Picture(NamedTuple):
    """`number` counts what the device gave, from 0 and over every opening; `size` is the width and height it had there."""

    number: int
    captured_at: float
    image: np.ndarray  # transformed, read-only, never overwritten
    size: Tuple[int, int]
    worked_s: float = 0.0  # what the reader spent on the pictures of this opening before it


class CaptureBackend(ABC):
    """One device that is opened as often as it is lost. close() may come from another thread than all the rest."""

    error: Optional[SourceError] = None  # why this opening has ended by itself
    began_at = 0.0  # of this opening, or of what prepares it; monotonic seconds
    preparing = False  # Opener.prepare() is under way
    damaged = 0  # pictures of this opening that came and could not be used
    killed = 0  # processes that held the device and had to be killed
    hung = 0  # threads or processes that hang in the driver

    @abstractmethod
    def begin(self) -> None:
        """Start to open the device. Only where ready() is true."""

    @abstractmethod
    def fetch(self, timeout_s: float) -> Optional[Picture]:
        """The newest picture that was not fetched yet."""

    @abstractmethod
    def give_up(self) -> None:
        """Release the device without waiting for it."""

    @abstractmethod
    def ready(self) -> bool:
        """Whether the device may be opened again."""

    @abstractmethod
    def close(self) -> None:
        """Release it for good; waits CLOSE_S at most. May be called twice."""

    def printed_reason(self) -> str:
        """The last line that libraries printed in this opening and that explains its failure; "" where there is none."""
        return ""

    @contextmanager
    def hush(self) -> Iterator[None]:
        """While the device is opened for the first time."""
        yield


class _Session:
    """One opened device and the thread that reads it."""

    def __init__(self, backend: "ThreadBackend", opener: Opener, transform: FrameTransform, timeouts: Timeouts) -> None:
        self._backend, self._opener = backend, opener
        self.reader = Reader(opener, transform, timeouts, self._deliver)
        self.stop = waiting.Event()
        self.thread = threading.Thread(target=self._run, name="capture " + opener.name, daemon=True)

    def _deliver(self, captured_at: float, image: Optional[np.ndarray], size: Tuple[int, int]) -> None:
        self._backend.deliver(self, captured_at, image, size)

    def _run(self) -> None:
        try:
            if self._opener.preparation:
                self._backend.prepares(self, True)
                self._opener.prepare()
                self._backend.prepares(self, False)
            capture = self._opener.open()
            try:
                self.reader.run(capture, self.stop)
            finally:
                capture.release()
        except SourceError as e:
            self._backend.failed(self, e)


class ThreadBackend(CaptureBackend):
    """A driver may hang in any call and cannot be interrupted from Python, so each opening belongs to one daemon thread.
    When it falls silent the thread is abandoned, not joined: it frees the device itself once the driver lets go of it.
    """

    def __init__(self, opener: Opener, transform: FrameTransform, timeouts: Timeouts) -> None:
        self._opener, self._transform, self._timeouts = opener, transform, timeouts
        self._changed = waiting.Condition()  # guards all that follows
        self._session: Optional[_Session] = None
        self._abandoned: List[_Session] = []
        self._newest: Optional[Picture] = None
        self.number = -1
        self._closed = False

    @property
    def hung(self) -> int:  # type: ignore
        with self._changed:
            self._abandoned = [s for s in self._abandoned if s.thread.is_alive()]
            return len(self._abandoned)

    def begin(self) -> None:
        with self._changed:
            if self._closed:
                return
            self.error, self.damaged, self.began_at, self.preparing = None, 0, clock.monotonic(), False
            self._session = _Session(self, self._opener, self._transform, self._timeouts)
            self._session.thread.start()

    def fetch(self, timeout_s: float) -> Optional[Picture]:
        with self._changed:
            if self._newest is None and self.error is None and not self._closed:
                self._changed.wait(timeout_s)
            picture, self._newest = self._newest, None
            return picture

    def give_up(self) -> None:
        with self._changed:
            session, self._session = self._session, None
            if session is not None:
                session.stop.set()
                self._abandoned.append(session)

    def ready(self) -> bool:
        return self.hung < MAX_HUNG

    def close(self) -> None:
        with self._changed:
            self._closed = True
            session, self._session = self._session, None
            self._changed.notify_all()
        if session is not None:
            session.stop.set()
            waiting.join(session.thread, CLOSE_S)

    @contextmanager
    def hush(self) -> Iterator[None]:
        with quiet():
            yield

    def prepares(self, session: _Session, preparing: bool) -> None:
        with self._changed:
            if session is self._session:
                self.preparing, self.began_at = preparing, clock.monotonic()

    def deliver(self, session: _Session, captured_at: float, image: Optional[np.ndarray],
                size: Tuple[int, int]) -> None:
        """A session's newest picture, which replaces one that was not fetched. Called from its thread."""
        with self._changed:
            if session is not self._session:
                return  # abandoned while it hung
            self.number += 1
            if image is None:
                self.damaged += 1
                return
            self._newest = Picture(self.number, captured_at, image, size, session.reader.worked_s)
            self._changed.notify_all()

    def failed(self, session: _Session, error: SourceError) -> None:
        with self._changed:
            if session is self._session:
                self.error = error
                self._changed.notify_all()
