"""The frame record read back as values: the other half of `edge.outputs.record`, which writes it.

Units, axes and signs are those of the packet. What a record lacks is None, and the face's `missing` says why; keys that are
not known are passed over, so that what a later version adds under the same schema stops no reader.
"""
import json
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Tuple, Union

import numpy as np

from edge.core.checks import SHOWN, array, expect, mapping, number, numbers, optional, shown, text, whole, wrong
from edge.core.errors import InputError
from edge.core.packet import CONTOUR_POINTS, END, IBUG_POINTS, POINTS, START, Eyes, Iris
from edge.core.parts import SHAPES

SCHEMA = 1
Box = Tuple[float, float, float, float]


def _same(one: Any, other: Any) -> bool:
    """Equality that arrays may take part in."""
    if isinstance(one, tuple) or isinstance(other, tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return bool(np.array_equal(one, other))
    return bool(one == other)


class Angles(NamedTuple):
    """Degrees in the head frame, signs as for the head."""

    yaw: float
    pitch: float


class Turn(NamedTuple):
    """How the head is turned from its rest, degrees, signs as for the head."""

    yaw: float
    pitch: float
    roll: float


class Pose(NamedTuple):
    """How the head is turned, degrees, and where it is: x_C = F R x_H + t with F = diag(1, -1, -1)."""

    yaw: float  # > 0: the nose toward the image's left
    pitch: float  # > 0: the nose up
    roll: float  # > 0: the crown toward the image's right
    rotation: np.ndarray  # (3, 3), the R above; the identity looks straight into the camera
    translation_mm: Optional[np.ndarray]  # (3,) in the camera frame: x right, y down, z forward
    residual_px: Optional[float]  # rms reprojection error
    neutral: Optional[Turn] = None  # from the resting head of the profile in use

    def __eq__(self, other: object) -> bool:
        return _same(self, other)

    def __ne__(self, other: object) -> bool:
        return not _same(self, other)


class Gaze(NamedTuple):
    """The line of sight of both eyes together, and of each."""

    yaw: float  # degrees in the head frame, signs as for the head
    pitch: float
    direction: np.ndarray  # (3,) unit vector in the camera frame; (0, 0, -1) looks into the lens
    right: Optional[Angles]
    left: Optional[Angles]

    def __eq__(self, other: object) -> bool:
        return _same(self, other)

    def __ne__(self, other: object) -> bool:
        return not _same(self, other)


class Face(NamedTuple):
    """What is known of one face in one frame. Right and left are the subject's. Its arrays are its owner's."""

    id: int  # from 1; stays while the face is tracked, and is never used again in one run
    score: Optional[float]  # 0..1, that this is a face
    box: Optional[Box]  # x0, y0, x1, y1 pixels
    landmarks: Optional[np.ndarray]  # (468, 3) pixels; z in the same scale, smaller = nearer
    pose: Optional[Pose]
    irises: Optional[Eyes]  # of Iris or None
    gaze: Optional[Gaze]
    expression: Mapping[str, float]  # name -> 0..1; a name that is not known is not in it
    eye_contours: Optional[Eyes]  # of (71, 2) pixels or None
    missing: Mapping[str, str]  # quantity -> why it is not known
    landmarks68: Optional[np.ndarray] = None  # (68, 2) pixels, in iBUG's order; where they were asked for

    def __eq__(self, other: object) -> bool:
        return _same(self, other)

    def __ne__(self, other: object) -> bool:
        return not _same(self, other)

    @property
    def eye_open_right(self) -> Optional[float]:
        """0 (shut) to 1 (as far open as this face opens it)."""
        return self.expression.get("eye_open_right")

    @property
    def eye_open_left(self) -> Optional[float]:
        return self.expression.get("eye_open_left")

    @property
    def mouth_open(self) -> Optional[float]:
        return self.expression.get("mouth_open")

    @property
    def shapes(self) -> Mapping[str, float]:
        """Of `expression` the blend shapes, by ARKit's names; {} where they were not asked for."""
        return {name: self.expression[name] for name in SHAPES if name in self.expression}


class FrameRecord(NamedTuple):
    """One frame and its faces."""

    frame: int  # its number, from 0
    size: Tuple[int, int]  # width, height in pixels
    faces: Tuple[Face, ...]
    captured_at: Optional[float] = None  # seconds, monotonic clock of the process that wrote it
    time_s: Optional[float] = None  # seconds since the first frame
    age_ms: Optional[float] = None  # from captured_at to the writing
    file: str = ""  # of a picture: its path


class Event(NamedTuple):
    """That something began, or is over. Times are those of `time_s` of the frames, seconds."""

    name: str  # "blink", "nod" ...
    id: int  # from 1; the end has that of its start
    phase: str  # "start", or "end": of what is short there is only this one
    face: Optional[int]  # of the track; None where it is not of one face
    start_s: Optional[float]
    end_s: Optional[float]  # None in a start
    duration_s: Optional[float]  # None in a start
    confidence: Optional[float]  # 0..1
    frame: Optional[int]  # that it was told with
    time_s: Optional[float]  # of that frame
    captured_at: Optional[float]  # of that frame: monotonic clock of the process that wrote it
    values: Mapping[str, Any]  # what is told of this kind alone, such as side


class Recorded(NamedTuple):
    """A frame record that was read back: as it was, and its values. Its points are arrays in both."""

    time_s: float
    record: Dict[str, Any]
    faces: Tuple[Face, ...]
    events: Tuple[Any, ...]  # Event; on their way through a replay those of a packet


Line = Union[str, bytes, Mapping[str, Any]]  # a line of JSON, or its dict
EVENT_KEYS = frozenset(Event._fields[1:-1]) | {"schema", "event"}


def read_line(line: Line) -> Union[FrameRecord, Event]:
    """A line of `--output jsonl:`, whichever it is. Raises InputError that names the first fault."""
    found = _record(line)
    return _event(found) if "event" in found else _frame(found)


def read_record(record: Line) -> FrameRecord:
    """The values of a frame record. Raises InputError that names the first fault."""
    found = _record(record)
    if "event" in found:
        raise InputError("this is the record of an event, {}, and of no frame: read_event or read_line reads it".format(
            shown(found["event"])))
    return _frame(found)


def read_event(record: Line) -> Event:
    """The values of an event record. Raises InputError that names the first fault."""
    found = _record(record)
    if "event" not in found:
        raise InputError("this is no record of an event: read_record or read_line reads one of a frame")
    return _event(found)


def _record(record: Line) -> Dict[str, Any]:
    found: Any = record
    if isinstance(record, (str, bytes)):
        try:
            found = json.loads(record if isinstance(record, str) else record.decode("utf-8"))
        except (ValueError, RecursionError) as e:
            raise InputError("the record is no line of JSON: {}".format(e)) from e
    expect(found, dict, "the whole", "an object")
    if type(found.get("schema")) is not int or found["schema"] != SCHEMA:
        raise InputError("the record has the schema {}, which is not {}: is it a line of `--output jsonl:`?".format(
            shown(found.get("schema")), SCHEMA))
    return found  # type: ignore[no-any-return]


def _event(found: Dict[str, Any]) -> Event:
    phase = text(found.get("phase"), "phase")
    if phase not in (START, END):
        raise wrong("phase", "{} or {}".format(START, END), found["phase"])
    start_s, end_s, duration_s, confidence, time_s, captured_at = (optional(found, key, key, number) for key in (
        "start_s", "end_s", "duration_s", "confidence", "time_s", "captured_at"))
    face, frame = (optional(found, key, key, whole) for key in ("face", "frame"))
    return Event(text(found["event"], "event"), whole(found.get("id"), "id"), phase, face,
                 start_s, end_s, duration_s, confidence, frame, time_s, captured_at,
                 {key: value for key, value in found.items() if key not in EVENT_KEYS})


def _frame(found: Dict[str, Any]) -> FrameRecord:
    size = [whole(value, "size") for value in expect(found.get("size"), list, "size", "[width, height]")]
    if len(size) != 2:
        raise wrong("size", "[width, height]", found["size"])
    faces = expect(found.get("faces"), list, "faces", "a list")
    captured_at, time_s, age_ms = (optional(found, key, key, number) for key in ("captured_at", "time_s", "age_ms"))
    return FrameRecord(
        whole(found.get("frame"), "frame"), (size[0], size[1]),
        tuple(read_face(face, "faces[{}]".format(i)) for i, face in enumerate(faces)),
        captured_at, time_s, age_ms, optional(found, "file", "file", text) or "")


def read_face(record: Any, where: str = "face") -> Face:
    """One entry of `faces`; `where` names it in errors. Raises InputError."""
    expect(record, dict, where, "an object")
    at = where + "."
    return Face(
        id=whole(record.get("id"), at + "id"),
        score=optional(record, "score", at + "score", number),
        box=optional(record, "box", at + "box", _box),
        landmarks=optional(record, "landmarks", at + "landmarks", lambda v, w: array(v, w, (POINTS, 3))),
        pose=optional(record, "pose", at + "pose", _pose),
        irises=optional(record, "iris", at + "iris", lambda v, w: _eyes(v, w, _iris)),
        gaze=optional(record, "gaze", at + "gaze", _gaze),
        expression=optional(record, "expression", at + "expression", lambda v, w: _named(v, w, number)) or {},
        eye_contours=optional(record, "eye_contours", at + "eye_contours",
                              lambda v, w: _eyes(v, w, lambda c, s: array(c, s, (CONTOUR_POINTS, 2)))),
        missing=optional(record, "missing", at + "missing", lambda v, w: _named(v, w, text)) or {},
        landmarks68=optional(record, "landmarks68", at + "landmarks68", lambda v, w: array(v, w, (IBUG_POINTS, 2))))


def _box(value: Any, where: str) -> Box:
    x0, y0, x1, y1 = array(value, where, (4,)).tolist()
    return x0, y0, x1, y1


def _pose(value: Any, where: str) -> Pose:
    found = mapping(value, where)
    yaw, pitch, roll = numbers(found, ("yaw", "pitch", "roll"), where)
    return Pose(yaw, pitch, roll, array(found.get("rotation"), where + ".rotation", (3, 3)),
                optional(found, "translation_mm", where + ".translation_mm", lambda v, w: array(v, w, (3,))),
                optional(found, "residual_px", where + ".residual_px", number),
                optional(found, "neutral", where + ".neutral", lambda v, w: Turn(*numbers(mapping(v, w), Turn._fields, w))))


def _iris(value: Any, where: str) -> Iris:
    found = mapping(value, where)
    return Iris(array(found.get("center"), where + ".center", (2,)), *numbers(found, ("radius", "score"), where))


def _gaze(value: Any, where: str) -> Gaze:
    found = mapping(value, where)
    yaw, pitch = numbers(found, Angles._fields, where)
    each = _eyes(found, where, lambda v, w: Angles(*numbers(mapping(v, w), Angles._fields, w)))
    return Gaze(yaw, pitch, array(found.get("direction"), where + ".direction", (3,)), each.right, each.left)


def _eyes(value: Any, where: str, read: Callable[[Any, str], Any]) -> Eyes:
    found = mapping(value, where)
    return Eyes(*(optional(found, side, "{}.{}".format(where, side), read) for side in Eyes._fields))


def _named(value: Any, where: str, read: Callable[[Any, str], Any]) -> Dict[str, Any]:
    """Names that the writer chose, each with its value."""
    return {name: read(one, "{}.{}".format(where, repr(str(name)[:SHOWN])[1:-1]))
            for name, one in mapping(value, where).items()}
