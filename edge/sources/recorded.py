"""Whatever has an end: a video file, pictures, the demo. Each frame in order, or at its own pace like a camera."""
import threading
from abc import ABC, abstractmethod
from typing import Any, Mapping, NamedTuple, Optional

import numpy as np

from edge.core import clock
from edge.core.contracts import Source
from edge.core.errors import SourceError
from edge.core.packet import Frame
from edge.core.records import Recorded
from edge.host import waiting
from edge.sources.picture import FrameTransform
from edge.sources.spec import REALTIME, SourceOptions

SAME_TIME_S = 0.0005  # users give times to the millisecond
CATCH_UP_S = 0.2  # how long a late player skips frames before it plays slower instead
CLOSE_S = 0.9  # how long close() waits for a frame that is being decoded


class Recording(ABC):
    """Frames in order. Used by one thread at a time; times are seconds since the recording's first frame."""

    name = ""
    fps = 30.0  # nominal: the step after the last frame of a loop, and progress
    count: Optional[int] = None  # frames in all
    stills = False  # unrelated pictures: nothing can be tracked from one to the next
    lost = 0  # frames or pictures so far that could not be read; `warning` names them, at the end of a film
    warning = ""
    file = ""  # of a picture: the path of the one that advance() went to
    step = 1  # numbers from the frame before to the one that advance() went to: of a replay more, where a camera dropped some
    origin_s: Optional[float] = None  # time that counts as 0; None: that of the first frame that is wanted
    facts: Optional[Mapping[str, Any]] = None  # of a replay

    @abstractmethod
    def open(self) -> None:
        """Raises SourceError with the cure."""

    @abstractmethod
    def advance(self) -> float:
        """Go to the next frame without decoding more than needed, and return its time. EOFError after the last."""

    @abstractmethod
    def picture(self) -> Optional[np.ndarray]:
        """The frame that advance() went to, in memory of its own; None where it cannot be read."""

    def skip(self) -> None:
        """The frame that advance() went to is not asked for: it is late."""

    def back(self) -> bool:
        """To the last one that was skipped, where that may be; there is none after it."""
        return False

    def recorded(self, seq: int, time_s: float) -> Optional[Recorded]:
        """Of a replay: what was found in the frame that advance() went to, which has this number and time now."""
        return None

    @abstractmethod
    def rewind(self) -> None:
        """The next advance() goes to the first frame."""

    def seek(self, time_s: float) -> None:
        """A hint: the next frames wanted are those from `time_s` on. May go anywhere at or before it."""

    def give_up(self) -> None:
        """From any thread: what another thread does in this recording ends soon, with EOFError."""

    @abstractmethod
    def close(self) -> None:
        """May be called twice."""

    def count_between(self, start_s: float, end_s: Optional[float]) -> Optional[int]:
        """How many frames lie in [start, end), where that is known."""
        if self.count is None:
            return None
        first = np.ceil((start_s - SAME_TIME_S) * self.fps)
        last = self.count if end_s is None else min(self.count, np.ceil((end_s - SAME_TIME_S) * self.fps))
        return int(max(0, last - max(0, first)))


class Taken(NamedTuple):
    """A frame that waits for its turn."""

    seq: int
    time_s: float
    image: np.ndarray
    file: str
    recorded: Optional[Recorded]


class RecordedSource(Source):
    """A recording as a source. open() decodes the first frame already, so that a bad file is an error there."""

    def __init__(self, recording: Recording, options: SourceOptions) -> None:
        self._recording, self._options = recording, options
        self._transform = FrameTransform(options, scale=True)
        self.name, self.facts = recording.name, recording.facts
        self.live = options.pace == REALTIME
        self.stills = recording.stills and not options.sequence
        self.fps = recording.fps
        self._lock = threading.Lock()  # guards the recording: read() and close() come from two threads
        self._closed = waiting.Event()
        self._warned = False  # the warning is part of an error already
        self._ended = False
        self._waiting: Optional[Taken] = None
        self._began: Optional[float] = None  # monotonic time at which time_s 0 was due
        self._seq, self._time_s = -1, 0.0
        self._pass_time_s = 0.0
        self._pass_origin_s: Optional[float] = None  # time in the recording of this pass's first frame

    @property
    def warning(self) -> str:  # type: ignore
        """One line for the user, "" while all is well."""
        return "" if self._warned else self._recording.warning

    @property
    def lost(self) -> int:  # type: ignore
        return self._recording.lost

    @property
    def taken(self) -> int:  # type: ignore
        return self._seq + 1

    def open(self) -> None:
        options = self._options
        with self._lock:
            self._recording.open()
            self.fps = self._recording.fps
            if not options.loop:
                self.frame_count = self._recording.count_between(options.start_s, options.end_s)
            self._recording.seek(options.start_s)
            try:
                self._waiting = self._take()
            except EOFError:
                pass  # raised below, after close(), which sets the recording's warning
            finally:
                if self._waiting is None:
                    self._recording.close()
            if self._waiting is None:
                raise SourceError(self._nothing())

    def read(self, timeout_s: float) -> Optional[Frame]:
        deadline = clock.monotonic() + timeout_s
        if self._waiting is None:
            with self._lock:
                self._waiting = self._take()
        if self.live and not self._its_turn(self._waiting.time_s, deadline):
            return None
        if self._closed.is_set():
            raise EOFError(self.name + " was closed")
        taken, self._waiting = self._waiting, None
        return Frame(taken.seq, clock.monotonic(), taken.time_s, taken.image, taken.file, taken.recorded)

    def close(self) -> None:
        self._closed.set()
        self._recording.give_up()
        if waiting.acquire(self._lock, CLOSE_S):
            try:
                self._recording.close()
            finally:
                self._lock.release()

    def _take(self) -> Taken:
        """The next frame that can be read and is not late. One that cannot be read keeps its number."""
        entered_at = clock.monotonic()
        late = False
        while True:
            try:
                self._advance()
            except EOFError:
                if not (late and self._recording.back()):
                    raise
                late = False
            else:
                late = self._is_late(entered_at)
            if late:
                self._recording.skip()
                continue
            image = self._recording.picture()
            if image is not None:
                recorded = self._recording.recorded(self._seq, self._time_s)
                if recorded is None:
                    image = self._transform(image)
                return Taken(self._seq, self._time_s, image, self._recording.file, recorded)

    def _advance(self) -> None:
        """To the next frame between start and end; from the end to the start where the recording loops."""
        options = self._options
        while not (self._ended or self._closed.is_set()):
            try:
                time_s = self._recording.advance()
            except EOFError:
                time_s = float("inf")
            if time_s < options.start_s - SAME_TIME_S:
                continue
            if time_s < (float("inf") if options.end_s is None else options.end_s - SAME_TIME_S):
                if self._pass_origin_s is None:
                    origin_s = None if options.start_s else self._recording.origin_s
                    self._pass_origin_s = time_s if origin_s is None else origin_s
                self._seq += self._recording.step
                self._time_s = self._pass_time_s + time_s - self._pass_origin_s
                return
            self._next_pass()
        raise EOFError(self.name + " has ended")

    def _next_pass(self) -> None:
        """Back to the start; the end where it does not loop or has no frame at all."""
        if not self._options.loop or self._pass_origin_s is None:
            self._ended = True
            return
        self._pass_time_s, self._pass_origin_s = self._time_s + 1.0 / self._recording.fps, None
        self._recording.rewind()
        self._recording.seek(self._options.start_s)

    def _is_late(self, entered_at: float) -> bool:
        """At its own pace: whether the next frame is due as well. A player that cannot catch up plays slower."""
        if not self.live or self._began is None:
            return False
        now = clock.monotonic()
        if now - (self._began + self._time_s) <= 1.0 / self._recording.fps:
            return False
        if now - entered_at < CATCH_UP_S:
            return True
        self._began = now - self._time_s
        return False

    def _its_turn(self, time_s: float, deadline: float) -> bool:
        """Wait until a frame is due, no longer than the deadline. The first one starts the clock."""
        now = clock.monotonic()
        if self._began is None:
            self._began = now - time_s
        due = self._began + time_s
        self._closed.wait(max(0.0, min(due, deadline) - now))
        return due <= deadline

    def _nothing(self) -> str:
        options = self._options
        if options.start_s == 0 and options.end_s is None:
            why, self._warned = self._recording.warning, True
            return "{}: no picture in it can be read{}".format(
                self.name, ": " + why if why else "; is it damaged, or another kind of file?")
        end = "its end" if options.end_s is None else "{:g} s".format(options.end_s)
        count = self._recording.count
        length = "" if count is None else " (it is {:.1f} s long)".format(count / self._recording.fps)
        return "{} has no frame between {:g} s and {}{}".format(self.name, options.start_s, end, length)
