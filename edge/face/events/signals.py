"""What the detectors look at, what they find, and what somebody may want to set: no other file knows where it comes from."""
import math
from typing import Any, Mapping, NamedTuple, Optional, Sequence, Tuple

from edge.core.packet import END, NOTHING_MISSING, START, Face
from edge.geometry import rotation

Pair = Tuple[float, float]
SLACK_S = 1e-6  # times are sums of intervals: one that is a hair short is not
LONGEST_GAP_S = 0.3  # what lies between two frames further apart is not known


class Limits(NamedTuple):
    """`events.*` of the configuration, which explains them."""

    blink_closure: float = 0.4
    closed_s: float = 0.5
    perclos: float = 0.15
    yawn_s: float = 2.0
    away_yaw_deg: float = 20.0
    away_pitch_deg: float = 15.0
    away_s: float = 2.0
    near_mm: float = 400.0
    far_mm: float = 1000.0
    gone_s: float = 2.0
    lost_after_s: float = 1.0  # tracking.lost_after_s: so long a lost face may come back


class Signals(NamedTuple):
    """What one frame tells of one face; None: not known in it."""

    lids: Tuple[Optional[float], Optional[float]] = (None, None)  # lid distance over the eye's width, right and left
    head_deg: Optional[Pair] = None  # yaw, pitch
    look_deg: Optional[Pair] = None  # yaw, pitch of the line of sight in the camera frame, signs as for the head
    mouth_open: Optional[float] = None  # 0..1
    distance_mm: Optional[float] = None
    lens_deg: Optional[Pair] = None  # as look_deg, of somebody who looks into the lens


class Found(NamedTuple):
    """An event of one face before it has an id."""

    name: str
    phase: str
    start_s: float
    end_s: Optional[float]
    confidence: float
    values: Mapping[str, Any] = NOTHING_MISSING

    def having(self, **values: Any) -> "Found":
        return self._replace(values=dict(self.values, **values))


def of_face(face: Face, lids: Sequence[Optional[float]]) -> Signals:
    """`lids` are not in a face: they are measured for its expression, before anything is smoothed."""
    head = look = far = lens = None
    if face.pose is not None:
        head = rotation.angles(face.pose.rotation)[:2]
        if face.pose.translation_mm is not None:
            x, y, far = face.pose.translation_mm.tolist()
            lens = _angles(-x, -y, -far)
    if face.gaze is not None:
        look = _angles(*face.gaze.direction.tolist())
    mouth = None if face.expression is None else face.expression.get("mouth_open")
    return Signals((finite(lids[0]), finite(lids[1])), finite_pair(head), finite_pair(look), finite(mouth), finite(far),
                   finite_pair(lens))


def _angles(x: float, y: float, z: float) -> Pair:
    """Of a direction in the camera frame, signs as for the head."""
    return math.degrees(math.atan2(-x, -z)), math.degrees(math.atan2(-y, math.hypot(x, z)))


def finite(value: Optional[float]) -> Optional[float]:
    return value if value is not None and math.isfinite(value) else None


def finite_pair(pair: Optional[Pair]) -> Optional[Pair]:
    return pair if pair is not None and math.isfinite(pair[0]) and math.isfinite(pair[1]) else None


def beyond(value: float, least: float, surely: float) -> float:
    """Confidence of an event: 0.5 where `value` just reaches what its definition asks for, 1 from `surely` on."""
    return min(1.0, max(0.0, 0.5 + 0.5 * (value - least) / (surely - least)))


class Lasting:
    """Something that lasts: it has started when it held for `enter_s`, and is over when it has not held for `leave_s`.

    Both are told with the time from which it was so. Who calls uses another threshold while `holding`. What is not known
    for longer than `hold_s` is over where it was last known.
    """

    def __init__(self, name: str, enter_s: float, leave_s: float, hold_s: float) -> None:
        self._name, self._enter_s, self._leave_s, self._hold_s = name, enter_s, leave_s, hold_s
        self.told = self.holding = False  # holding: it has started, told or not yet
        self._since_s = None  # type: Optional[float]
        self._out_s = None  # type: Optional[float]
        self._known_s = 0.0
        self._confidence = 0.0

    def __call__(self, time_s: float, holds: Optional[bool], confidence: float = 1.0) -> Tuple[Found, ...]:
        """`holds` None: not known. The confidence of an end is the highest that there was."""
        if not self.holding and not holds:
            return ()
        over = self.end() if self.holding and time_s - self._known_s > self._hold_s + SLACK_S else ()
        if holds is None:
            return over
        self._known_s = time_s
        if holds:
            self._out_s = None
            self._since_s, self.holding = time_s if self._since_s is None else self._since_s, True
            self._confidence = max(self._confidence, confidence)
            if not self.told and time_s - self._since_s >= self._enter_s - SLACK_S:
                self.told = True
                return over + (Found(self._name, START, self._since_s, None, self._confidence),)
        elif self._since_s is not None:
            self._out_s = time_s if self._out_s is None else self._out_s
            if not self.told:
                self._reset()
            elif time_s - self._out_s >= self._leave_s - SLACK_S:
                return over + self.end()
        return over

    def begun(self, since_s: float, time_s: float, confidence: float) -> Tuple[Found, ...]:
        """Somebody else is sure that it has held from `since_s` until now."""
        self.told, self._since_s, self._known_s, self._out_s, self._confidence = True, since_s, time_s, None, confidence
        return (Found(self._name, START, since_s, None, confidence),)

    def end(self) -> Tuple[Found, ...]:
        """What is over now, because nothing more will be known of it."""
        over = ()  # type: Tuple[Found, ...]
        if self.told and self._since_s is not None:
            over = (Found(self._name, END, self._since_s, self._known_s if self._out_s is None else self._out_s,
                          self._confidence),)
        self._reset()
        return over

    def _reset(self) -> None:
        self.told, self.holding, self._since_s, self._out_s, self._confidence = False, False, None, None, 0.0
