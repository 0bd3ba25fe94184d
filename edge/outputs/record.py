"""The frame record of docs/records.md: from the packet to a dict of plain numbers, lists and texts.

Every number is finite and rounded to what it is worth, so that lines are short and two runs compare equal. What is not
known is absent, and the face's `missing` says why; a part of a quantity is named with a dot, such as `iris.right`.
"""
import math
from typing import AbstractSet, Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple

import numpy as np

from edge.core.packet import Event, Eyes, Face, Frame, Gaze, Iris, Packet, Pose, ToldEvent
from edge.core.parts import SHAPES, Parts
from edge.core.records import SCHEMA, Turn

TIME, PIXEL, ANGLE, MILLIMETRE, UNIT, SCORE = 6, 2, 3, 2, 6, 4  # decimals; UNIT: rotations and directions
NOT_FINITE = "not finite"
NOT_RECORDED = "not recorded"
NOT_MEASURED = "not measured"  # the stage that would have filled it in is not there, or gave no reason
NAMES_OF_SHAPES = frozenset(SHAPES)
NO_NAMES = frozenset()  # type: AbstractSet[str]
OF_MESH = ("landmarks", "eye_contours")
IBUG_POINTS = "landmarks68"
POINTS = OF_MESH + (IBUG_POINTS,)
NAMES_OF_MESH = frozenset(OF_MESH + tuple("eye_contours." + side for side in Eyes._fields))
OF_EXPRESSION = "expression."  # before the name of a part

Record = Dict[str, Any]
Missing = Dict[str, str]


def encode(packet: Packet, now: float, parts: Parts, as_lists: bool = True, coarse: AbstractSet[str] = NO_NAMES) -> Record:
    """The record of one frame, with the parts that are wanted; `now` is the monotonic time of writing.

    `as_lists` False leaves points and eye contours as arrays, rounded in the same way: for this process's own reader, which
    would make arrays of the lists again. Either takes more time than all the rest. `coarse`: the shapes that only who wants
    them gets.
    """
    frame = packet.frame
    times = (("captured_at", frame.captured_at, TIME), ("time_s", frame.time_s, TIME),
             ("age_ms", (now - frame.captured_at) * 1000.0, 3))
    record: Record = {"schema": SCHEMA, "frame": int(frame.seq)}
    if frame.file:
        record["file"] = frame.file.encode("utf-8", "backslashreplace").decode("utf-8")  # a name may be no text
    for key, value, digits in times:
        number = _number(value, digits)
        if number is not None:
            record[key] = number
    height, width = frame.image.shape[:2]
    record["size"] = [int(width), int(height)]
    hidden = _hidden(parts, coarse)
    if frame.recorded is None:
        record["faces"] = [_face(face, parts, hidden, as_lists) for face in packet.faces]
    else:
        faces = [_face_without(face, parts, hidden) for face in frame.recorded.record["faces"]]
        record["faces"] = [_with_lists(face) for face in faces] if as_lists else faces
    if parts.events:
        record["events"] = [_event(event, frame) for event in packet.events]
    return record


def _hidden(parts: Parts, coarse: AbstractSet[str]) -> AbstractSet[str]:
    """The names of the shapes that are not wanted."""
    return NAMES_OF_SHAPES if not parts.shapes else NO_NAMES if parts.coarse else coarse


def without(record: Record, parts: Parts, coarse: AbstractSet[str] = NO_NAMES) -> Record:
    """A record of encode() with no more than these parts; shares what it leaves as it is."""
    hidden = _hidden(parts, coarse)
    less = {key: value for key, value in record.items() if key != "events" or parts.events}
    if "faces" in record and (hidden or unwanted_points(parts)):
        less["faces"] = [_face_without(face, parts, hidden) for face in record["faces"]]
    return less


def unwanted_points(parts: Parts) -> Tuple[str, ...]:
    """The names of the points that are not wanted."""
    return (() if parts.landmarks else OF_MESH) + (() if parts.landmarks68 else (IBUG_POINTS,))


def _face_without(face: Record, parts: Parts, hidden: AbstractSet[str]) -> Record:
    gone = unwanted_points(parts)
    less = {key: value for key, value in face.items() if key not in gone}
    if hidden and "expression" in less:
        less["expression"] = {name: value for name, value in less["expression"].items() if name not in hidden}
    unasked = NO_NAMES if parts.landmarks else NAMES_OF_MESH
    less["missing"] = missing = {name: reason for name, reason in face.get("missing", {}).items() if not (
        name in hidden or name == IBUG_POINTS and not parts.landmarks68 or reason in (NOT_FINITE, NOT_MEASURED) and (
            name in unasked or name.partition(OF_EXPRESSION)[2] in hidden))}
    if parts.landmarks68 and IBUG_POINTS not in face:
        missing.setdefault(IBUG_POINTS, NOT_RECORDED)
    return less


def _with_lists(face: Record) -> Record:
    for name in POINTS:
        if name in face:
            sides = face[name] if isinstance(face[name], dict) else None
            face[name] = face[name].tolist() if sides is None else {side: each.tolist() for side, each in sides.items()}
    return face


def _event(event: Event, frame: Frame) -> Record:
    """A record of its own; `frame` is the one that it was told with. What is not finite is absent."""
    if isinstance(event, ToldEvent) and event.record:
        return dict(event.record, captured_at=_number(frame.captured_at, TIME))
    record: Record = {"schema": SCHEMA, "event": event.name, "id": int(event.id), "phase": event.phase}
    if event.face is not None:
        record["face"] = int(event.face)
    record["frame"] = int(frame.seq)
    lasted_s = None if event.end_s is None else event.end_s - event.start_s
    for key, value, digits in (("time_s", frame.time_s, TIME), ("captured_at", frame.captured_at, TIME),
                               ("start_s", event.start_s, TIME), ("end_s", event.end_s, TIME), ("duration_s", lasted_s, TIME),
                               ("confidence", event.confidence, SCORE)):
        number = None if value is None else _number(value, digits)
        if number is not None:
            record[key] = number
    for key, value in event.values.items():
        told = _number(value, TIME) if isinstance(value, (float, np.floating)) else value
        if told is not None:
            record.setdefault(key, told)
    return record


def _face(face: Face, parts: Parts, hidden: AbstractSet[str], as_lists: bool) -> Record:
    missing = {str(key): str(reason) for key, reason in face.missing.items() if key not in hidden}
    if not parts.landmarks68:
        missing.pop(IBUG_POINTS, None)
    record: Record = {"id": int(face.track_id)}
    for key, value, encoder in _quantities(face, parts, hidden, as_lists):
        if key in missing:  # a stage does not trust it, whatever it left there
            continue
        encoded = None if value is None else encoder(value, missing)
        if encoded is not None:
            record[key] = encoded
        else:
            missing[key] = NOT_MEASURED if value is None else NOT_FINITE
    record["missing"] = missing
    return record


def _quantities(face: Face, parts: Parts, hidden: AbstractSet[str],
                as_lists: bool) -> Iterable[Tuple[str, Any, Callable[[Any, Missing], Any]]]:
    """(key, value or None, encoder) in the order of the record."""
    yield "score", face.score, _score
    yield "box", face.box, _box
    if parts.landmarks:
        yield "landmarks", face.landmarks, lambda points, missing: _array(points, PIXEL, as_lists)
    yield "pose", face.pose, _pose
    yield "iris", _known(face.irises), _irises
    yield "gaze", face.gaze, _gaze
    yield "expression", face.expression, lambda values, missing: _expression(values, missing, hidden)
    if parts.landmarks:
        yield "eye_contours", _known(face.eye_contours), lambda eyes, missing: _contours(eyes, missing, as_lists)
    if parts.landmarks68:
        yield IBUG_POINTS, face.landmarks68, lambda points, missing: _array(points, PIXEL, as_lists)


def _known(eyes: Optional[Eyes]) -> Optional[Eyes]:
    return None if eyes is None or (eyes.right is None and eyes.left is None) else eyes


def _number(value: float, digits: int) -> Optional[float]:
    number = float(value)
    return round(number, digits) + 0.0 if math.isfinite(number) else None  # + 0.0: no "-0.0"


def _numbers(values: Iterable[float], digits: int) -> Optional[List[float]]:
    """A short list of numbers; None when one of them is not finite."""
    numbers = [round(float(value), digits) + 0.0 for value in values]
    return numbers if all(map(math.isfinite, numbers)) else None


def _array(values: np.ndarray, digits: int, as_lists: bool = True) -> Any:
    """The same for an array of any shape, as nested lists or an array. In float64: a float32 would print all its digits."""
    with np.errstate(over="ignore"):  # what overflows is reported as not finite
        rounded = np.round(np.asarray(values, np.float64), digits) + 0.0
    if not np.isfinite(rounded).all():
        return None
    return rounded.tolist() if as_lists else rounded


def _score(value: float, missing: Missing) -> Optional[float]:
    return _number(value, SCORE)


def _box(value: Iterable[float], missing: Missing) -> Optional[List[float]]:
    return _numbers(value, PIXEL)


def _pose(pose: Pose, missing: Missing) -> Optional[Record]:
    rows = np.asarray(pose.rotation, np.float64).tolist()
    rotation = [_numbers(row, UNIT) for row in rows]
    if None in rotation:
        return None
    yaw, pitch, roll = _angles(rows)
    record: Record = {"yaw": yaw, "pitch": pitch, "roll": roll, "rotation": rotation}
    place, residual = pose.translation_mm, pose.residual_px
    if place is None:
        _put(record, missing, "pose", "translation_mm", None, "no camera is known")
    else:
        _put(record, missing, "pose", "translation_mm", _numbers(place, MILLIMETRE), NOT_FINITE)
    if residual is None:
        _put(record, missing, "pose", "residual_px", None, "the pose was not fitted to points")
    else:
        _put(record, missing, "pose", "residual_px", _number(residual, PIXEL), NOT_FINITE)
    if pose.neutral is not None:
        turn = np.asarray(pose.neutral, np.float64)
        whole = turn.shape == (3, 3) and bool(np.isfinite(turn).all())
        told = dict(zip(Turn._fields, _angles(turn.tolist()))) if whole else None
        _put(record, missing, "pose", "neutral", told, NOT_FINITE)
    return record


def _angles(r: List[List[float]]) -> Tuple[float, float, float]:
    """yaw, pitch, roll in degrees of R = Rx(pitch) Ry(yaw) Rz(roll), the 300W-LP convention of the record."""
    yaw = -math.asin(min(1.0, max(-1.0, r[0][2])))
    pitch, roll = math.atan2(r[1][2], r[2][2]), math.atan2(r[0][1], r[0][0])
    return tuple(round(math.degrees(a), ANGLE) + 0.0 for a in (yaw, pitch, roll))  # type: ignore[return-value]


def _put(record: Record, missing: Missing, quantity: str, part: str, encoded: Any, reason: str) -> None:
    """Store a part of a quantity, or the reason why it is not there; a reason that a stage gave comes first."""
    name = quantity + "." + part
    if name in missing:
        return
    if encoded is None:
        missing[name] = reason
    else:
        record[part] = encoded


def _per_eye(record: Record, eyes: Eyes, quantity: str, missing: Missing, encoder: Callable[[Any], Any]) -> None:
    for side, value in zip(Eyes._fields, eyes):
        reason = NOT_MEASURED if value is None else NOT_FINITE
        _put(record, missing, quantity, side, None if value is None else encoder(value), reason)


def _irises(irises: Eyes, missing: Missing) -> Optional[Record]:
    record: Record = {}
    _per_eye(record, irises, "iris", missing, _iris)
    return record or None


def _iris(iris: Iris) -> Optional[Record]:
    center, radius, score = _numbers(iris.center, PIXEL), _number(iris.radius, PIXEL), _number(iris.score, SCORE)
    if center is None or radius is None or score is None:
        return None
    return {"center": center, "radius": radius, "score": score}


def _contours(contours: Eyes, missing: Missing, as_lists: bool) -> Optional[Record]:
    record: Record = {}
    _per_eye(record, contours, "eye_contours", missing, lambda points: _array(points, PIXEL, as_lists))
    return record or None


def _gaze(gaze: Gaze, missing: Missing) -> Optional[Record]:
    both, direction = _sight(gaze.both), _numbers(gaze.direction, UNIT)
    if both is None or direction is None:
        return None
    record = dict(both, direction=direction)
    _per_eye(record, Eyes(gaze.right, gaze.left), "gaze", missing, _sight)
    return record


def _sight(angles: Iterable[float]) -> Optional[Record]:
    numbers = _numbers(angles, ANGLE)
    return None if numbers is None else {"yaw": numbers[0], "pitch": numbers[1]}


def _expression(expression: Mapping[str, float], missing: Missing, hidden: AbstractSet[str]) -> Record:
    """Names to 0..1. A stage may give the reason of a single name as the name itself or as `expression.NAME`."""
    record: Record = {}
    for name, value in expression.items():
        if name not in missing and name not in hidden:
            number = None if value is None else _number(value, SCORE)
            _put(record, missing, "expression", name, number, NOT_MEASURED if value is None else NOT_FINITE)
    return record
