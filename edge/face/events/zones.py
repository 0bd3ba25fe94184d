"""Where somebody looks, and how near somebody is: zones with hysteresis."""
import math
from typing import List, Optional, Tuple

from edge.core.packet import START
from edge.face.events.signals import Found, Lasting, Limits, Pair, Signals, beyond

INSIDE = 0.75  # of a limit: nearer to the rest direction, somebody looks there again
BACK_S, HOLD_S = 0.3, 1.0
LEAST_SHARE = 0.25  # of events.away_s: so long another zone is looked at before it counts
REST_S, REST_AWAY_S = 20.0, 120.0  # time constants of the rest direction, while somebody looks there and while not
LENS_S = 5.0  # at first the lens counts as the rest direction as if it had been looked at for so long
LONGEST_STEP_S = 0.5
EYES_GONE_S = 0.5  # so long eyes that are not seen are taken to look where they last did; then where they usually do
NEAR, FAR, SURELY = 1.1, 0.9, 0.25  # hysteresis, and the share of the limit beyond it that is beyond doubt
DISTANCE_S = 1.0


class Away:
    """Told as `away`, with the zone; the zones are the subject's right and left."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._rest, self._learned_s = (0.0, 0.0), LENS_S
        self._eyes: Optional[Tuple[float, Pair]] = None  # when, and how far from where the head points
        self._usual_eyes = 0.0, 0.0
        self._last_s: Optional[float] = None
        self._zone = self._told_zone = self._next = "center"
        self._next_s = 0.0
        self._away = Lasting("away", limits.away_s, BACK_S, HOLD_S)

    def __call__(self, time_s: float, signals: Signals) -> List[Found]:
        found = []  # type: List[Found]
        if self._away.holding:  # what was not known for too long is over
            found = self._with_zone(self._away(time_s, None))
        look = self._look(time_s, signals)
        if look is None:
            return found
        yaw, pitch = [(angle - rest) / limit for angle, rest, limit in zip(
            look, self._rest, (self._limits.away_yaw_deg, self._limits.away_pitch_deg))]
        confidence = beyond(max(abs(yaw), abs(pitch)), 1.0, 2.0)
        zone = _zone(yaw, pitch, INSIDE if self._away.holding else 1.0)
        self._learn(time_s, look, zone == "center")
        if not self._away.told:
            self._zone = self._next = zone
        elif zone in ("center", self._zone):
            self._next = self._zone
        else:
            found += self._other_zone(time_s, zone, confidence)
        return found + self._with_zone(self._away(time_s, zone != "center", confidence))

    def end(self) -> List[Found]:
        return self._with_zone(self._away.end())

    def _look(self, time_s: float, signals: Signals) -> Optional[Pair]:
        """Off the lens, wherever in the picture somebody is."""
        head, lens = signals.head_deg, signals.lens_deg or (0.0, 0.0)
        if head is None:
            return None
        eyes = self._usual_eyes
        if signals.look_deg is not None:
            eyes = signals.look_deg[0] - head[0], signals.look_deg[1] - head[1]
            self._eyes = time_s, eyes
        elif self._eyes is not None and time_s - self._eyes[0] <= EYES_GONE_S:
            eyes = self._eyes[1]
        return head[0] + eyes[0] - lens[0], head[1] + eyes[1] - lens[1]

    def _learn(self, time_s: float, look: Pair, center: bool) -> None:
        dt = 0.0 if self._last_s is None else min(LONGEST_STEP_S, time_s - self._last_s)
        self._last_s = time_s
        self._learned_s += dt
        step = 1.0 - math.exp(-dt / min(REST_S if center else REST_AWAY_S, self._learned_s if center else math.inf))
        self._rest = _toward(self._rest, look, step)
        if self._eyes is not None and self._eyes[0] == time_s:
            self._usual_eyes = _toward(self._usual_eyes, self._eyes[1], step)

    def _other_zone(self, time_s: float, zone: str, confidence: float) -> List[Found]:
        """An event of its own for each zone that is looked at for long enough."""
        if zone != self._next:
            self._next, self._next_s = zone, time_s
        if time_s - self._next_s < LEAST_SHARE * self._limits.away_s:
            return []
        over, self._zone = [one._replace(end_s=self._next_s) for one in self.end()], zone
        return over + self._with_zone(self._away.begun(self._next_s, time_s, confidence))

    def _with_zone(self, found: Tuple[Found, ...]) -> List[Found]:
        for one in found:
            if one.phase == START:
                self._told_zone = self._zone
        return [one.having(zone=self._told_zone) for one in found]


def _toward(one: Pair, other: Pair, step: float) -> Pair:
    return one[0] + (other[0] - one[0]) * step, one[1] + (other[1] - one[1]) * step


def _zone(yaw: float, pitch: float, limit: float) -> str:
    """Of angles as shares of their limits; yaw > 0 is the subject's right."""
    if max(abs(yaw), abs(pitch)) <= limit:
        return "center"
    if abs(yaw) >= abs(pitch):
        return "right" if yaw > 0.0 else "left"
    return "up" if pitch > 0.0 else "down"


class Distance:
    """Told as `distance`, with the zone: near or far."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._near, self._far = (Lasting("distance", DISTANCE_S, DISTANCE_S, HOLD_S) for _ in range(2))

    def __call__(self, time_s: float, signals: Signals) -> List[Found]:
        far, near_mm, far_mm = signals.distance_mm, self._limits.near_mm, self._limits.far_mm
        if far is None:
            return self._both(self._near(time_s, None), self._far(time_s, None))
        is_near = far < near_mm * (NEAR if self._near.holding else 1.0)
        is_far = far > far_mm * (FAR if self._far.holding else 1.0)
        return self._both(
            self._near(time_s, is_near, beyond(near_mm - far, 0.0, SURELY * near_mm) if is_near else 0.0),
            self._far(time_s, is_far, beyond(far - far_mm, 0.0, SURELY * far_mm) if is_far else 0.0), far)

    def end(self) -> List[Found]:
        return self._both(self._near.end(), self._far.end())

    @staticmethod
    def _both(near: Tuple[Found, ...], far: Tuple[Found, ...], mm: Optional[float] = None) -> List[Found]:
        if not near and not far:
            return []
        found = [one.having(zone="near") for one in near] + [one.having(zone="far") for one in far]
        return found if mm is None else [one.having(distance_mm=mm) for one in found]
