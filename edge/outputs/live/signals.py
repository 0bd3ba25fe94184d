"""What an avatar or a game wants of a frame record: one face, always whole, eased to rest where something is not known.

The record leaves out what it does not know; a protocol with fixed fields needs a value for each. A value that is absent is
held for HOLD_S, so that a blink stops nothing, and then goes to rest; nothing else is made up. Right and left are the
subject's.
"""
import math
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from edge.core.parts import SHAPES
from edge.geometry.rotation import exp, from_angles, log

HOLD_S = 0.3  # a value that is absent stays as it was
EASE_S = 0.25  # then it nears its rest by the factor e in such a time
SWITCH_S = 1.0  # after the followed face was lost for so long another one is followed
BLINK_FROM = 0.85  # eye_open from which on an eye that is not told by shapes counts as open
LOOK_DEG = 30.0  # of gaze that fill a look shape
HEAD, EYES = "head", ("right", "left")
Vector = Tuple[float, float, float]
REST_MM: Vector = (0.0, 0.0, 600.0)  # where a face is before the first one was seen


class Signals(NamedTuple):
    """One face in the axes of the record (docs/records.md)."""

    tracked: bool  # the face was seen in this frame, with its pose; else what follows is held or eased
    face: Optional[int]  # the id of the face that is followed; None before the first one
    rotation: np.ndarray  # (3, 3) of the head, against the profile's resting head where there is one
    position_mm: Vector  # of the head in the camera frame: x right, y down, z forward; held while it is lost
    gaze: Mapping[str, Tuple[float, float]]  # "right", "left" -> (yaw, pitch), degrees in the head frame
    eye_open: Mapping[str, float]  # "right", "left" -> 0..1
    mouth_open: float
    shapes: Mapping[str, float]  # all 52 of SHAPES; what the run does not tell is made of eyes, mouth and gaze, or 0
    events: Tuple[Mapping[str, Any], ...] = ()  # the event records that came since the last signals


class Follower:
    """From records to Signals: follows one face, holds and eases, and mirrors."""

    def __init__(self, mirror: bool = False) -> None:
        """`mirror`: right and left change places, and the head and eyes turn to the other side, as in a mirror."""
        self._mirror = mirror
        self._face: Optional[int] = None
        self._seen_at: Optional[float] = None  # the followed face
        self._position = REST_MM
        self._values: Dict[str, "_Eased"] = {}
        self._shapes = [(name, _Eased((0.0,))) for name in SHAPES]

    def follow(self, record: Optional[Mapping[str, Any]], now: float, events: Iterable[Mapping[str, Any]] = ()) -> Signals:
        """`record` None: no frame came. `now`: monotonic seconds."""
        face = self._choose(record["faces"] if record is not None and "faces" in record else (), now)
        pose = None if face is None else face.get("pose")
        if face is not None and pose is not None:
            place = pose.get("translation_mm")
            self._position = self._position if place is None else (place[0], place[1], place[2])
        known = {} if face is None else _known(face)
        rotation = self._eased(HEAD, known.get(HEAD), now, (0.0, 0.0, 0.0))
        gaze: Dict[str, Any] = {eye: self._eased("gaze " + eye, known.get("gaze " + eye), now, (0.0, 0.0)) for eye in EYES}
        eye_open = {eye: self._eased("open " + eye, known.get("open " + eye), now, (1.0,))[0] for eye in EYES}
        shapes = {name: eased.take(known.get(name), now)[0] for name, eased in self._shapes}
        mouth_open = self._eased("mouth", known.get("mouth"), now, (0.0,))[0]
        found = Signals(pose is not None, self._face, exp(rotation), self._position, gaze, eye_open, mouth_open, shapes,
                        tuple(events))
        return mirrored(found) if self._mirror else found

    def _choose(self, faces: Iterable[Mapping[str, Any]], now: float) -> Optional[Mapping[str, Any]]:
        """The followed face while it is there; another, the largest, only once that one has been lost for a while."""
        faces = list(faces)
        face = next((f for f in faces if f["id"] == self._face), None)
        if face is None and faces and (self._seen_at is None or now - self._seen_at >= SWITCH_S):
            face = max(faces, key=_size)
        if face is not None:
            self._face, self._seen_at = face["id"], now
        return face

    def _eased(self, name: str, value: Optional[Tuple[float, ...]], now: float, rest: Tuple[float, ...]) -> Tuple[float, ...]:
        held = self._values.get(name)
        if held is None:
            held = self._values[name] = _Eased(rest)
        return held.take(value, now)


class _Eased:
    """One value: what came last, held, then nearing its rest."""

    def __init__(self, rest: Tuple[float, ...]) -> None:
        self._rest = self._value = rest
        self._seen_at = self._at = float("-inf")

    def take(self, value: Optional[Tuple[float, ...]], now: float) -> Tuple[float, ...]:
        if value is not None:
            self._value, self._seen_at = value, now
        elif self._value is not self._rest:  # which costs least, as most shapes are never told
            passed = now - max(self._at, self._seen_at + HOLD_S)
            if passed > 0.0:
                left = math.exp(-passed / EASE_S)
                self._value = tuple(r + (v - r) * left for v, r in zip(self._value, self._rest))
            self._at = now
        return self._value


def _size(face: Mapping[str, Any]) -> float:
    x0, y0, x1, y1 = face.get("box") or (0.0, 0.0, 0.0, 0.0)
    return float((x1 - x0) * (y1 - y0))


def _known(face: Mapping[str, Any]) -> Dict[str, Tuple[float, ...]]:
    """What the record tells of a face, by the names of Follower."""
    known: Dict[str, Tuple[float, ...]] = {}
    pose, gaze, expression = face.get("pose"), face.get("gaze") or {}, face.get("expression") or {}
    if pose is not None:
        turn = pose.get("neutral")
        known[HEAD] = log(from_angles(turn["yaw"], turn["pitch"], turn["roll"]) if turn else np.asarray(pose["rotation"]))
    for eye in EYES:
        sight = gaze.get(eye) or gaze  # of an eye that is shut or hidden: that of both, which comes from the other
        if sight:
            known["gaze " + eye] = (sight["yaw"], sight["pitch"])
        if "eye_open_" + eye in expression:
            known["open " + eye] = (expression["eye_open_" + eye],)
    if "mouth_open" in expression:
        known["mouth"] = (expression["mouth_open"],)
    known.update(_derived(known))
    known.update((name, (expression[name],)) for name in SHAPES if name in expression)
    return known


def _derived(known: Mapping[str, Tuple[float, ...]]) -> Dict[str, Tuple[float, ...]]:
    """Shapes that eyes, mouth and gaze tell where no table does."""
    found: Dict[str, Tuple[float, ...]] = {}
    for eye, side in zip(EYES, ("Right", "Left")):
        if "open " + eye in known:
            found["eyeBlink" + side] = (_unit(1.0 - known["open " + eye][0] / BLINK_FROM),)
        if "gaze " + eye in known:
            yaw, pitch = (angle / LOOK_DEG for angle in known["gaze " + eye])
            outward = yaw if eye == "right" else -yaw  # yaw > 0 looks to the image's left, which is the subject's right
            for name, value in (("Up", pitch), ("Down", -pitch), ("Out", outward), ("In", -outward)):
                found["eyeLook" + name + side] = (_unit(value),)
    if "mouth" in known:
        found["jawOpen"] = known["mouth"]
    return found


def _unit(value: float) -> float:
    return min(1.0, max(0.0, value))


def other_side(name: str) -> str:
    """The name of the shape on the other side of the face; of one in the middle its own."""
    for one, other in (("Left", "Right"), ("Right", "Left")):
        if name.endswith(one):
            return name[:-len(one)] + other
    return name


def mirrored(signals: Signals) -> Signals:
    """As in a mirror: right is left, and the head and eyes turn to the other side."""
    flip = np.diag([-1.0, 1.0, 1.0])
    x, y, z = signals.position_mm
    gaze = {eye: (-yaw, pitch) for eye, (yaw, pitch) in zip(EYES, (signals.gaze["left"], signals.gaze["right"]))}
    return signals._replace(
        rotation=flip.dot(signals.rotation).dot(flip), position_mm=(-x, y, z), gaze=gaze,
        eye_open={"right": signals.eye_open["left"], "left": signals.eye_open["right"]},
        shapes={name: signals.shapes[other_side(name)] for name in signals.shapes})


def at_rest(names: Iterable[str] = SHAPES) -> Signals:
    """A face that looks into the camera and does nothing, not tracked."""
    eyes: List[str] = list(EYES)
    return Signals(False, None, np.eye(3), REST_MM, {eye: (0.0, 0.0) for eye in eyes}, {eye: 1.0 for eye in eyes},
                   0.0, {name: 0.0 for name in names})
