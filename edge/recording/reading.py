"""A recording read back: in bounded memory, whatever the file holds."""
import math
import zlib
from typing import Any, BinaryIO, Dict, Iterator, Optional, Tuple

import numpy as np

from edge.core.errors import InputError, SourceError
from edge.core.records import Recorded, read_event, read_record
from edge.host.reading import LARGEST_BYTES, parse_json
from edge.recording.format import (
    END,
    EVENTS_ALONE,
    EYES,
    FACTS,
    FIRST_BYTES,
    FIRST_LINE,
    FRAME,
    HEAD,
    LENGTH,
    LONGEST_S,
    MOST_BYTES,
    MOST_FACES,
    PER_PIXEL,
    RAW,
    SHAPE_OF,
    SIZE,
    SUM,
    TOTALS,
    VERSION,
    WHOLE,
    WORDS,
    Steps,
    sum_of,
)

LONGEST_SIDE, LARGEST_NUMBER, LARGEST_ID = 32766, 1 << 53, 1 << 31
Record = Dict[str, Any]


class Reader:
    """Reads a recording from a file, chunk by chunk, in bounded memory. Raises SourceError in one line for what is none, or
    is damaged; where it was only cut off, it ends there and `cut` says so."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name = file, name
        self._before: Steps = {}
        self.cut, self.torn = "", False  # why it has no end; whether a part of one more frame is there
        self._last_frame = -1
        self.totals = self._totals()
        self.facts = self._facts()
        self._start = file.tell()

    def rewind(self) -> None:
        self._file.seek(self._start)
        self._before, self._last_frame = {}, -1

    def seek(self, time_s: float) -> None:
        """To the last frame at or before `time_s`, or the first one, from which can be read."""
        self.rewind()
        found = self._start
        while True:
            at, head = self._file.tell(), self._file.read(SIZE)
            if len(head) < SIZE:
                break
            kind, flags, frame_s, length = HEAD.unpack_from(head)
            if kind != FRAME or not frame_s <= time_s or length > MOST_BYTES:
                break
            if flags & WHOLE and not flags & EVENTS_ALONE:
                found = at
            self._file.seek(length, 1)
        self._file.seek(found)

    def next(self) -> Recorded:
        """The next frame; the events that were told after the last one come with it. EOFError at the end."""
        kind, flags, time_s, payload = self._chunk()
        if kind == END:
            raise EOFError(self._name)
        if kind != FRAME or flags & EVENTS_ALONE:
            raise self._damaged("there is a chunk of another kind")
        if flags & WHOLE:
            self._before = {}
        found = self._record(time_s, payload)
        at = self._file.tell()
        head = self._file.read(HEAD.size)
        self._file.seek(at)
        if len(head) == HEAD.size and head[:1] == FRAME and HEAD.unpack(head)[1] & EVENTS_ALONE:
            try:
                last = self._record(time_s, self._chunk()[3], alone=True)
            except EOFError:
                return found
            events = found.record.get("events", []) + last.record["events"]
            return found._replace(record=dict(found.record, events=events), events=found.events + last.events)
        return found

    def _totals(self) -> Optional[Tuple[int, float]]:
        """Frames and the time of the last one, from the end of the file; None where that is not there."""
        size = SIZE + TOTALS.size
        if self._file.seek(0, 2) >= size:
            self._file.seek(-size, 2)
            tail = self._file.read(size)
            if tail[:1] == END and SUM.unpack_from(tail, HEAD.size)[0] == sum_of(tail[:HEAD.size], tail[SIZE:]):
                frames, time_s = TOTALS.unpack_from(tail, SIZE)
                if math.isfinite(time_s):
                    return frames, time_s
        return None

    def _facts(self) -> Record:
        self._file.seek(0)
        line = self._file.read(FIRST_BYTES)
        found = FIRST_LINE.match(line)
        if found is None:
            what = "it is empty: nothing was recorded" if not line else "it is no recording of nanoface"
            raise SourceError("{}: {}".format(self._name, what))
        if int(found.group(1)) != VERSION:
            raise SourceError("{} was made by a newer nanoface, in version {} of the format; this one reads {}: update "
                              "nanoface".format(self._name, int(found.group(1)), VERSION))
        self._file.seek(found.end())
        try:
            kind, _, _, payload = self._chunk()
        except EOFError:
            raise SourceError("{}: {}".format(self._name, self.cut)) from None
        facts = self._json(_unpacked(payload, b""))
        if kind != FACTS:
            raise self._damaged("it does not begin with what made it")
        return facts

    def _chunk(self) -> Tuple[bytes, int, float, bytes]:
        """Kind, flags, time and payload. EOFError where the file ends; `cut` says why, where that is not its end."""
        head = self._file.read(SIZE)
        kind, flags, time_s, length = HEAD.unpack_from(head) if len(head) == SIZE else (b"", 0, 0.0, 0)
        if len(head) < SIZE or not any(head):
            raise self._cut_off(torn=bool(head))
        if kind not in (FACTS, FRAME, END) or length > MOST_BYTES or not 0.0 <= time_s <= LONGEST_S:
            raise self._damaged("its chunk has no head" if kind not in (FACTS, FRAME, END) else "its chunk has a wrong head")
        payload = self._file.read(length)
        if len(payload) < length:
            raise self._cut_off(torn=True)
        if SUM.unpack_from(head, HEAD.size)[0] != sum_of(head[:HEAD.size], payload):
            rest = self._file.read(1 << 16)
            if not any(rest or payload[-8:]):  # blocks that a power cut left empty
                raise self._cut_off(torn=True)
            raise self._damaged("its checksum is another one")
        return kind, flags, time_s, payload

    def _cut_off(self, torn: bool) -> EOFError:
        self.torn = torn
        where = "behind frame {}".format(self._last_frame) if self._last_frame >= 0 else "before the first frame"
        self.cut = "it was cut off {}: the run that wrote it did not come to its end".format(where)
        return EOFError(self._name)

    def _damaged(self, why: str) -> SourceError:
        where = "behind frame {}".format(self._last_frame) if self._last_frame >= 0 else "at its beginning"
        return SourceError("{} is damaged {}: {}".format(self._name, where, why))

    def _json(self, data: Optional[bytes]) -> Record:
        try:
            if data is None or len(data) > LARGEST_BYTES:
                raise ValueError("it cannot be unpacked")
            found = parse_json(data)
            if not isinstance(found, dict):
                raise ValueError("it is no object")
        except ValueError as e:
            raise self._damaged(" ".join(str(e).split())) from None
        return found

    def _record(self, time_s: float, payload: bytes, alone: bool = False) -> Recorded:
        raw = _unpacked(payload, WORDS)
        length = LENGTH.unpack_from(raw)[0] if raw is not None and len(raw) >= LENGTH.size else 0
        record = self._json(None if raw is None else raw[LENGTH.size:LENGTH.size + length])
        try:
            if not alone:
                self._put_points(record, (raw or b"")[LENGTH.size + length:])
            return self._checked(time_s, record, alone)
        except InputError as e:
            raise self._damaged(str(e)) from None

    def _checked(self, time_s: float, record: Record, alone: bool) -> Recorded:
        """Raises InputError."""
        events = record.setdefault("events", [])
        if not isinstance(events, list):
            raise InputError("the record: events must be a list")
        told = tuple(map(read_event, events))
        if alone:
            return Recorded(time_s, record, (), told)
        found = read_record(record)
        ids = [face.id for face in found.faces] + [event.id for event in told] + [event.face or 0 for event in told]
        if not self._last_frame < found.frame < LARGEST_NUMBER or max(ids + [0]) >= LARGEST_ID:
            raise InputError("the record: its numbers do not follow those before")
        if not all(1 <= side <= LONGEST_SIDE for side in found.size):
            raise InputError("the record: no picture has the size {} x {}".format(*found.size))
        self._last_frame = found.frame
        return Recorded(time_s, record, found.faces, told)

    def _put_points(self, record: Record, raw: bytes) -> None:
        """In the place of what says how they are packed. Raises InputError."""
        now: Steps = {}
        at = 0
        for points, key in _places(record):
            packing, width, shape = points[key[1]], 0, SHAPE_OF[key[1]]
            if type(packing) is int and packing in (2, 4, RAW, -2, -4):
                width = abs(packing)
            before = self._before.get(key) if packing in (-2, -4) else None
            part = raw[at:at + width * shape[0] * shape[1]]
            if not width or len(part) < width * shape[0] * shape[1] or packing in (-2, -4) and before is None:
                raise InputError("the record: {} of a face cannot be unpacked".format(key[1]))
            at += len(part)
            if width == RAW:
                points[key[1]] = np.frombuffer(part, "<f8").reshape(shape).astype(np.float64)
                continue
            planes = np.frombuffer(part, np.uint8).reshape(width, -1)
            folded = np.ascontiguousarray(planes.T).view("<u{}".format(width)).ravel().astype(np.int64)
            steps = ((folded >> 1) ^ -(folded & 1)).reshape(shape[::-1]).T
            now[key] = steps = np.ascontiguousarray(steps if before is None else steps + before)
            points[key[1]] = steps / PER_PIXEL
        self._before = now


def _places(record: Record) -> Iterator[Tuple[Record, Tuple[Any, str]]]:
    """Each object that holds points, and the key of these, in the order in which they are packed. Raises InputError."""
    faces = record.get("faces")
    if not isinstance(faces, list) or len(faces) > MOST_FACES or not all(isinstance(face, dict) for face in faces):
        raise InputError("the record: faces must be a list of at most {} objects".format(MOST_FACES))
    for face in faces:
        number = face.get("id")
        if type(number) is not int:
            raise InputError("the record: a face has no id")
        if "landmarks" in face:
            yield face, (number, "landmarks")
        contours = face.get("eye_contours", {})
        if not isinstance(contours, dict) or not set(contours) <= set(EYES):
            raise InputError("the record: eye_contours must be an object of the two eyes")
        for side in contours:
            yield contours, (number, side)
    for face in faces:
        if "landmarks68" in face:
            yield face, (face["id"], "landmarks68")


def _unpacked(payload: bytes, words: bytes) -> Optional[bytes]:
    """None for what is no whole zlib stream, or one of more than MOST_BYTES."""
    unpacker = zlib.decompressobj(zlib.MAX_WBITS, words) if words else zlib.decompressobj()
    try:
        found = unpacker.decompress(payload, MOST_BYTES + 1)
    except zlib.error:
        return None
    return found if unpacker.eof and len(found) <= MOST_BYTES else None
