"""Frames and faces of a source of the command line, as an iterator in the caller's thread."""
import os
import threading
from typing import Any, Generic, List, NamedTuple, Optional, Tuple, TypeVar

import numpy as np

from edge.app.ends import source_options
from edge.core import clock
from edge.core.errors import FrameError, SourceError
from edge.core.records import Event, Face
from edge.library.chain import Found, Report, StageChain
from edge.library.fetching import fetch_missing
from edge.library.options import Options, stream_config, timeout
from edge.sources.choose import make_source
from edge.sources.spec import is_replay

READ_S = 0.2  # how soon close() of another thread is seen


class StreamFrame(NamedTuple):
    """One frame of a source."""

    index: int  # type: ignore[assignment]  # from 0; a gap is a frame that was dropped or could not be read
    time_s: float  # seconds since the first frame: presentation time of a file
    image: np.ndarray  # (H, W, 3) uint8 BGR, read-only: copy it to draw into it
    captured_at: float  # monotonic seconds
    file: str  # of a picture: its path, else ""


Given = TypeVar("Given", StreamFrame, Optional[StreamFrame])  # None too where steps have a time limit


class Stream(Generic[Given]):
    """Yields (StreamFrame, faces). Opened by the first step, in the thread that takes it, and closed by the end of the source,
    close(), the end of a with-block, or when nobody holds it any more.

    A live source is read beside this, and the newest frame is handed out; of a recording, each is.
    """

    _made = False  # True once the constructor has succeeded

    def __init__(self, source: Any, config: Optional[Any], options: Optional[Options], keywords: Options, report: Report,
                 fetch: bool, timeout_s: Any) -> None:
        """Raises ConfigError, SourceError for what does not exist, ModelError, EngineError."""
        self._lock = threading.Lock()  # held while a step is taken
        self._over, self._process = False, os.getpid()
        self._config, self._report = stream_config(source, config, options, keywords), report
        self._timeout_s = timeout(timeout_s)
        if fetch and not is_replay(self._config.source.spec):
            fetch_missing(self._config.models, report)
        self._source: Any = make_source(source_options(self._config))
        self._chain = StageChain(self._config, self._source.stills, self._source.live, report,
                                 self._source.facts)
        self._opened, self._last_warning = False, ""
        self._rest: Optional[List[Found]] = None  # once nothing comes any more: what smoothing still waited with
        self._taken = 0
        self.dropped = 0  # frames that came and could not be looked at
        self._made = True

    @property
    def source(self) -> Any:
        """What the status shows of it: name, live, fps, frame_count, and while it runs trouble (why no frames come, or ""),
        doubt, warning, lost_since (monotonic seconds, None while frames come), absent, lost (frames that could not be read).
        """
        return self._source

    @property
    def backends(self) -> Any:
        """As those of a Tracker."""
        return self._chain.backends()

    def __iter__(self) -> "Stream[Given]":
        return self

    def __next__(self) -> Tuple[Given, List[Face]]:
        """Raises SourceError, and StopIteration at the end. After an error there is nothing more."""
        with self._lock:
            if self._over:
                raise StopIteration
            if self._opened:
                self._chain.open()  # raises in another thread
            step, closed = None, False
            try:
                step = self._step()
            finally:
                if step is None:
                    closed = self._over  # by another thread
                    self._close_source()
                    self._chain.close()
        if step is not None:
            return step
        lost = self._source.lost
        if self._config.source.strict and lost and not closed:
            raise SourceError("{} frame{} of the source could not be read, and source.strict is true".format(
                lost, "s" if lost > 1 else ""))
        raise StopIteration

    def take_events(self) -> List[Event]:
        """As those of a Tracker."""
        return self._chain.take_events()

    def close(self) -> None:
        """Free the device and the networks. May be called twice, and from another thread: a step that is being taken ends."""
        self._close_source()
        if self._lock.acquire(False):
            try:
                self._chain.close()
            finally:
                self._lock.release()

    def __enter__(self) -> "Stream[Given]":
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def __del__(self) -> None:
        if self._made:
            self.close()

    def _close_source(self) -> None:
        self._over = True
        if self._process == os.getpid():  # else this was forked, and the device is the parent's
            self._source.close()

    def _step(self) -> Optional[Tuple[Any, List[Face]]]:
        """None at the end."""
        if not self._opened:
            self._source.open()
            self._chain.open()
            self._opened = True
        began = clock.monotonic()
        limit = self._config.source.max_frames
        while not self._over and self._rest is None and (limit is None or self._taken < limit):
            try:
                frame = self._source.read(READ_S if self._timeout_s is None else min(READ_S, self._timeout_s))
                self._taken += frame is not None
                found = None if frame is None else self._chain.found(frame)
            except EOFError:
                break
            except FrameError as e:
                self.dropped += 1
                self._report("warning", "frame dropped: {}".format(e))
                continue
            self._report_warning()
            if found is not None:
                return _given(found)
            if self._timeout_s is not None and clock.monotonic() - began >= self._timeout_s:
                return None, []
        self._report_warning()
        if self._rest is None:
            self._rest = [] if self._over else self._chain.rest()
        return _given(self._rest.pop(0)) if self._rest and not self._over else None

    def _report_warning(self) -> None:
        warning = self._source.warning
        if warning and warning != self._last_warning:
            self._report("warning", warning)
        self._last_warning = warning


def _given(found: Found) -> Tuple[StreamFrame, List[Face]]:
    frame, faces = found
    return StreamFrame(frame.seq, frame.time_s, frame.image, frame.captured_at, frame.file), faces
