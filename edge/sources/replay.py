"""A recorded run as a source: each frame brings what was found in it then, and is a black picture of its size."""
from typing import Any, BinaryIO, List, Mapping, Optional, Tuple

import numpy as np

from edge.core.errors import ConfigError, SourceError
from edge.core.packet import ToldEvent
from edge.core.records import Recorded, read_event
from edge.core.roles import OFF
from edge.host.reading import reason
from edge.recording.reading import Reader
from edge.sources import kinds
from edge.sources.recorded import Recording
from edge.sources.spec import SourceOptions

FPS = 30.0  # where the recording does not know better
TIMES = ("start_s", "end_s", "time_s")  # of an event
DIGITS = 6  # of a time


def check_replay(options: SourceOptions) -> None:
    """Raises ConfigError where the recording is asked for what only pictures can be."""
    for option, given in (("flip", options.flip != OFF), ("rotate", options.rotate != 0),
                          ("size", options.width is not None or options.height is not None)):
        if given:
            raise ConfigError("--{} is for pictures, and {} holds points alone: leave it out".format(option, options.spec))


class Replay(Recording):
    """Numbers and times are the recorded ones. A pass of a loop goes on with numbers of faces and events that are new.

    No event is lost with a frame that is passed over at the recording's own pace: it comes with the next one.
    """

    origin_s = 0.0

    def __init__(self, path: str, fps: Optional[float], most_pixels: int) -> None:
        """Raises SourceError: what made the recording is asked for before it is opened."""
        self.name = path
        self._wanted_fps, self._most_pixels = fps, most_pixels
        self._file: Optional[BinaryIO] = None
        self._last_seq: Optional[int] = -1
        self._events: List[ToldEvent] = []  # of frames that were skipped since the last one that was taken
        self._skipped: Optional[Recorded] = None  # the last one of these
        self._passed, self._used = (0, 0), (0, 0)  # numbers of faces and events of earlier passes, and of this one
        self._now: Optional[Recorded] = None
        self._reader = self._opened()
        self.close()
        self.facts = self._reader.facts
        self.stills = self.facts.get("stills") is True
        self.count = None if self._reader.totals is None else self._reader.totals[0]
        self.fps = fps or self._known_fps()

    def _known_fps(self) -> float:
        known, totals = self._reader.facts.get("fps"), self._reader.totals
        if type(known) not in (int, float) and totals is not None and totals[1] > 0.0:
            known = (totals[0] - 1) / totals[1]
        return float(known) if isinstance(known, (int, float)) and 0.01 <= known <= 1000.0 else FPS

    def _opened(self) -> Reader:
        try:
            self._file = kinds.open_file(self.name)
        except SourceError as e:
            raise SourceError("{} {}".format(self.name, e)) from e
        try:
            return Reader(self._file, self.name)
        except (OSError, SourceError) as e:
            self.close()
            raise e if isinstance(e, SourceError) else self._unreadable(e)

    def _unreadable(self, error: Exception) -> SourceError:
        return SourceError("{} cannot be read: {}".format(self.name, reason(error)))

    def open(self) -> None:
        self._reader = self._opened()

    def advance(self) -> float:
        try:
            found = self._reader.next()
        except EOFError:
            if self._reader.cut:
                self.warning, self.lost = "{}: {}".format(self.name, self._reader.cut), int(self._reader.torn)
            raise
        except (OSError, ValueError) as e:  # ValueError: it was closed
            raise self._unreadable(e)
        seq, (width, height) = found.record["frame"], found.record["size"]
        self.step, self._last_seq = 1 if self._last_seq is None else seq - self._last_seq, seq
        if width * height > self._most_pixels:
            raise SourceError("{}: frame {} has {}x{} pixels, which is more than source.max_pixels, {}".format(
                self.name, seq, width, height, self._most_pixels))
        self._now = found
        return seq / self._wanted_fps if self._wanted_fps else found.time_s

    def skip(self) -> None:
        assert self._now is not None, "skip() before advance()"
        self._events += map(_event, self._now.record["events"])
        self._skipped = self._now

    def back(self) -> bool:
        if self._skipped is not None:
            self._now = self._skipped._replace(record=dict(self._skipped.record, events=[]))
        return self._skipped is not None

    def picture(self) -> Optional[np.ndarray]:
        """Read-only, and of three bytes of memory."""
        assert self._now is not None, "picture() before advance()"
        width, height = self._now.record["size"]
        return np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (height, width, 3))

    def recorded(self, seq: int, time_s: float) -> Optional[Recorded]:
        found = self._now
        assert found is not None, "recorded() before advance()"
        events = self._events + list(map(_event, found.record["events"]))
        self._events, self._skipped = [], None
        numbers = [[face.id for face in found.faces], [event.id for event in events]]
        first, second = (max([used] + those) for used, those in zip(self._used, numbers))
        self._used = first, second
        frames, shift_s = seq - found.record["frame"], time_s - found.time_s
        if not (frames or shift_s or any(self._passed)):
            return found._replace(events=tuple(events))
        faces = self._passed[0]
        record = dict(found.record, faces=[dict(face, id=face["id"] + faces) for face in found.record["faces"]])
        return Recorded(time_s, record, tuple(face._replace(id=face.id + faces) for face in found.faces),
                        tuple(_moved(event, self._passed, frames, shift_s) for event in events))

    def rewind(self) -> None:
        self._passed = self._passed[0] + self._used[0], self._passed[1] + self._used[1]
        self._used = 0, 0
        self.seek(0.0)

    def seek(self, time_s: float) -> None:
        self._events, self._skipped = [], None
        if self._wanted_fps or time_s <= 0.0:
            self._reader.rewind()
            self._last_seq = -1
        else:
            self._reader.seek(time_s)
            self._last_seq = None

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()


def _event(record: Mapping[str, Any]) -> ToldEvent:
    told = read_event(record)
    event = ToldEvent(told.name, told.id, told.phase, told.face, told.start_s or 0.0, told.end_s, told.confidence or 0.0,
                      told.values)
    event.record = record
    return event


def _moved(told: ToldEvent, numbers: Tuple[int, int], frames: int, shift_s: float) -> ToldEvent:
    """With other numbers, and at another time."""
    record = dict(told.record, id=told.id + numbers[1])
    if told.face is not None:
        record["face"] = told.face + numbers[0]
    if "frame" in record:
        record["frame"] += frames
    record.update((key, round(record[key] + shift_s, DIGITS) + 0.0) for key in TIMES if key in record)
    return _event(record)
