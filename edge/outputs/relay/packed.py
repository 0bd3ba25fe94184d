"""A packet as bytes, for the relay: what a frame record is made of, and no picture. Made anew for every frame in the tracker's
own thread, so it is of as few objects as can be: numbers, texts, lists of numbers, and the bytes of the points.
"""
import marshal
import pickle
from typing import Any, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from edge.core.packet import Eyes, Face, Frame, Gaze, Iris, Packet, Pose
from edge.core.parts import Parts
from edge.core.records import Recorded
from edge.outputs.record import unwanted_points

FRAME = "frame"
PROTOCOL = 4  # of pickle: both ends are the same Python
PLAIN = 2  # of marshal: later ones look for what comes twice, which takes longer


class Sent(NamedTuple):
    """What unpacked() makes."""

    at: float  # monotonic time of sending
    packet: Packet  # its picture has its size alone; its events are event records
    points: bool  # whether its faces have those of the mesh


def pack(packet: Packet, events: Any, at: float, points: bool, points68: bool = False) -> bytes:
    """`events`: a list of event records. `points` False: landmarks and eye contours stay here; `points68` likewise."""
    unwanted = unwanted_points(Parts(points, landmarks68=points68))
    frame = packet.frame
    height, width = frame.image.shape[:2]
    header = (at, points, pickle.dumps(events, PROTOCOL) if events else b"",
              int(frame.seq), float(frame.captured_at), float(frame.time_s), height, width, frame.file)
    if frame.recorded is None:
        try:
            return marshal.dumps((FRAME, header, [_plain(face, points, points68) for face in packet.faces], None), PLAIN)
        except (AttributeError, TypeError, ValueError):
            pass  # a stage left something else there than it should: the record says so, as everywhere
        nothing: Any = dict.fromkeys(unwanted)
        replayed, faces = None, [face._replace(**nothing) for face in packet.faces]
    else:
        faces, replayed = [], [{key: value for key, value in face.items() if key not in unwanted}
                              for face in frame.recorded.record["faces"]]
    return pickle.dumps((FRAME, header, faces, replayed), PROTOCOL)


def unpacked(header: Any, faces: Any, replayed: Any) -> Sent:
    """Of what pack() has written. Arrays cannot be written to."""
    at, points, events, seq, captured_at, time_s, height, width, file = header
    recorded = None if replayed is None else Recorded(0.0, {"faces": replayed}, (), ())
    frame = Frame(seq, captured_at, time_s, np.empty((height, width, 0), np.uint8), file, recorded)
    faces = tuple(face if isinstance(face, Face) else _face(*face) for face in faces)
    return Sent(at, Packet(frame, faces, (), tuple(pickle.loads(events)) if events else ()), points)


def _plain(face: Face, points: bool, points68: bool) -> Tuple[Any, ...]:
    """The arguments of _face()."""
    pose, irises, gaze, expression = face.pose, face.irises, face.gaze, face.expression
    return (
        int(face.track_id), float(face.score), list(map(float, face.box)), face.missing,
        None if pose is None else (pose.rotation.tolist(), _list(pose.translation_mm), _float(pose.residual_px),
                                   _list(pose.neutral)),
        None if irises is None else (_iris(irises.right), _iris(irises.left)),
        None if gaze is None else (_floats(gaze.both), _floats(gaze.right), _floats(gaze.left), gaze.direction.tolist()),
        None if expression is None else (list(expression), _values(expression)),
        _bytes(face.landmarks) if points else None,
        tuple(map(_bytes, face.eye_contours)) if points and face.eye_contours is not None else None,
        _bytes(face.landmarks68) if points68 else None)


def _face(track_id: int, score: float, box: Any, missing: Mapping[str, str], pose: Any, irises: Any, gaze: Any,
          expression: Any, landmarks: Any, contours: Any, landmarks68: Any) -> Face:
    return Face(
        track_id, None, score, box, _array(landmarks), None if pose is None else Pose(*pose),  # type: ignore[arg-type]
        None if irises is None else Eyes(*[None if iris is None else Iris(*iris) for iris in irises]),
        None if contours is None else Eyes(*map(_array, contours)), None if gaze is None else Gaze(*gaze),
        None if expression is None else dict(zip(*expression)), missing, landmarks68=_array(landmarks68))


def _list(array: Optional[np.ndarray]) -> Any:
    return None if array is None else array.tolist()


def _float(value: Optional[float]) -> Optional[float]:
    return None if value is None else float(value)


def _floats(values: Any) -> Any:
    return None if values is None else list(map(float, values))


def _values(expression: Mapping[str, float]) -> Any:
    try:
        return list(map(float, expression.values()))
    except TypeError:  # one is None
        return list(map(_float, expression.values()))


def _iris(iris: Optional[Iris]) -> Any:
    return None if iris is None else (iris.center.tolist(), float(iris.radius), float(iris.score))


def _bytes(array: Optional[np.ndarray]) -> Any:
    if array is None:
        return None
    kind = array.dtype.char
    if kind not in "fd":
        raise ValueError("no array of numbers with a point")
    return kind, array.shape, array.tobytes()


def _array(sent: Any) -> Optional[np.ndarray]:
    return None if sent is None else np.frombuffer(sent[2], sent[0]).reshape(sent[1])
