"""Opens and reads one device until it is stopped. The same in a thread and in a child process."""
from abc import ABC, abstractmethod
from typing import Any, Callable, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np

from edge.core import clock
from edge.core.errors import SourceError
from edge.sources.live.v4l2 import ribbon_source
from edge.sources.picture import FrameTransform, is_picture

RAW_NODE = "is the raw node of a ribbon camera"
OLDEST_STAMP_S = 1.0  # a driver's time of capture that lies further back is of another clock, or nonsense


class Timeouts(NamedTuple):
    """Seconds."""

    first_frame_s: float = 8.0  # from the start of opening to the first picture
    again_s: float = 2.5  # the same when it is opened again, or twice as long as it took when that is more
    silence_s: float = 2.0  # without a picture, until the device counts as lost
    retry_s: float = 0.25  # before it is opened again; doubles with each failure
    retry_max_s: float = 1.0
    failed_read_s: float = 0.02  # pause after a read that gave nothing
    changed_s: float = 0.5  # of pictures of another size, until the device is opened again
    frozen_s: float = 2.5  # of pictures that are the same to the bit, until that is reported
    answer_s: float = 0.7  # for a child to release the device, until it is killed


DEFAULT_TIMEOUTS = Timeouts()


class Mode(NamedTuple):
    """What a camera is asked for."""

    width: int = 640
    height: int = 480
    fps: float = 30.0


class AbsentError(SourceError):
    """The device is known not to be there, or not to start. `short` is the text without the cure."""

    def __init__(self, text: str, short: str = "") -> None:
        super().__init__(text)
        self.short = short


class Opener(ABC):
    """Opens one device, as often as it is lost. Called from the thread or the child process that captures: it is pickled,
    so it holds nothing of this process alone."""

    name = ""
    wanted: Optional[Mode] = None  # of a camera: what it was asked for
    fps: Optional[float] = None  # where it is known; of a camera, once it is open, what it agreed to
    stamped = False  # whether CAP_PROP_POS_MSEC is the driver's time of capture on the monotonic clock
    daemon = ""  # the system service that may have to be restarted before the device opens again
    preparation = ""  # what prepare() does that may take minutes, for the user; "" where there is nothing
    explained = False  # whether its libraries print why it does not open
    notes: Sequence[str] = ()  # after open(): what the device refused

    def prepare(self) -> None:
        """Before each open(), and not counted as a part of it: what must not be interrupted."""

    @abstractmethod
    def open(self) -> Any:
        """A cv2.VideoCapture or its like: grab(), retrieve(), release(). Raises SourceError with the cure."""

    def remember(self) -> None:
        """The device gives pictures: note what finds it again. Called in the main process."""


def explain_ribbon(device: str, name: str) -> None:
    """Raises SourceError for the raw node of a board's own camera, which OpenCV cannot read."""
    source = ribbon_source(device)
    if source:
        raise SourceError("{} {}, which is read as --source {} (source.spec in a configuration)".format(
            name, RAW_NODE, source))


class Reader:
    """Reads one opened device. The first picture's size is that of this opening: another one is a torn picture or a new mode.

    `deliver(captured_at, image, size)` gets each transformed picture, with its size as it came; the image is None for one
    that cannot be used.
    """

    def __init__(self, opener: Opener, transform: FrameTransform, timeouts: Timeouts,
                 deliver: Callable[[float, Optional[np.ndarray], Tuple[int, int]], None]) -> None:
        self._opener, self._transform, self._timeouts, self._deliver = opener, transform, timeouts, deliver
        self._size: Optional[Tuple[int, int]] = None
        self._other_since: Optional[float] = None  # since when every picture has another size
        self._last_at = 0.0
        self.worked_s = 0.0  # since a picture was there, summed over all: decoding, transforming, delivering

    def run(self, capture: Any, stop: Any) -> None:
        """Until `stop` is set. Raises SourceError where the device must be reopened."""
        try:
            while not stop.is_set():
                if not (capture.grab() and self._took(capture)):
                    stop.wait(self._timeouts.failed_read_s)
        except cv2.error as e:
            reason = str(e).strip().split("\n")[0]
            raise SourceError("{}: the driver failed: {}".format(self._opener.name, reason))

    def _took(self, capture: Any) -> bool:
        grabbed_at = clock.monotonic()
        usable = self._retrieved(capture, grabbed_at)
        self.worked_s += clock.monotonic() - grabbed_at
        return usable

    def _retrieved(self, capture: Any, grabbed_at: float) -> bool:
        """captured_at is the driver's time of capture, else when grab() returned: before decoding."""
        captured_at = self._captured_at(capture, grabbed_at)
        done, image = capture.retrieve()
        if not done or not is_picture(image):
            if self._size is not None:
                self._deliver(captured_at, None, self._size)
            return False
        size = (image.shape[1], image.shape[0])
        if self._size is None:
            self._size = size
        if size != self._size:
            self._another(size)
            self._deliver(captured_at, None, self._size)
            return True
        self._other_since = None
        self._deliver(captured_at, self._transform(image), size)
        return True

    def _captured_at(self, capture: Any, now: float) -> float:
        at = now
        if self._opener.stamped:
            stamp = float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
            at = stamp if 0.0 <= now - stamp <= OLDEST_STAMP_S else now
        self._last_at = at if at > self._last_at else min(now, self._last_at + 1e-6)
        return self._last_at

    def _another(self, size: Tuple[int, int]) -> None:
        """One is a torn picture; for a while it is a device in another mode, or a faulty one."""
        now = clock.monotonic()
        if self._other_since is None:
            self._other_since = now
        elif now - self._other_since > self._timeouts.changed_s and self._size is not None:
            raise SourceError("{}: the picture changed from {}x{} to {}x{}".format(self._opener.name, *(self._size + size)))
