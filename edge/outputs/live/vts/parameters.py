"""What VTube Studio's inputs get: its own ones, and those that nanoface adds. No I/O.

The signs are those of a model that moves as a mirror image, as its own trackers have them: what goes to the subject's right
goes to the screen's right. MouthX is the exception, as plugins for telephones have it. Not tried with VTube Studio itself.
"""
from collections import deque
from typing import Any, Deque, Dict, Iterator, Mapping, Optional, Tuple

from edge.core.parts import SHAPES
from edge.outputs.live.axes import Vector, live2d_angles, unity_position
from edge.outputs.live.signals import LOOK_DEG, Signals

PREFIX = "Nanoface"
BLINKS_S, MOST_BLINKS = 60.0, 600
PULSE_S = 0.5  # how long a nod is told, which is over when it is known
BLINK_RATE = PREFIX + "BlinkRate"
LASTING = {"eyes_closed": "EyesClosed", "perclos": "Drowsy", "yawn": "Yawn", "away": "Away"}
PULSES = {"nod": "Nod", "shake": "Shake"}
ANGLES, LEAN = 30.0, 90.0  # the ranges of VTube Studio's inputs; degrees
ASIDE, NEARER = 15.0, 10.0  # about centimetres


def own_name(name: str) -> str:
    return PREFIX + name[0].upper() + name[1:]


def definitions() -> Iterator[Dict[str, Any]]:
    """The inputs that nanoface adds."""
    for name in SHAPES:
        yield _definition(own_name(name), "ARKit's " + name, 1.0)
    for event, name in dict(LASTING, **PULSES).items():
        yield _definition(PREFIX + name, "1 during the event " + event, 1.0)
    yield _definition(BLINK_RATE, "blinks in the last minute", 60.0)


def _definition(name: str, text: str, most: float) -> Dict[str, Any]:
    return {"parameterName": name, "explanation": text, "min": 0.0, "max": most, "defaultValue": 0.0}


def defaults(signals: Signals, origin: Vector) -> Dict[str, float]:
    """VTube Studio's own inputs. `origin`: where the head is at rest, as unity_position() has it."""
    shape = signals.shapes
    turn, nod, lean = live2d_angles(signals.rotation)
    aside, up, nearer = (100.0 * (now - rest) for now, rest in zip(unity_position(signals.position_mm), origin))
    values = {
        "FaceAngleX": _within(turn, ANGLES), "FaceAngleY": _within(nod, ANGLES), "FaceAngleZ": _within(lean, LEAN),
        "FacePositionX": _within(aside, ASIDE), "FacePositionY": _within(up, ASIDE),
        "FacePositionZ": _within(nearer, NEARER),
        "MouthSmile": _around(0.5 * (shape["mouthSmileLeft"] + shape["mouthSmileRight"]),
                              0.5 * (shape["mouthFrownLeft"] + shape["mouthFrownRight"])),
        "MouthOpen": _share(signals.mouth_open), "MouthX": _within(shape["mouthLeft"] - shape["mouthRight"], 1.0),
        "CheekPuff": _share(shape["cheekPuff"]), "TongueOut": _share(shape["tongueOut"])}
    brows = 0.0
    for eye, side in (("left", "Left"), ("right", "Right")):
        yaw, pitch = signals.gaze[eye]
        values["EyeOpen" + side] = _share(signals.eye_open[eye])
        values["Eye{}X".format(side)] = _within(yaw / LOOK_DEG, 1.0)
        values["Eye{}Y".format(side)] = _within(pitch / LOOK_DEG, 1.0)
        brow = _around(max(shape["browInnerUp"], shape["browOuterUp" + side]), shape["browDown" + side])
        values["Brow{}Y".format(side)] = brow
        brows += 0.5 * brow
    values["Brows"] = brows
    return values


def _within(value: float, most: float) -> float:
    return min(most, max(-most, value))


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))


def _around(up: float, down: float) -> float:
    """0..1, at rest 0.5."""
    return _share(0.5 + 0.5 * (up - down))


class Values:
    """Of one face after the other: what to inject."""

    def __init__(self, own: bool) -> None:
        self._own = own
        self._face: Optional[int] = None
        self._origin: Optional[Vector] = None  # where this face was first seen
        self._lasting: Dict[str, float] = {}
        self._pulses: Dict[str, float] = {}  # until when
        self._blinks: Deque[float] = deque(maxlen=MOST_BLINKS)

    def of(self, signals: Signals, now: float) -> Dict[str, float]:
        place = unity_position(signals.position_mm)
        if signals.face != self._face:
            self._face, self._origin = signals.face, None
            self._lasting.clear()
        if self._origin is None and signals.tracked:
            self._origin = place
        values = defaults(signals, place if self._origin is None else self._origin)
        for event in signals.events:
            if event.get("face", self._face) == self._face:
                self._heed(event, now)
        if self._own:
            values.update(self._added(signals, now))
        return values

    def _heed(self, event: Mapping[str, Any], now: float) -> None:
        kind, over = event.get("event"), event.get("phase") == "end"
        if kind in LASTING:
            self._lasting[LASTING[kind]] = 0.0 if over else 1.0
        elif kind in PULSES:
            self._pulses[PULSES[kind]] = now + PULSE_S
        elif kind == "blink":
            self._blinks.append(now)

    def _added(self, signals: Signals, now: float) -> Iterator[Tuple[str, float]]:
        for name, own in OWN_SHAPES:
            yield own, _share(signals.shapes[name])
        for name in LASTING.values():
            yield PREFIX + name, self._lasting.get(name, 0.0)
        for name in PULSES.values():
            yield PREFIX + name, float(now < self._pulses.get(name, now))
        while self._blinks and self._blinks[0] < now - BLINKS_S:
            self._blinks.popleft()
        yield BLINK_RATE, float(len(self._blinks))


OWN_SHAPES = tuple((name, own_name(name)) for name in SHAPES)
