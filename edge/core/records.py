"""The frame record read back as values: the other half of `edge.outputs.record`, which writes it.

Units, axes and signs are those of the packet. What a record lacks is None, and the face's `missing` says why; keys that are
not known are passed over, so that what a later version adds under the same schema stops no reader.
"""
import json
import math
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from edge.core.errors import InputError
from edge.core.packet import CONTOUR_POINTS, POINTS, Eyes, Iris

SCHEMA = 1
Box = Tuple[float, float, float, float]
SHOWN = 40  # characters of what is wrong that stand in its error
KINDS = {dict: "an object", list: "a list", str: "a text", type(None): "null", bool: "true or false"}


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


class Pose(NamedTuple):
    """How the head is turned, degrees, and where it is: x_C = F R x_H + t with F = diag(1, -1, -1)."""

    yaw: float  # > 0: the nose toward the image's left
    pitch: float  # > 0: the nose up
    roll: float  # > 0: the crown toward the image's right
    rotation: np.ndarray  # (3, 3), the R above; the identity looks straight into the camera
    translation_mm: Optional[np.ndarray]  # (3,) in the camera frame: x right, y down, z forward
    residual_px: Optional[float]  # rms reprojection error
    neutral: Optional[Tuple[float, float, float]] = None  # yaw, pitch, roll from the resting head of the profile in use

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


class FrameRecord(NamedTuple):
    """One frame and its faces."""

    frame: int  # its number, from 0
    size: Tuple[int, int]  # width, height in pixels
    faces: Tuple[Face, ...]
    captured_at: Optional[float] = None  # seconds, monotonic clock of the process that wrote it
    time_s: Optional[float] = None  # seconds since the first frame
    age_ms: Optional[float] = None  # from captured_at to the writing
    file: str = ""  # of a picture: its path


def read_record(record: Union[str, bytes, Mapping[str, Any]]) -> FrameRecord:
    """The values of a record: of the dict, or of its line of JSON. Raises InputError that names the first fault."""
    found: Any = record
    if isinstance(record, (str, bytes)):
        try:
            found = json.loads(record if isinstance(record, str) else record.decode("utf-8"))
        except (ValueError, RecursionError) as e:
            raise InputError("the frame record is no line of JSON: {}".format(e)) from e
    _expect(found, dict, "the whole", "an object")
    if type(found.get("schema")) is not int or found["schema"] != SCHEMA:
        raise InputError("the frame record has the schema {}, which is not {}: is it a line of `--output jsonl:`?".format(
            _shown(found.get("schema")), SCHEMA))
    size = [_whole(value, "size") for value in _expect(found.get("size"), list, "size", "[width, height]")]
    if len(size) != 2:
        raise _wrong("size", "[width, height]", found["size"])
    faces = _expect(found.get("faces"), list, "faces", "a list")
    captured_at, time_s, age_ms = (_optional(found, key, key, _number) for key in ("captured_at", "time_s", "age_ms"))
    return FrameRecord(
        _whole(found.get("frame"), "frame"), (size[0], size[1]),
        tuple(read_face(face, "faces[{}]".format(i)) for i, face in enumerate(faces)),
        captured_at, time_s, age_ms, _optional(found, "file", "file", _text) or "")


def read_face(record: Any, where: str = "face") -> Face:
    """One entry of `faces`; `where` names it in errors. Raises InputError."""
    _expect(record, dict, where, "an object")
    at = where + "."
    return Face(
        id=_whole(record.get("id"), at + "id"),
        score=_optional(record, "score", at + "score", _number),
        box=_optional(record, "box", at + "box", _box),
        landmarks=_optional(record, "landmarks", at + "landmarks", lambda v, w: _array(v, w, (POINTS, 3))),
        pose=_optional(record, "pose", at + "pose", _pose),
        irises=_optional(record, "iris", at + "iris", lambda v, w: _eyes(v, w, _iris)),
        gaze=_optional(record, "gaze", at + "gaze", _gaze),
        expression=_optional(record, "expression", at + "expression", lambda v, w: _named(v, w, _number)) or {},
        eye_contours=_optional(record, "eye_contours", at + "eye_contours",
                               lambda v, w: _eyes(v, w, lambda c, s: _array(c, s, (CONTOUR_POINTS, 2)))),
        missing=_optional(record, "missing", at + "missing", lambda v, w: _named(v, w, _text)) or {})


def _shown(value: Any) -> str:
    try:
        return repr(value)[:SHOWN]
    except ValueError:  # Python 3.11 and later do not write out a number that is larger still
        return "a number of thousands of digits"


def _wrong(where: str, expected: str, found: Any) -> InputError:
    kind = KINDS.get(type(found)) or (_shown(found) if isinstance(found, (int, float)) else "something else")
    return InputError("the frame record: {} must be {}, it is {}".format(where, expected, kind))


def _expect(value: Any, kind: type, where: str, expected: str) -> Any:
    if not isinstance(value, kind):
        raise _wrong(where, expected, value)
    return value


def _optional(record: Mapping[str, Any], key: str, where: str, read: Callable[[Any, str], Any]) -> Any:
    return read(record[key], where) if key in record else None


def _number(value: Any, where: str) -> float:
    try:
        if type(value) in (float, int) and math.isfinite(value):  # bool is an int
            return float(value)
    except OverflowError:  # an int that no float holds
        pass
    raise _wrong(where, "a finite number", value)


def _whole(value: Any, where: str) -> int:
    if type(value) is not int or value < 0:
        raise _wrong(where, "a whole number", value)
    return int(value)


def _text(value: Any, where: str) -> str:
    return str(_expect(value, str, where, "a text"))


def _object(value: Any, where: str) -> Dict[str, Any]:
    return dict(_expect(value, dict, where, "an object"))


def _array(value: Any, where: str, shape: Tuple[int, ...]) -> np.ndarray:
    """float64 of just this shape; from this process's own writer it may be one already."""
    expected = "{} numbers".format(" x ".join(map(str, shape)))
    if not isinstance(value, np.ndarray) and not _has_shape(value, shape):
        raise _wrong(where, expected, value)
    found = value if isinstance(value, np.ndarray) else np.array(value)
    if found.shape != shape or found.dtype.kind not in "fiu" or not np.isfinite(found).all():
        raise _wrong(where, expected, value)
    return found.astype(np.float64, copy=False)


def _has_shape(value: Any, shape: Tuple[int, ...]) -> bool:
    """Looked at first: of rows that differ, numpy's versions make different things, and of one long text a table as wide."""
    if not isinstance(value, list) or len(value) != shape[0]:
        return False
    if len(shape) > 1:
        return all(_has_shape(row, shape[1:]) for row in value)
    return all(isinstance(one, (float, int)) and not isinstance(one, bool) for one in value)


def _box(value: Any, where: str) -> Box:
    x0, y0, x1, y1 = _array(value, where, (4,)).tolist()
    return x0, y0, x1, y1


def _numbers(record: Mapping[str, Any], names: Sequence[str], where: str) -> Tuple[float, ...]:
    return tuple(_number(record.get(name), "{}.{}".format(where, name)) for name in names)


def _pose(value: Any, where: str) -> Pose:
    found = _object(value, where)
    yaw, pitch, roll = _angles(found, where)
    return Pose(yaw, pitch, roll, _array(found.get("rotation"), where + ".rotation", (3, 3)),
                _optional(found, "translation_mm", where + ".translation_mm", lambda v, w: _array(v, w, (3,))),
                _optional(found, "residual_px", where + ".residual_px", _number),
                _optional(found, "neutral", where + ".neutral", _angles))


def _angles(value: Any, where: str) -> Tuple[float, float, float]:
    yaw, pitch, roll = _numbers(_object(value, where), ("yaw", "pitch", "roll"), where)
    return yaw, pitch, roll


def _iris(value: Any, where: str) -> Iris:
    found = _object(value, where)
    return Iris(_array(found.get("center"), where + ".center", (2,)), *_numbers(found, ("radius", "score"), where))


def _gaze(value: Any, where: str) -> Gaze:
    found = _object(value, where)
    yaw, pitch = _numbers(found, Angles._fields, where)
    each = _eyes(found, where, lambda v, w: Angles(*_numbers(_object(v, w), Angles._fields, w)))
    return Gaze(yaw, pitch, _array(found.get("direction"), where + ".direction", (3,)), each.right, each.left)


def _eyes(value: Any, where: str, read: Callable[[Any, str], Any]) -> Eyes:
    found = _object(value, where)
    return Eyes(*(_optional(found, side, "{}.{}".format(where, side), read) for side in Eyes._fields))


def _named(value: Any, where: str, read: Callable[[Any, str], Any]) -> Dict[str, Any]:
    """Names that the writer chose, each with its value."""
    return {name: read(one, "{}.{}".format(where, repr(str(name)[:SHOWN])[1:-1]))
            for name, one in _object(value, where).items()}
